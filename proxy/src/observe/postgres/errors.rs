//! Errors as a server tells them.

use remora_store::call::{ErrorCode, Severity, SqlError};

use super::fields::Fields;

/// Fields of an error that are told, and what they are called.
const ERROR_FIELDS: &[(u8, &str)] = &[
    (b'M', "message"),
    (b'D', "detail"),
    (b'H', "hint"),
    (b'P', "position"),
    (b'W', "where"),
    (b's', "schema"),
    (b't', "table"),
    (b'c', "column"),
    (b'n', "constraint"),
];

/// What an error says, and the line that tells it.
pub(super) fn read_error(body: &[u8]) -> (SqlError, Vec<u8>) {
    let mut fields = Fields(body);
    let mut told = serde_json::Map::new();
    let (mut code, mut severity) = (None, Severity::Error);
    while let Some(kind) = fields.byte().filter(|kind| *kind != 0) {
        let text = fields.text();
        match kind {
            b'C' => code = ErrorCode::read(text),
            // The one is not translated, but older servers have only the other.
            b'V' | b'S' if text == b"FATAL" => severity = Severity::Fatal,
            b'V' | b'S' if text == b"PANIC" => severity = Severity::Panic,
            _ => {
                let known = ERROR_FIELDS.iter().find(|(known, _)| *known == kind);
                if let Some((_, name)) = known {
                    let text = String::from_utf8_lossy(text).into_owned();
                    told.insert((*name).to_owned(), text.into());
                }
            }
        }
    }
    // One without a code is an error all the same.
    let code = code.or_else(|| ErrorCode::read(b"XX000"));
    let code = code.expect("the code of an internal error is one");
    told.insert("severity".to_owned(), severity.as_str().into());
    told.insert("code".to_owned(), code.as_str().into());
    let line = serde_json::Value::Object(told).to_string();
    (SqlError { code, severity }, line.into_bytes())
}
