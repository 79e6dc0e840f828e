//! The bodies of requests: small JSON objects, of which every field is known.

use axum::body::Bytes;
use remora_store::filter::nearest;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::params::quoted;
use crate::tools::schema;

/// Reads the body of a request: a JSON object, of which only known fields may be part. No body at
/// all, or `null`, is an empty object.
pub(super) fn read_body<T: DeserializeOwned + JsonSchema>(body: &Bytes) -> Result<T, ApiError> {
    let wrong = |message: String| ApiError::bad_request("bad_body", message);
    let object: Option<Map<String, Value>> = match body.is_empty() {
        true => None,
        false => serde_json::from_slice(body)
            .map_err(|error| wrong(format!("the body is no JSON object: {error}")))?,
    };
    let object = object.unwrap_or_default();
    let known = schema::argument_names(&schema::of_input::<T>());
    if let Some(odd) = object.keys().find(|given| !known.contains(given)) {
        let error = ApiError::bad_request(
            "unknown_field",
            format!("there is no field {}", quoted(odd)),
        )
        .field(odd.chars().take(40).collect::<String>());
        return Err(match nearest(odd, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("the fields are {}", known.join(", "))),
        });
    }
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        wrong(format!("{path}: {}", error.into_inner())).field(path)
    })
}
