//! Secrets in the error that a statement got: those of the statement that it tells again, and the values of
//! a key by the names of its columns.

use std::ops::Range;

use serde_json::Value;

use super::super::Rules;
use super::super::edit::Edits;
use super::super::names::Place;
use super::super::tag::Kind;
use super::Told;

/// Fields of an error that are a text for people.
const TEXTS: &[&str] = &["message", "detail", "hint", "where"];

/// Masks in `body`, of which the last line is an error, what the error tells of secrets.
pub(in crate::redact) fn in_error(rules: &Rules, body: &[u8], told: &Told, edits: &mut Edits) {
    let start = memchr::memrchr(b'\n', body).map_or(0, |end| end + 1);
    let line = body.get(start..).unwrap_or_default();
    let Ok(Value::Object(mut error)) = serde_json::from_slice(line) else {
        // It was cut off.
        return edits.absorb(told_in(rules, line, told), start);
    };
    let mut is_changed = false;
    for name in TEXTS {
        let Some(Value::String(text)) = error.get_mut(*name) else {
            continue;
        };
        let mut found = told_in(rules, text.as_bytes(), told);
        if let Some(range) = values_of_key(rules, text.as_bytes()) {
            let bare = text.as_bytes().get(range.clone()).unwrap_or_default();
            found.replace(range, rules.tagger.plain(Kind::Secret, bare));
        }
        if let Some(masked) = found.apply(text.as_bytes()) {
            *text = String::from_utf8_lossy(&masked).into_owned();
            is_changed = true;
        }
    }
    if is_changed {
        edits.replace(start..body.len(), Value::Object(error).to_string());
    }
}

/// Where the text has one of these secrets, as a word for itself.
fn told_in(rules: &Rules, text: &[u8], told: &Told) -> Edits {
    let mut found = Edits::default();
    let is_of_word = |at: Option<usize>| {
        let byte = at.and_then(|at| text.get(at));
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    for (kind, bare) in &told.0 {
        for start in memchr::memmem::find_iter(text, bare) {
            let end = start + bare.len();
            if !is_of_word(start.checked_sub(1)) && !is_of_word(Some(end)) {
                found.replace(start..end, rules.tagger.plain(*kind, bare));
            }
        }
    }
    found
}

/// The values in `Key (name, token)=(bob, x) already exists.`, if a column promises a secret.
fn values_of_key(rules: &Rules, text: &[u8]) -> Option<Range<usize>> {
    const BETWEEN: &[u8] = b")=(";
    let columns_end = memchr::memmem::find(text, BETWEEN)?;
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
    let columns = text.get(..columns_end)?;
    let mut names = columns.split(|b| !is_of_name(b));
    let is_secret = names.any(|name| rules.names.classify(name, Place::Field).is_some());
    let start = columns_end + BETWEEN.len();
    let end = memchr::memrchr(b')', text).filter(|end| *end > start)?;
    is_secret.then_some(start..end)
}
