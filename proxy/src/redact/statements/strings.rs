//! What stands in the strings of a statement: code, and the settings of a connection.

use std::ops::Range;

use super::super::Rules;
use super::super::edit::Edits;
use super::super::tag::Kind;
use super::words::begins_statement;
use super::{Told, in_statement};

/// What a string holds, and where each byte of it stood.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// One more than there are bytes: the last is where they end.
    starts: Vec<usize>,
}

impl Content {
    /// Undoes doubled quotes in a string, and backslashes where they escape. `escapes` says that they do
    /// in a plain one.
    pub(super) fn of(text: &[u8], escapes: bool) -> Self {
        let range = content(text);
        let is_raw = text.first() == Some(&b'$');
        let escapes = !is_raw && (escapes || matches!(text.first(), Some(b'e' | b'E')));
        let inside = text.get(range.clone()).unwrap_or_default();
        let mut read = Self {
            bytes: Vec::with_capacity(inside.len()),
            starts: Vec::with_capacity(inside.len() + 1),
        };
        let mut at = 0;
        while let Some(rest) = inside.get(at..).filter(|rest| !rest.is_empty()) {
            let (byte, length) = match rest {
                [b'\'', b'\'', ..] if !is_raw => (b'\'', 2),
                [b'\\', escaped, ..] if escapes => (unescaped(*escaped), 2),
                [byte, ..] => (*byte, 1),
                [] => break,
            };
            read.bytes.push(byte);
            read.starts.push(range.start + at);
            at += length;
        }
        read.starts.push(range.end);
        read
    }

    /// Edits to the bytes as edits to the string.
    fn written(&self, found: Edits, is_raw: bool) -> Edits {
        let mut edits = Edits::default();
        for edit in found.into_iter() {
            let place = |at: usize| self.starts.get(at).or(self.starts.last()).copied();
            let (Some(start), Some(end)) = (place(edit.range.start), place(edit.range.end)) else {
                continue;
            };
            let quote: &[u8] = if is_raw { b"'" } else { b"''" };
            let with = edit.with.split(|byte| *byte == b'\'');
            edits.replace(start..end, with.collect::<Vec<_>>().join(quote));
        }
        edits
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        byte => byte,
    }
}

/// What was found in a string by reading it for itself.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) edits: Edits,
    /// It is code, or has names for the secrets in it: so it is not one as a whole.
    pub(super) speaks: bool,
}

/// Reads a string for itself: as code, of which `levels` are read within each other, and as the settings
/// of a connection.
pub(super) fn inside(
    rules: &Rules,
    text: &[u8],
    escapes: bool,
    levels: usize,
    told: &mut Told,
) -> Inside {
    let is_raw = text.first() == Some(&b'$');
    let may_be_settings = memchr::memchr(b'=', text).is_some();
    let is_code = begins_statement(text.get(content(text)).unwrap_or_default());
    if !is_raw && !is_code && !may_be_settings {
        return Inside::default();
    }
    let read = Content::of(text, escapes);
    let mut found = Edits::default();
    if levels > 0 && (is_raw || is_code) {
        in_statement(rules, &read.bytes, escapes, levels - 1, told, &mut found);
    }
    settings(rules, &read.bytes, told, &mut found);
    Inside {
        speaks: is_code || !found.is_empty(),
        edits: read.written(found, is_raw),
    }
}

/// `host=db password=x`, as `dblink` and subscriptions take it (libpq's connection strings).
fn settings(rules: &Rules, text: &[u8], told: &mut Told, edits: &mut Edits) {
    const NAME: &[u8] = b"password";
    let lower = text.to_ascii_lowercase();
    let mut done = 0;
    for found in memchr::memmem::find_iter(&lower, NAME) {
        // It stands in a value that was masked.
        if found < done {
            continue;
        }
        let blanks = |at: usize| {
            let rest = text.get(at..).unwrap_or_default();
            rest.iter().take_while(|b| **b == b' ').count()
        };
        let sign = found + NAME.len();
        let sign = sign + blanks(sign);
        if text.get(sign) != Some(&b'=') {
            continue;
        }
        let start = sign + 1 + blanks(sign + 1);
        let range = setting(text, start);
        done = range.end;
        let bare = text.get(range.clone()).unwrap_or_default();
        if !bare.is_empty() {
            told.note(Kind::Secret, bare);
            edits.replace(range, rules.tagger.plain(Kind::Secret, bare));
        }
    }
}

/// The value of a setting that begins at `start`: up to the next blank, or between quotes.
fn setting(text: &[u8], start: usize) -> Range<usize> {
    let value = text.get(start..).unwrap_or_default();
    let Some(quoted) = value.strip_prefix(b"'") else {
        let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'\'' | b'"');
        let length = value.iter().position(ends).unwrap_or(value.len());
        return start..start + length;
    };
    let mut is_escaped = false;
    let length = quoted.iter().position(|byte| match (is_escaped, byte) {
        (false, b'\'') => true,
        (was_escaped, byte) => {
            is_escaped = !was_escaped && *byte == b'\\';
            false
        }
    });
    start + 1..start + 1 + length.unwrap_or(quoted.len())
}

/// Where the content of a string is, between its quotes or the dollar signs of its tag.
pub(super) fn content(text: &[u8]) -> Range<usize> {
    if text.first() == Some(&b'$') {
        let tag = memchr::memchr(b'$', text.get(1..).unwrap_or_default());
        let open = tag.map_or(1, |tag| tag + 2);
        let (mark, inside) = text.split_at(open.min(text.len()));
        let closes = inside.ends_with(mark);
        return mark.len()..text.len() - if closes { mark.len() } else { 0 };
    }
    between(text, b'\'')
}

/// Where a name in double quotes is.
pub(super) fn quoted_content(text: &[u8]) -> Range<usize> {
    between(text, b'"')
}

fn between(text: &[u8], quote: u8) -> Range<usize> {
    let open = memchr::memchr(quote, text).map_or(0, |open| open + 1);
    let closes = text.len() > open && text.ends_with(&[quote]);
    open..text.len() - usize::from(closes)
}
