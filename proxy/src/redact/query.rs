//! Secrets in URLs: parameters of a query or a form, and what stands before the `@`.

use std::ops::Range;

use super::Rules;
use super::credentials::{self, Dress, percent_decoded};
use super::edit::Edits;
use super::names::Place;
use super::tag::Kind;
use super::text;

/// Longest authority that is looked through for an `@`, in bytes.
const AUTHORITY_LIMIT: usize = 2048;

/// Masks the secret parameters of `name=value&…`, a query or a form.
pub(super) fn parameters(rules: &Rules, query: &[u8], cut: bool) -> Edits {
    let mut edits = Edits::default();
    let mut start = 0;
    while let Some(rest) = query.get(start..).filter(|rest| !rest.is_empty()) {
        let length = memchr::memchr2(b'&', b';', rest).unwrap_or(rest.len());
        let piece = rest.get(..length).unwrap_or_default();
        let last = length == rest.len();
        edits.absorb(parameter(rules, piece, cut && last), start);
        start += length + 1;
    }
    edits
}

fn parameter(rules: &Rules, piece: &[u8], cut: bool) -> Edits {
    let at = memchr::memchr(b'=', piece);
    let start = at.map_or(0, |at| at + 1);
    let name = at.and_then(|at| piece.get(..at)).unwrap_or_default();
    let value = piece.get(start..).unwrap_or_default();
    let mut edits = Edits::default();
    let class = rules
        .names
        .classify(&percent_decoded(name), Place::Parameter);
    if let Some(class) = class {
        edits.absorb(credentials::mask(rules, class, value, Dress::Url), start);
    } else if let Some(masked) = inner(rules, value, cut) {
        edits.replace(start..piece.len(), masked);
    }
    edits
}

/// The value with the secrets inside it masked, such as a JWT, a card number, or JSON in a form.
fn inner(rules: &Rules, value: &[u8], cut: bool) -> Option<Vec<u8>> {
    if value.len() < 6 {
        return None;
    }
    let spaced: Vec<u8> = value
        .iter()
        .map(|b| if *b == b'+' { b' ' } else { *b })
        .collect();
    let plain = percent_decoded(&spaced);
    let masked = text::scan(rules, &plain, cut).apply(&plain)?;
    Some(encoded(&masked))
}

fn encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~*[],:/@!$'()".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// Masks the secrets of a request target or another text that is a URL: its userinfo, its query,
/// and tokens and card numbers in its path.
pub(super) fn url(rules: &Rules, url: &[u8], cut: bool) -> Edits {
    let split = query_mark(url).unwrap_or(url.len());
    let (path, query) = url.split_at_checked(split).unwrap_or((url, b""));
    let mut edits = Edits::default();
    path_secrets(rules, path, cut && query.is_empty(), &mut edits);
    if let Some(query) = query.get(1..) {
        edits.absorb(parameters(rules, query, cut), split + 1);
    }
    edits
}

/// Where the `?` stands in front of the query of the first URL in `text`. A password may hold one as
/// well, although it should be encoded.
pub(super) fn query_mark(text: &[u8]) -> Option<usize> {
    let first = memchr::memchr(b'?', text)?;
    let scheme = memchr::memmem::find(text.get(..first)?, b"://");
    let user = scheme.and_then(|at| userinfo(text, at + 3));
    let from = user.map_or(first, |user| user.end);
    memchr::memchr(b'?', text.get(from..)?).map(|mark| from + mark)
}

fn path_secrets(rules: &Rules, path: &[u8], cut: bool, edits: &mut Edits) {
    let found = text::scan(rules, path, cut);
    // In a target a mask may hold no space: the start line would have a word too many.
    for mut edit in found.into_iter() {
        if edit.with.contains(&b' ') {
            edit.with = encoded(&edit.with);
        }
        edits.replace(edit.range, edit.with);
    }
}

/// Where the userinfo stands of a URL whose `://` ends at `start`, if it has one.
pub(super) fn userinfo(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let rest = rest.get(..AUTHORITY_LIMIT).unwrap_or(rest);
    let ends_url = |b: &u8| b"\"'<>\\`{}".contains(b) || b.is_ascii_whitespace();
    let end = rest.iter().position(ends_url).unwrap_or(rest.len());
    let url = rest.get(..end)?;
    let ends_authority = |b: &u8| b"/?#|^,;".contains(b);
    let end = url.iter().position(ends_authority).unwrap_or(url.len());
    let mut authority = url.get(..end)?;
    if begins_password(authority) {
        authority = url;
    }
    let at = memchr::memrchr(b'@', authority)?;
    (at > 0).then_some(start..start + at)
}

/// Whether `authority` cannot be a host with a port (RFC 3986 section 3.2), so that it has to be a
/// user and the beginning of a password whose `/` or the like should have been encoded.
fn begins_password(authority: &[u8]) -> bool {
    let is_port = |behind: &[u8]| !behind.is_empty() && behind.iter().all(u8::is_ascii_digit);
    match memchr::memchr(b':', authority) {
        Some(colon) if !authority.starts_with(b"[") && !authority.contains(&b'@') => {
            !authority.get(colon + 1..).is_some_and(is_port)
        }
        _ => false,
    }
}

/// The mask for a userinfo; its bare value is that of the same credentials in a Basic header.
pub(super) fn mask_userinfo(rules: &Rules, userinfo: &[u8]) -> String {
    rules
        .tagger
        .in_userinfo(Kind::Basic, &percent_decoded(userinfo))
}

/// Whether the fields of `head` say that the body is a form of `name=value` pairs.
pub(super) fn is_form(head: &[u8]) -> bool {
    const NAME: &[u8] = b"content-type:";
    const FORM: &[u8] = b"x-www-form-urlencoded";
    let is = |bytes: &[u8], at: usize, word: &[u8]| {
        let found = bytes.get(at..at + word.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(word))
    };
    memchr::memchr_iter(b'\n', head).any(|end| {
        is(head, end + 1, NAME) && {
            let value = head.get(end + 1 + NAME.len()..).unwrap_or_default();
            let length = memchr::memchr(b'\n', value).unwrap_or(value.len());
            let value = value.get(..length).unwrap_or_default();
            memchr::memchr2_iter(b'x', b'X', value).any(|at| is(value, at, FORM))
        }
    })
}
