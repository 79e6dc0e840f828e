//! The bodies of requests: small JSON objects, of which every field is known.

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::tools::unknown::Unknown;

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
    if let Some(unknown) = Unknown::first_in::<T>(&object) {
        return Err(unknown.refuse(None));
    }
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        wrong(format!("{path}: {}", error.into_inner())).field(path)
    })
}
