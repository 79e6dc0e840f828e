//! Secrets among the bind values of a statement: a JSON array, one value for each number.

use std::ops::Range;

use super::super::Rules;
use super::super::edit::Edits;
use super::super::names::Class;
use super::{Params, Told, kind_of};

/// Masks the secret bind values in the line `values`, which begins at `offset`.
pub(super) fn mask_values(
    rules: &Rules,
    values: &[u8],
    offset: usize,
    mut params: Params,
    told: &mut Told,
    edits: &mut Edits,
) {
    params.secret.sort_by_key(|(number, _)| *number);
    // Behind the bracket.
    let mut at = 1;
    let mut number = 1;
    while at < values.len() {
        let length = json_length(values.get(at..).unwrap_or_default());
        let written = values.get(at..at + length).unwrap_or_default();
        if let Some(class) = class_of(&params, number)
            && let Some((range, with)) = masked_json(rules, written, class, told)
        {
            edits.replace(offset + at + range.start..offset + at + range.end, with);
        }
        // Behind the comma.
        at += length + 1;
        number += 1;
    }
}

/// What a bind value is, if it is a secret. Of a statement that was cut off the last ones are not seen, and
/// may be the secret that it names.
fn class_of(params: &Params, number: usize) -> Option<Class> {
    if number > params.highest {
        return params.named;
    }
    let secret = &params.secret;
    let found = secret.binary_search_by_key(&number, |(number, _)| *number);
    found
        .ok()
        .and_then(|found| secret.get(found))
        .map(|(_, class)| *class)
}

/// Length of a value up to the comma or bracket behind it.
fn json_length(json: &[u8]) -> usize {
    let (mut is_text, mut is_escaped, mut depth) = (false, false, 0_usize);
    let ends = json.iter().position(|byte| {
        match (is_text, byte) {
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}' | b',') if depth == 0 => return true,
            (false, b']' | b'}') => depth -= 1,
            _ => {}
        }
        match (is_escaped, byte) {
            (true, _) => is_escaped = false,
            (false, b'\\') => is_escaped = true,
            (false, b'"') => is_text = !is_text,
            _ => {}
        }
        false
    });
    ends.unwrap_or(json.len())
}

/// What of a bind value is masked, and by what.
fn masked_json(
    rules: &Rules,
    written: &[u8],
    class: Class,
    told: &mut Told,
) -> Option<(Range<usize>, String)> {
    let kind = kind_of(class);
    if let Some(inside) = written.strip_prefix(b"\"") {
        let closes = usize::from(inside.ends_with(b"\""));
        let end = written.len() - closes;
        let bare: Option<String> = serde_json::from_slice(written).ok();
        let bare = bare.map_or_else(|| inside.to_vec(), String::into_bytes);
        told.note(kind, &bare);
        let tag = rules.tagger.shaped(kind, &bare);
        return (end > 1).then_some((1..end, tag));
    }
    // Of bytes that nobody can read only the number is told.
    let is_nothing = matches!(written, b"null" | b"true" | b"false" | b"" | [b'{', ..]);
    let is_count = class == Class::Texts && written.first() != Some(&b'[');
    if is_nothing || is_count {
        return None;
    }
    told.note(kind, written);
    let tag = rules.tagger.shaped(kind, written);
    Some((0..written.len(), format!("\"{tag}\"")))
}
