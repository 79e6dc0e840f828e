//! The grammar of JSON as far as it is needed from the middle of a text: strings at any level of
//! escaping, numbers, and all values inside a bracket.

use std::borrow::Cow;
use std::ops::Range;

use super::Rules;
use super::edit::Edits;
use super::fields::{code_unit, mask_string};
use super::names::Class;

/// The quote that opens or closes a string, with the backslashes before it: one level of JSON
/// inside JSON has one, the next three.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) mark: u8,
    backslashes: usize,
    /// Behind the quote.
    pub(super) end: usize,
}

impl Quote {
    /// The quote that begins at `at`.
    pub(super) fn at(text: &[u8], at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        let backslashes = rest.iter().take(64).take_while(|b| **b == b'\\').count();
        let mark = *rest.get(backslashes)?;
        matches!(mark, b'"' | b'\'').then_some(Self {
            mark,
            backslashes,
            end: at + backslashes + 1,
        })
    }

    /// How many times the string behind it is escaped.
    pub(super) fn levels(self) -> u32 {
        (self.backslashes + 1).ilog2() + 1
    }

    /// Where the content of the string ends that this quote opens; the end of the text if it is
    /// never closed.
    pub(super) fn close(self, text: &[u8]) -> usize {
        let mut from = self.end;
        loop {
            let rest = text.get(from..).unwrap_or_default();
            let Some(found) = memchr::memchr(self.mark, rest) else {
                return text.len();
            };
            let at = from + found;
            let content = text.get(self.end..at).unwrap_or_default();
            let backslashes = content.iter().rev().take_while(|b| **b == b'\\').count();
            if let Some(own) = self.closed_after(backslashes) {
                return at - own.min(backslashes);
            }
            from = at + 1;
        }
    }

    /// Whether a quote behind so many backslashes ends the string, or one around it; and how many of
    /// them are part of that quote.
    fn closed_after(self, backslashes: usize) -> Option<usize> {
        let (mut left, mut own) = (backslashes, 0);
        // Undoes one escaping after the other, from the outermost text inwards.
        for _ in 1..self.levels() {
            if left % 2 == 0 {
                return Some(own);
            }
            left /= 2;
            own = own * 2 + 1;
        }
        (left % 2 == 0).then_some(own)
    }
}

/// Masks every value between the bracket at `at` and its counterpart. Gives where to go on.
pub(super) fn mask(
    rules: &Rules,
    text: &[u8],
    class: Class,
    at: usize,
    edits: &mut Edits,
) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' | b'\\' => {
                let Some(quote) = Quote::at(text, at) else {
                    at += 1;
                    continue;
                };
                let content = quote.end..quote.close(text);
                let behind = Quote::at(text, content.end).map_or(content.end, |close| close.end);
                let is_name = text.get(skip_space(text, behind)) == Some(&b':');
                if !is_name {
                    mask_string(rules, text, class, content, quote.levels(), edits);
                }
                at = behind.max(at + 1);
                continue;
            }
            b'-' | b'0'..=b'9' => {
                let range = number(text, at);
                let written = text.get(range.clone()).unwrap_or_default();
                if class != Class::Texts {
                    edits.replace(range.clone(), rules.tagger.number(written, written, 0));
                }
                at = range.end.max(at + 1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The number that begins at `at`.
pub(super) fn number(text: &[u8], at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let inside = |b: &&u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    at..at + rest.iter().take_while(inside).count()
}

pub(super) fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// `text` with its backslashes undone, `levels` times.
pub(super) fn unescaped(text: &[u8], levels: u32) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..levels {
        if memchr::memchr(b'\\', &text).is_none() {
            break;
        }
        text = Cow::Owned(unescaped_once(&text));
    }
    text
}

fn unescaped_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at + 1..).unwrap_or_default();
        let (character, length) = match escape {
            [] => (None, 0),
            [b'u', digits @ ..] => match unicode(digits) {
                Some((character, length)) => (Some(character), 1 + length),
                None => (Some('u'), 1),
            },
            [b'n', ..] => (Some('\n'), 1),
            [b'r', ..] => (Some('\r'), 1),
            [b't', ..] => (Some('\t'), 1),
            [b'b', ..] => (Some('\u{8}'), 1),
            [b'f', ..] => (Some('\u{c}'), 1),
            // The byte stands for itself, and is copied with what follows it.
            [byte, ..] => {
                out.push(*byte);
                (None, 1)
            }
        };
        if let Some(character) = character {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// The character of the digits behind `\u`, and how many bytes were read: two escapes for one that
/// needs a surrogate pair.
fn unicode(digits: &[u8]) -> Option<(char, usize)> {
    let high = code_unit(digits)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, 4));
    }
    let low = digits.get(4..)?.strip_prefix(b"\\u").and_then(code_unit)?;
    let both = (high.checked_sub(0xd800)? << 10) + low.checked_sub(0xdc00)? + 0x1_0000;
    Some((char::from_u32(both)?, 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(br#""abc" x"#, b"abc"; "plain")]
    #[test_case(br#""a\"b" x"#, br#"a\"b"#; "with an escaped quote")]
    #[test_case(br#""a\\" x"#, br"a\\"; "ending in a backslash")]
    #[test_case(br#"\"abc\" x"#, b"abc"; "escaped once")]
    #[test_case(br#"\"a\\\"b\" x"#, br#"a\\\"b"#; "escaped once with a quote inside")]
    #[test_case(br#"\"a\\\\\" x"#, br"a\\\\"; "escaped once and ending in a backslash")]
    #[test_case(br#"\"abc" x"#, b"abc"; "ended by the string around it")]
    #[test_case(br#""abc"#, b"abc"; "never ended")]
    fn a_string_ends_at_its_own_quote(text: &[u8], content: &[u8]) {
        let quote = Quote::at(text, 0).unwrap();
        assert_eq!(&text[quote.end..quote.close(text)], content);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(&*unescaped(br#"a\u0041\/\"\\"#, 1), br#"aA/"\"#);
        assert_eq!(&*unescaped(br"\ud83d\ude00", 1), "😀".as_bytes());
        assert_eq!(&*unescaped(br"\ud83d\", 1), b"ud83d");
        assert_eq!(&*unescaped(br"a\\u0041", 2), b"aA");
    }
}
