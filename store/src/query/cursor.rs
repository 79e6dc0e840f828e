//! The text of a cursor.

use std::fmt;
use std::str::FromStr;

use super::Cursor;
use crate::call::CallId;

/// First letter of a cursor's text: the version of its form.
const VERSION: char = 'a';
/// Hexadecimal digits of a time, a block and an ordinal, one after the other.
const DIGITS: usize = 16 + 16 + 8;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallId { block, ordinal } = self.id;
        write!(f, "{VERSION}{:016x}{block:016x}{ordinal:08x}", self.time_ns)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let parse = || {
            let digits = text.strip_prefix(VERSION)?;
            let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digits.len() != DIGITS || !digits.bytes().all(lower_hex) {
                return None;
            }
            let (time, rest) = digits.split_at(16);
            let (block, ordinal) = rest.split_at(16);
            Some(Self {
                time_ns: u64::from_str_radix(time, 16).ok()?.cast_signed(),
                id: CallId {
                    block: u64::from_str_radix(block, 16).ok()?,
                    ordinal: u32::from_str_radix(ordinal, 16).ok()?,
                },
            })
        };
        parse().ok_or_else(|| BadCursor(text.chars().take(60).collect()))
    }
}

/// Text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor; use `next` of the page before, unchanged")]
pub struct BadCursor(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_as_it_was_written(time_ns: i64, block: u64, ordinal: u32) {
            let cursor = Cursor { time_ns, id: CallId { block, ordinal } };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC{0,60}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = "b00".parse::<Cursor>().unwrap_err();
        assert!(error.to_string().contains("\"b00\" is not a cursor"));
    }
}
