//! Secrets among the bind values of a statement: a JSON array, one value for each number.

use std::ops::Range;

use super::super::Rules;
use super::super::edit::Edits;
use super::super::names::Class;
use super::kind_of;

/// Masks the bind values with these numbers in the line `values`, which begins at `offset`.
pub(super) fn mask_values(
    rules: &Rules,
    values: &[u8],
    offset: usize,
    secret: &[(usize, Class)],
    edits: &mut Edits,
) {
    if secret.is_empty() {
        return;
    }
    // Behind the line end and the bracket.
    let mut at = 2;
    let mut number = 1;
    while at < values.len() {
        let length = json_length(values.get(at..).unwrap_or_default());
        let written = values.get(at..at + length).unwrap_or_default();
        let class = secret.iter().find(|(secret, _)| *secret == number);
        if let Some((_, class)) = class
            && let Some((range, with)) = masked_json(rules, written, *class)
        {
            edits.replace(offset + at + range.start..offset + at + range.end, with);
        }
        // Behind the comma.
        at += length + 1;
        number += 1;
    }
}

/// Length of a value up to the comma or bracket behind it.
fn json_length(json: &[u8]) -> usize {
    let (mut is_text, mut is_escaped) = (false, false);
    let ends = json.iter().position(|byte| {
        let ends = !is_text && matches!(byte, b',' | b']');
        match (is_escaped, byte) {
            (true, _) => is_escaped = false,
            (false, b'\\') => is_escaped = true,
            (false, b'"') => is_text = !is_text,
            _ => {}
        }
        ends
    });
    ends.unwrap_or(json.len())
}

/// What of a bind value is masked, and by what.
fn masked_json(rules: &Rules, written: &[u8], class: Class) -> Option<(Range<usize>, String)> {
    let kind = kind_of(class);
    if let Some(inside) = written.strip_prefix(b"\"") {
        let closes = usize::from(inside.ends_with(b"\""));
        let end = written.len() - closes;
        let bare: Option<String> = serde_json::from_slice(written).ok();
        let bare = bare.map_or_else(|| inside.to_vec(), String::into_bytes);
        let tag = rules.tagger.shaped(kind, &bare);
        return (end > 1).then_some((1..end, tag));
    }
    let is_nothing = matches!(written, b"null" | b"true" | b"false" | b"");
    if is_nothing || class == Class::Texts {
        return None;
    }
    let tag = rules.tagger.shaped(kind, written);
    Some((0..written.len(), format!("\"{tag}\"")))
}
