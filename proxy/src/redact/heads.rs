//! Secrets in heads and trailers: start lines and fields, kept in order, case and layout.
//!
//! A head is gone through line by line, whatever its lines are: it may be malformed, cut off, or
//! several interim heads one after the other.

use std::ops::Range;

use bytes::Bytes;

use super::credentials::{self, Dress};
use super::edit::Edits;
use super::names::Place;
use super::tag::Kind;
use super::{Rules, cards, query, text};

/// Shortest credentials behind a scheme in a field that is not known to hold any.
const CREDENTIALS_MIN: usize = 8;

/// The head with its secrets masked; `None` if there are none.
pub(super) fn redact(
    rules: &Rules,
    scratch: &mut Scratch,
    head: &[u8],
    cut: bool,
) -> Option<Bytes> {
    scratch.mark(rules, head);
    if scratch.marks.is_empty() && !cut {
        return None;
    }
    let mut marks = scratch.marks.iter().copied().peekable();
    let mut edits = Edits::default();
    for field in Fields::of(head) {
        let mut marked = false;
        while marks.next_if(|mark| *mark < field.end).is_some() {
            marked = true;
        }
        let cut = cut && field.end == head.len();
        if !marked && !cut {
            continue;
        }
        let line = head.get(field.clone()).unwrap_or_default();
        let first = memchr::memchr(b'\n', line).map_or(line.len(), |at| at + 1);
        let (first, folded) = line.split_at_checked(first).unwrap_or((line, b""));
        let started = match field.start == 0 || line.starts_with(b"HTTP/") {
            true => start_line(rules, first, cut && folded.is_empty()),
            false => None,
        };
        // A start line cannot be continued: what looks like that is a field that was indented.
        let (rest, start) = match started {
            Some(found) => {
                edits.absorb(found, field.start);
                (folded, field.start + first.len())
            }
            None => (line, field.start),
        };
        if let Some(found) = self::field(rules, rest, cut) {
            edits.absorb(found, start);
        }
    }
    edits.apply(head)
}

/// What is used again from head to head.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Where a line has to be looked at closely, in order.
    marks: Vec<usize>,
}

impl Scratch {
    /// Marks the words that announce secrets, and what may be a query or a card number. A line
    /// without a mark is clean.
    fn mark(&mut self, rules: &Rules, head: &[u8]) {
        let marks = &mut self.marks;
        marks.clear();
        rules.head_words.each(head, |found, _| {
            marks.push(found.start);
            found.end
        });
        marks.extend(memchr::memchr_iter(b'?', head));
        marks.extend(cards::places(head));
        marks.sort_unstable();
    }
}

/// A request or status line; `None` if the line is a field.
fn start_line(rules: &Rules, line: &[u8], cut: bool) -> Option<Edits> {
    let first = memchr::memchr(b' ', line)?;
    let behind = line.get(first..)?.trim_ascii_start();
    if line.get(..first)?.contains(&b':') || behind.starts_with(b":") {
        return None;
    }
    if line.starts_with(b"HTTP/") {
        return Some(text::scan(rules, line, cut));
    }
    let line = line.trim_ascii_end();
    let end = match memchr::memrchr(b' ', line) {
        Some(last) if last > first && line.get(last + 1..)?.starts_with(b"HTTP/") => last,
        _ => line.len(),
    };
    let target = line.get(first + 1..end)?;
    let mut edits = Edits::default();
    edits.absorb(
        query::url(rules, target, cut && end == line.len()),
        first + 1,
    );
    if line.starts_with(b"CONNECT ")
        && let Some(userinfo) = query::userinfo(target, 0)
    {
        let mask = query::mask_userinfo(rules, target.get(userinfo.clone())?);
        edits.replace(userinfo.start + first + 1..userinfo.end + first + 1, mask);
    }
    Some(edits)
}

fn field(rules: &Rules, line: &[u8], cut: bool) -> Option<Edits> {
    // The name of a pseudo-field of HTTP/2 begins with a colon.
    let pseudo = usize::from(line.starts_with(b":"));
    let Some(colon) = memchr::memchr(b':', line.get(pseudo..)?) else {
        return Some(text::scan(rules, line, cut));
    };
    let start = pseudo + colon + 1;
    let (name, value) = line.split_at_checked(start)?;
    let name = name.get(pseudo..start - 1)?;
    let mut edits = Edits::default();
    match rules.names.classify(name, Place::Head) {
        Some(class) => edits.absorb(credentials::mask(rules, class, value, Dress::Plain), start),
        None => edits.absorb(other_value(rules, value, cut), start),
    }
    Some(edits)
}

/// The value of a field whose name promises nothing.
fn other_value(rules: &Rules, value: &[u8], cut: bool) -> Edits {
    if let Some((kind @ (Kind::Bearer | Kind::Basic), range)) = credentials::scheme(value)
        && let Some(credentials) = value.get(range.clone())
        && credentials.len() >= CREDENTIALS_MIN
        && credentials.iter().all(is_token)
    {
        let mut edits = Edits::default();
        let bare = credentials::bare(kind, credentials);
        edits.replace(range, rules.tagger.plain(kind, &bare));
        return edits;
    }
    match query::query_mark(value) {
        Some(mark) => located(rules, value, mark),
        None => text::scan(rules, value, cut),
    }
}

/// A value that holds a URL with a query, such as a `Location` or a `Referer`.
fn located(rules: &Rules, value: &[u8], mark: usize) -> Edits {
    let query = value.get(mark + 1..).unwrap_or_default();
    let ends = |b: &u8| b"<>\"'#,".contains(b) || b.is_ascii_whitespace();
    let length = query.iter().position(ends).unwrap_or(query.len());
    let (query, rest) = query.split_at_checked(length).unwrap_or((query, b""));
    let mut edits = Edits::default();
    edits.absorb(
        text::scan(rules, value.get(..mark).unwrap_or_default(), false),
        0,
    );
    edits.absorb(query::parameters(rules, query, false), mark + 1);
    let rest_start = mark + 1 + length;
    edits.absorb(text::scan(rules, rest, false), rest_start);
    edits
}

/// A challenge (`Basic realm="shop"`) begins with a scheme too, but holds other characters.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)
}

/// The lines of a head, each with the lines that continue it (RFC 9112 section 5.2).
struct Fields<'a> {
    head: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn of(head: &'a [u8]) -> Self {
        Self { head, at: 0 }
    }
}

impl Iterator for Fields<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if start >= self.head.len() {
            return None;
        }
        let mut end = start;
        loop {
            let rest = self.head.get(end..).unwrap_or_default();
            end += memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            if !matches!(self.head.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        self.at = end;
        Some(start..end)
    }
}
