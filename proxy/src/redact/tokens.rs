//! Tokens that are known by their own form: JWTs, and what follows `Bearer`.

use super::Rules;
use super::edit::Edits;
use super::tag::Kind;

/// Shortest text after `Bearer ` outside a header that is taken for a token and not for prose.
const BEARER_MIN: usize = 12;

/// Beginning of a token at the end of a cut text from which on it is masked. Less tells nothing.
const CUT_MIN: usize = 4;

/// Masks the JWT (RFC 7519) or JWE (RFC 7516) at `start`, where `eyJ` stands. Gives where to go on.
pub(super) fn jwt(rules: &Rules, text: &[u8], start: usize, cut: bool, edits: &mut Edits) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = run(rest, |b| is_base64url(b) || b == b'.');
    let token = rest.get(..length).unwrap_or_default();
    let mut parts = token.split(|b| *b == b'.');
    let head = parts.next().map_or(0, <[u8]>::len);
    let claims = parts.next().map_or(0, <[u8]>::len);
    let signed = parts.next().is_some();
    let whole = head >= 10 && claims >= 2 && signed;
    let begun = cut && length >= CUT_MIN && start + length == text.len();
    if whole || begun {
        // A full stop after the token belongs to the sentence around it, except where the
        // signature is empty: `alg: none` ends in a dot of its own.
        let end = match token.strip_suffix(b".") {
            Some(shorter) if shorter.iter().filter(|b| **b == b'.').count() >= 2 => length - 1,
            _ => length,
        };
        let bare = rest.get(..end).unwrap_or_default();
        edits.replace(start..start + end, rules.tagger.plain(Kind::Jwt, bare));
    }
    start + length
}

/// Masks the token at `start`, right after `Bearer `. Gives where to go on.
pub(super) fn bearer(
    rules: &Rules,
    text: &[u8],
    start: usize,
    cut: bool,
    edits: &mut Edits,
) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = run(rest, |b| is_base64url(b) || b".~+/=".contains(&b));
    let token = rest.get(..length).unwrap_or_default();
    let begun = cut && length >= CUT_MIN && start + length == text.len();
    if begun || (length >= BEARER_MIN && token.iter().any(|b| !b.is_ascii_alphabetic())) {
        edits.replace(
            start..start + length,
            rules.tagger.plain(Kind::Bearer, token),
        );
    }
    start + length
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn run(text: &[u8], inside: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|b| !inside(*b)).unwrap_or(text.len())
}
