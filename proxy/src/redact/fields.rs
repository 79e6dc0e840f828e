//! Named values inside a text: JSON fields first, at any depth and escaped any number of times, and
//! the other notations in which secrets travel: queries, XML, HTML and multipart forms.
//!
//! Begins at a word that was found, and works outwards: the whole name, then what stands behind it.

use std::borrow::Cow;
use std::ops::Range;

use super::Rules;
use super::credentials::{self, Dress, hex};
use super::edit::Edits;
use super::names::{Class, Place};
use super::nested::{self, Quote, skip_space};

/// Longest name that is looked at, to either side of the word found in it, in bytes.
const NAME_LIMIT: usize = 128;

/// How far an XML element or the head of a multipart part may reach, in bytes.
const HEAD_LIMIT: usize = 1024;

/// Looks at the name around `at`, and masks the secret behind it. Gives where to go on.
pub(super) fn named(rules: &Rules, text: &[u8], at: usize, edits: &mut Edits) -> usize {
    let at = at + usize::from(text.get(at) == Some(&b'"'));
    let word = word_around(text, at);
    let name = match Quote::at(text, word.end) {
        Some(quote) => quoted_name(text, &word, quote.mark),
        None => word,
    };
    value_of(rules, text, name, edits)
}

/// Looks at the quoted name around an escaped letter at `at`. Gives where to go on.
pub(super) fn escaped(rules: &Rules, text: &[u8], at: usize, edits: &mut Edits) -> usize {
    let name = quoted_name(text, &(at..at), b'"');
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.get(..NAME_LIMIT).unwrap_or(rest);
    match memchr::memchr(b'"', rest) {
        Some(length) if name.start < at => value_of(rules, text, name.start..at + length, edits),
        _ => at + 1,
    }
}

/// Masks what stands behind the name at `name` if that is one of a secret. Gives where to go on.
fn value_of(rules: &Rules, text: &[u8], name: Range<usize>, edits: &mut Edits) -> usize {
    let written = text.get(name.clone()).unwrap_or_default();
    let plain = nested::unescaped(written, 1);
    // What stands behind a name may reach far, so it is looked at only where it may be a secret:
    // a text that is full of other names must not be gone through again for each of them.
    let assigned = text.get(name.end) == Some(&b'=');
    if !assigned && rules.names.classify(&plain, Place::Field).is_none() {
        return name.end;
    }
    let Some((value, place)) = Value::after(text, &name) else {
        return name.end;
    };
    match rules.names.classify(&plain, place) {
        Some(class) => value.mask(rules, text, class, edits).max(name.end),
        None => name.end,
    }
}

/// The letters, digits, `_`, `-` and `.` around `at`.
fn word_around(text: &[u8], at: usize) -> Range<usize> {
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let before = text
        .get(at.saturating_sub(NAME_LIMIT)..at)
        .unwrap_or_default();
    let after = text.get(at..).unwrap_or_default();
    let after = after.get(..NAME_LIMIT).unwrap_or(after);
    let left = before.iter().rev().take_while(|b| inside(b)).count();
    let right = after.iter().take_while(|b| inside(b)).count();
    at - left..at + right
}

/// `word` and what stands before it up to the quote: names may hold spaces and escapes.
fn quoted_name(text: &[u8], word: &Range<usize>, mark: u8) -> Range<usize> {
    let from = word.start.saturating_sub(NAME_LIMIT);
    let before = text.get(from..word.start).unwrap_or_default();
    let plain = |b: &u8| !b.is_ascii_control() && !b",:{}[]=".contains(b);
    match memchr::memrchr(mark, before) {
        Some(quote)
            if before
                .get(quote + 1..)
                .unwrap_or_default()
                .iter()
                .all(plain) =>
        {
            from + quote + 1..word.end
        }
        _ => word.clone(),
    }
}

/// A value behind a name.
#[derive(Debug)]
enum Value {
    /// A string; the range is that of its content.
    Quoted(Range<usize>, Quote),
    /// Text up to the end of its surroundings.
    Bare(Range<usize>, Dress),
    /// A number.
    Number(Range<usize>),
    /// An array or an object, from its bracket on.
    Nested(usize),
}

impl Value {
    fn after(text: &[u8], name: &Range<usize>) -> Option<(Self, Place)> {
        let quote = Quote::at(text, name.end);
        let behind = skip_space(text, quote.map_or(name.end, |quote| quote.end));
        let next = text.get(behind)?;
        let value = match (next, quote) {
            (b':', Some(_)) => Self::json(text, skip_space(text, behind + 1))?,
            (b':', None) => Self::string(text, skip_space(text, behind + 1))?,
            (b'=', None) => return Self::assigned(text, name, behind + 1),
            (b'=', Some(_)) if text.get(behind + 1) == Some(&b'>') => {
                Self::json(text, skip_space(text, behind + 2))?
            }
            (b',', Some(_)) => Self::sibling(text, skip_space(text, behind + 1))?,
            (b'>', None) => Self::element(text, name, behind)?,
            (_, None) => Self::element(text, name, behind)?,
            (_, Some(_)) => Self::attribute(text, behind).or_else(|| Self::part(text, name.end))?,
        };
        Some((value, Place::Field))
    }

    fn json(text: &[u8], at: usize) -> Option<Self> {
        match text.get(at)? {
            b'{' | b'[' => Some(Self::Nested(at)),
            b'-' | b'0'..=b'9' => Some(Self::Number(nested::number(text, at))),
            _ => Self::string(text, at),
        }
    }

    fn string(text: &[u8], at: usize) -> Option<Self> {
        let quote = Quote::at(text, at)?;
        Some(Self::Quoted(quote.end..quote.close(text), quote))
    }

    /// `token=…` in a query, a form, a cookie or an environment; elsewhere only if quoted, since it
    /// is most likely a piece of a program.
    fn assigned(text: &[u8], name: &Range<usize>, at: usize) -> Option<(Self, Place)> {
        if let Some(value) = Self::string(text, at) {
            return Some((value, Place::Field));
        }
        let before = text.get(..name.start).unwrap_or_default();
        let place = match before.last() {
            // An OAuth answer carries its token behind a `#` (RFC 6749 section 4.2.2).
            Some(b'?' | b'&' | b'#') => Place::Parameter,
            None | Some(b';' | b'\n') => Place::Field,
            Some(b' ') if before.ends_with(b"; ") => Place::Field,
            _ => return None,
        };
        let ends = |b: &u8| b"&;\"'<>\\,)}]`".contains(b) || b.is_ascii_whitespace();
        Some((Self::Bare(until(text, at, ends), Dress::Url), place))
    }

    /// `"name":"password","value":"…"`
    fn sibling(text: &[u8], at: usize) -> Option<Self> {
        let quote = Quote::at(text, at)?;
        let name = text.get(quote.end..quote.close(text).min(quote.end + NAME_LIMIT))?;
        if !name.eq_ignore_ascii_case(b"value") {
            return None;
        }
        let behind = Quote::at(text, quote.end + name.len())?.end;
        let colon = skip_space(text, behind);
        (text.get(colon) == Some(&b':')).then_some(())?;
        Self::json(text, skip_space(text, colon + 1))
    }

    /// `<password>…</password>`, perhaps with a prefix and attributes.
    fn element(text: &[u8], name: &Range<usize>, at: usize) -> Option<Self> {
        let before = text.get(name.start.saturating_sub(NAME_LIMIT)..name.start)?;
        let prefix = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        let skipped = before.iter().rev().take_while(prefix).count();
        let opening = before.iter().rev().nth(skipped) == Some(&b'<');
        let rest = text.get(at..)?;
        let rest = rest.get(..HEAD_LIMIT).unwrap_or(rest);
        let close = memchr::memchr(b'>', rest).filter(|_| opening)?;
        let start = at + close + 1;
        let content = text.get(start..)?;
        let range = match content.strip_prefix(b"<![CDATA[") {
            Some(data) => {
                let length = memchr::memmem::find(data, b"]]>").unwrap_or(data.len());
                let start = text.len() - data.len();
                start..start + length
            }
            None => until(text, start, |b| *b == b'<'),
        };
        Some(Self::Bare(range, Dress::Shaped))
    }

    /// `<input name="password" value="…">`
    fn attribute(text: &[u8], at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        let length = ["value=", "content="]
            .iter()
            .find(|word| rest.starts_with(word.as_bytes()))?
            .len();
        Self::string(text, at + length)
    }

    /// A part of a multipart form (RFC 7578), if the name ends at a quote at `at`.
    fn part(text: &[u8], at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        let head = rest.get(..HEAD_LIMIT).unwrap_or(rest);
        let line = head.get(1..)?.first()?;
        if !matches!(line, b'\r' | b';') {
            return None;
        }
        let start = at + memchr::memmem::find(head, b"\r\n\r\n")? + 4;
        let body = text.get(start..)?;
        let length = memchr::memmem::find(body, b"\r\n--").unwrap_or(body.len());
        Some(Self::Bare(start..start + length, Dress::Shaped))
    }

    /// Masks what is secret in the value. Gives where to go on.
    fn mask(self, rules: &Rules, text: &[u8], class: Class, edits: &mut Edits) -> usize {
        match self {
            Self::Quoted(range, quote) => {
                let end = range.end;
                mask_string(rules, text, class, range, quote.levels(), edits);
                end
            }
            Self::Bare(range, dress) => {
                let written = text.get(range.clone()).unwrap_or_default();
                edits.absorb(credentials::mask(rules, class, written, dress), range.start);
                range.end
            }
            Self::Number(range) => {
                let written = text.get(range.clone()).unwrap_or_default();
                if class != Class::Texts {
                    edits.replace(range.clone(), rules.tagger.number(written, written, 0));
                }
                range.end
            }
            Self::Nested(at) => nested::mask(rules, text, class, at, edits),
        }
    }
}

/// Masks the content of a string, escaped `levels` times.
pub(super) fn mask_string(
    rules: &Rules,
    text: &[u8],
    class: Class,
    range: Range<usize>,
    levels: u32,
    edits: &mut Edits,
) {
    let written = text.get(range.clone()).unwrap_or_default();
    match nested::unescaped(written, levels) {
        Cow::Borrowed(plain) => {
            edits.absorb(
                credentials::mask(rules, class, plain, Dress::Shaped),
                range.start,
            );
        }
        // What stays of the value, such as the names of cookies, needs no escapes.
        Cow::Owned(plain) => {
            let masked = credentials::mask(rules, class, &plain, Dress::Shaped).apply(&plain);
            if let Some(masked) = masked {
                let safe = |b: &u8| !matches!(b, b'"' | b'\\' | b'\'') && !b.is_ascii_control();
                let masked: Vec<u8> = masked.iter().copied().filter(safe).collect();
                edits.replace(range, masked);
            }
        }
    }
}

fn until(text: &[u8], start: usize, ends: impl Fn(&u8) -> bool) -> Range<usize> {
    let rest = text.get(start..).unwrap_or_default();
    start..start + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Four hexadecimal digits as a character.
pub(super) fn code_unit(digits: &[u8]) -> Option<u32> {
    let digits = digits.first_chunk::<4>()?;
    digits
        .iter()
        .try_fold(0, |sum, digit| Some(sum << 4 | u32::from(hex(*digit)?)))
}
