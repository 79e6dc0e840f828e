//! Values of `Authorization`, `Cookie` and `Set-Cookie`, and of single secrets: what of them is the
//! bare secret, and what is dress that stays.

use std::borrow::Cow;
use std::ops::Range;

use super::Rules;
use super::edit::Edits;
use super::names::Class;
use super::tag::Kind;

/// In what surroundings a mask has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dress {
    /// A header or plain text.
    Plain,
    /// A query or a form.
    Url,
    /// A string of which length and format are recorded, since contracts are checked on them.
    Shaped,
}

/// Schemes that are followed by credentials; the scheme stays. Anything else is masked whole, since
/// it may be the secret itself.
const SCHEMES: &[(&str, Kind)] = &[
    ("bearer", Kind::Bearer),
    ("basic", Kind::Basic),
    ("dpop", Kind::Bearer),
    ("jwt", Kind::Jwt),
    ("token", Kind::Secret),
    ("apikey", Kind::Key),
    ("api-key", Kind::Key),
    ("key", Kind::Key),
    ("digest", Kind::Secret),
    ("hawk", Kind::Secret),
    ("hoba", Kind::Secret),
    ("mutual", Kind::Secret),
    ("negotiate", Kind::Secret),
    ("ntlm", Kind::Secret),
    ("oauth", Kind::Secret),
    ("privatetoken", Kind::Secret),
    ("scram-sha-1", Kind::Secret),
    ("scram-sha-256", Kind::Secret),
    ("sharedkey", Kind::Secret),
    ("sharedaccesssignature", Kind::Secret),
    ("signature", Kind::Secret),
    ("splunk", Kind::Secret),
    ("vapid", Kind::Secret),
    ("aws", Kind::Secret),
    ("aws4-hmac-sha256", Kind::Secret),
];

/// Attributes of `Set-Cookie`, which are not secret.
const ATTRIBUTES: &[&str] = &[
    "expires",
    "max-age",
    "domain",
    "path",
    "secure",
    "httponly",
    "samesite",
    "partitioned",
    "priority",
];

/// Masks what is secret in `value`, a text of class `class`. The ranges are those of `value`.
pub(super) fn mask(rules: &Rules, class: Class, value: &[u8], dress: Dress) -> Edits {
    let mut edits = Edits::default();
    match class {
        Class::Authorization => authorization(rules, value, dress, &mut edits),
        Class::Cookie => cookie(rules, value, &mut edits),
        Class::SetCookie => set_cookie(rules, value, &mut edits),
        Class::Secret(kind) => secret(rules, kind, value, dress, &mut edits),
        Class::Texts => secret(rules, Kind::Secret, value, dress, &mut edits),
    }
    edits
}

/// Whether `value` begins with a known scheme; where its credentials stand, and their kind.
pub(super) fn scheme(value: &[u8]) -> Option<(Kind, Range<usize>)> {
    let start = value.iter().position(|b| !b.is_ascii_whitespace())?;
    let rest = value.get(start..)?;
    let gap = rest.iter().position(u8::is_ascii_whitespace)?;
    let name = rest.get(..gap)?;
    let (_, kind) = SCHEMES
        .iter()
        .find(|(scheme, _)| name.eq_ignore_ascii_case(scheme.as_bytes()))?;
    let credentials = trimmed(value, start + gap..value.len());
    (!credentials.is_empty()).then_some((*kind, credentials))
}

fn authorization(rules: &Rules, value: &[u8], dress: Dress, edits: &mut Edits) {
    match scheme(value) {
        Some((kind, range)) => put(rules, kind, value, range, dress, edits),
        None => {
            let range = trimmed(value, 0..value.len());
            put(rules, Kind::Secret, value, range, dress, edits);
        }
    }
}

fn secret(rules: &Rules, kind: Kind, value: &[u8], dress: Dress, edits: &mut Edits) {
    let (kind, range) = scheme(value).unwrap_or_else(|| (kind, trimmed(value, 0..value.len())));
    put(rules, kind, value, range, dress, edits);
}

fn cookie(rules: &Rules, value: &[u8], edits: &mut Edits) {
    for piece in pieces(value) {
        pair(rules, value, piece, edits);
    }
}

fn set_cookie(rules: &Rules, value: &[u8], edits: &mut Edits) {
    for (index, piece) in pieces(value).enumerate() {
        let text = value.get(piece.clone()).unwrap_or_default();
        let name = text.split(|b| *b == b'=').next().unwrap_or_default();
        let known = ATTRIBUTES
            .iter()
            .any(|attribute| name.trim_ascii().eq_ignore_ascii_case(attribute.as_bytes()));
        if index == 0 || !known {
            pair(rules, value, piece, edits);
        } else if let Some(comma) = memchr::memchr(b',', text)
            && let Some(rest) = text.get(comma..)
            && rest.contains(&b'=')
        {
            // Several fields that something on the way has joined to one.
            pair(rules, value, piece.start + comma + 1..piece.end, edits);
        }
    }
}

/// Masks the value of `name=value`, or the whole where there is no name.
fn pair(rules: &Rules, value: &[u8], piece: Range<usize>, edits: &mut Edits) {
    let text = value.get(piece.clone()).unwrap_or_default();
    let start = memchr::memchr(b'=', text).map_or(piece.start, |at| piece.start + at + 1);
    let range = trimmed(value, start..piece.end);
    put(rules, Kind::Cookie, value, range, Dress::Plain, edits);
}

fn pieces(value: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let rest = value.get(start..)?;
        let end = match memchr::memchr(b';', rest) {
            Some(at) => start + at,
            None => {
                done = true;
                value.len()
            }
        };
        let piece = start..end;
        start = end + 1;
        Some(piece)
    })
}

fn put(
    rules: &Rules,
    kind: Kind,
    value: &[u8],
    range: Range<usize>,
    dress: Dress,
    edits: &mut Edits,
) {
    let written = value.get(range.clone()).unwrap_or_default();
    if written.is_empty() {
        return;
    }
    let bare = bare(kind, written);
    let mask = match dress {
        Dress::Plain => rules.tagger.plain(kind, &bare),
        Dress::Url => rules.tagger.in_url(kind, &bare),
        Dress::Shaped => rules.tagger.shaped(kind, &bare),
    };
    edits.replace(range, mask);
}

/// The secret itself: without quotes and percent-encoding, and for Basic `user:password`.
pub(super) fn bare(kind: Kind, written: &[u8]) -> Cow<'_, [u8]> {
    let inner = written
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(written);
    if kind == Kind::Basic
        && let Some(decoded) = base64(inner)
    {
        return Cow::Owned(decoded);
    }
    percent_decoded(inner)
}

/// `text` with its `%41` undone; `+` stays, since tokens hold no space but may hold a plus.
pub(super) fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let code = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Base64 of either alphabet, with or without padding (RFC 4648); `None` if it is not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let mut bits = 0u32;
    let mut count = 0;
    for &letter in text.trim_ascii_end().split(|b| *b == b'=').next()? {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    (!out.is_empty()).then_some(out)
}

fn trimmed(value: &[u8], range: Range<usize>) -> Range<usize> {
    let text = value.get(range.clone()).unwrap_or_default();
    let before = text.len() - text.trim_ascii_start().len();
    let inner = text.trim_ascii().len();
    range.start + before..range.start + before + inner
}
