//! JSON Schemas of the tools' inputs and outputs, in words that every client understands (pure).
//!
//! Clients in use stumble over `format: "uint32"`, over `null` among the types, and over references,
//! so none of them is left in. An optional field is one that is not in `required`.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// The schema of what a tool takes.
pub fn of_input<T: JsonSchema>() -> Map<String, Value> {
    portable(SchemaSettings::draft2020_12(), T::json_schema)
}

/// The schema of what a tool gives, without descriptions or what is always there: the names say it to a
/// model, which pays for each word, and people read it in `/openapi.json`.
pub fn of_output<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = portable(settings, T::json_schema);
    schema.remove("required");
    schema.values_mut().for_each(without_descriptions);
    schema
}

/// Takes the words out of a schema; a field that is called `description`, or `required`, stays.
fn without_descriptions(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(without_descriptions),
        Value::Object(parts) => {
            if parts.get("description").is_some_and(Value::is_string) {
                parts.remove("description");
            }
            if parts.get("required").is_some_and(Value::is_array) {
                parts.remove("required");
            }
            parts.values_mut().for_each(without_descriptions);
        }
        _ => {}
    }
}

/// The same, with a filter of which another tool says what its fields mean: a model pays for each word of
/// each tool.
pub fn of_input_with_known_filter<T: JsonSchema>(explained_by: &str) -> Map<String, Value> {
    let mut schema = of_input::<T>();
    let words = format!("Which calls, as in {explained_by}");
    in_words(&mut schema, "filter", &words);
    schema
}

/// Tells an argument that is an object in these words, and its fields by their names alone.
pub fn in_words(schema: &mut Map<String, Value>, argument: &str, words: &str) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    let known = properties.and_then(|properties| properties.get_mut(argument));
    if let Some(argument) = known.and_then(Value::as_object_mut) {
        let fields = argument
            .get_mut("properties")
            .and_then(Value::as_object_mut);
        for field in fields.into_iter().flat_map(Map::values_mut) {
            without_descriptions(field);
        }
        argument.remove("additionalProperties");
        argument.insert("description".to_owned(), Value::from(words));
    }
}

/// The names of the arguments in the schema of an input.
pub fn argument_names(schema: &Map<String, Value>) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

fn portable(
    settings: SchemaSettings,
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Map<String, Value> {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut value = schema(&mut settings.into_generator()).to_value();
    simplify(&mut value);
    let Value::Object(mut object) = value else {
        unreachable!("the schema of a struct is an object");
    };
    for noise in ["$schema", "title", "description"] {
        object.remove(noise);
    }
    object
}

fn simplify(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(simplify),
        Value::Object(object) => {
            simplify_object(object);
            object.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

fn simplify_object(object: &mut Map<String, Value>) {
    if object.get("format").is_some_and(Value::is_string) {
        object.remove("format");
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    // The bounds of the type in which a number is read say nothing of what it stands for.
    if object.get("type").is_some_and(|name| name == "integer") {
        object.retain(|name, bound| match name.as_str() {
            "minimum" => *bound != 0,
            "maximum" => *bound != u16::MAX,
            _ => true,
        });
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    // The list says what is in it; what each word is said to be, a model pays for.
    if let Some(Value::Object(items)) = object.get_mut("items")
        && items.contains_key("enum")
    {
        items.remove("description");
    }
    take_only_choice(object);
}

/// `anyOf: [X, null]` is X.
fn take_only_choice(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    let [only] = choices.as_mut_slice() else {
        return;
    };
    let only = only.take();
    object.remove("anyOf");
    if let Value::Object(only) = only {
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
    simplify_object(object);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        /// How many.
        count: u32,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Outer {
        inner: Option<Inner>,
        /// A share.
        share: Option<f64>,
    }

    #[test]
    fn formats_nulls_and_references_are_gone() {
        let schema = Value::Object(of_input::<Outer>());
        let count = &schema["properties"]["inner"]["properties"]["count"];
        assert_eq!(
            *count,
            json!({"description": "How many.", "type": "integer"})
        );
        let share = &schema["properties"]["share"];
        assert_eq!(*share, json!({"description": "A share.", "type": "number"}));
        assert_eq!(schema.get("required"), None);
    }
}
