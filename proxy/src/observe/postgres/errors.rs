//! Errors as a server tells them.

use remora_store::call::{ErrorCode, Severity, SqlError};
use serde_json::{Map, Value};

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

/// An error, as it was read.
pub(super) struct Refusal {
    pub(super) error: SqlError,
    /// All that is told of it, as JSON.
    pub(super) line: Vec<u8>,
    /// Which character of the text it is about, counted from one.
    pub(super) position: Option<u32>,
}

/// What an error says, and the line that tells it: without the values of rows that nobody named, which a
/// server puts into its details.
pub(super) fn read_error(body: &[u8]) -> Refusal {
    let mut fields = Fields(body);
    let mut told = Map::new();
    let (mut code, mut severity, mut position) = (None, Severity::Error, None);
    while let Some(kind) = fields.byte().filter(|kind| *kind != 0) {
        let text = fields.text();
        match kind {
            b'C' => code = ErrorCode::read(text),
            // The one is not translated, but older servers have only the other.
            b'V' | b'S' if text == b"FATAL" => severity = Severity::Fatal,
            b'V' | b'S' if text == b"PANIC" => severity = Severity::Panic,
            _ => {
                if kind == b'P' {
                    position = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                }
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
    leave_out_rows(&mut told, code.as_str());
    told.insert("severity".to_owned(), severity.as_str().into());
    told.insert("code".to_owned(), code.as_str().into());
    let line = Value::Object(told).to_string();
    Refusal {
        error: SqlError { code, severity },
        line: line.into_bytes(),
        position,
    }
}

/// Errors whose detail tells values by the names of their columns: `Key (id)=(7) already exists.`
const KEY_ERRORS: &[&str] = &["23503", "23505", "23P01"];

/// Takes values out of the texts that tell them without a name: a whole row (`Failing row contains (7,
/// bob).`), a piece of a document, a line of a COPY.
fn leave_out_rows(told: &mut Map<String, Value>, code: &str) {
    if let Some(Value::String(detail)) = told.get_mut("detail") {
        match code.get(..2) {
            Some("23" | "44") if !KEY_ERRORS.contains(&code) => empty_between(detail, '(', ')'),
            Some("22") => empty_between(detail, '"', '"'),
            _ => {}
        }
    }
    let Some(Value::String(place)) = told.get_mut("where") else {
        return;
    };
    let is_copy = place.starts_with("COPY ");
    let lines: Vec<String> = place.lines().map(without_values).collect();
    *place = lines.join("\n");
    if let Some(Value::String(text)) = told.get_mut("message").filter(|_| is_copy) {
        empty_between(text, '"', '"');
    }
}

/// Leaves out what is between the first of one sign and the last of another, or the end.
fn empty_between(text: &mut String, open: char, close: char) {
    let Some(start) = text.find(open).map(|at| at + open.len_utf8()) else {
        return;
    };
    let end = text.rfind(close).filter(|end| *end >= start);
    text.replace_range(start..end.unwrap_or(text.len()), "…");
}

/// Where something happened, in any language, up to the sign behind which a value or a statement is told:
/// `COPY users, line 3, column id: "x"`.
fn without_values(line: &str) -> String {
    let is_told = |c: char| c.is_alphanumeric() || " ,.()[]_/$-".contains(c);
    match line.find(|c| !is_told(c)) {
        Some(end) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line.to_owned(),
    }
}
