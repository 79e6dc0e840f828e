//! Names that an object has and its type does not, with the nearest right one.

use remora_store::filter::nearest;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::schema;
use crate::error::ApiError;
use crate::params::quoted;

/// Longest part of an unknown name that is repeated as the field of an error, in characters.
const SHOWN_CHARS: usize = 40;

/// A name that nobody knows.
pub(crate) struct Unknown {
    given: String,
    /// The names that there are.
    pub(crate) known: Vec<String>,
    /// Which of them was meant, if that can be told.
    pub(crate) near: Option<String>,
}

impl Unknown {
    /// The first name in `object` that is none of a `T`.
    pub(crate) fn first_in<T: JsonSchema>(object: &Map<String, Value>) -> Option<Self> {
        let known = schema::argument_names(&schema::of_input::<T>());
        let given = object.keys().find(|given| !known.contains(given))?;
        let near = nearest(given, known.iter().map(String::as_str));
        Some(Self {
            given: given.clone(),
            near: near.map(str::to_owned),
            known,
        })
    }

    /// The name as it may be repeated in a message.
    pub(crate) fn quoted(&self) -> String {
        quoted(&self.given)
    }

    /// Refuses an object, which is called `name` where it is a part of another.
    pub(crate) fn refuse(&self, name: Option<&str>) -> ApiError {
        let odd: String = self.given.chars().take(SHOWN_CHARS).collect();
        let (message, field) = match name {
            None => (format!("there is no field {}", self.quoted()), odd),
            Some(name) => (
                format!("{name} has no field {}", self.quoted()),
                format!("{name}.{odd}"),
            ),
        };
        let error = ApiError::bad_request("unknown_field", message).field(field);
        match &self.near {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("the fields are {}", self.known.join(", "))),
        }
    }
}
