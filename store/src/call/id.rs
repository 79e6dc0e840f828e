//! The name of a stored call.

use std::fmt;
use std::str::FromStr;

/// Name of a stored call: the hub's number of the block it came in, and its place there.
///
/// Short, because a model has to repeat it; unique in the hub; kept when blocks are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    /// The hub's number of the block, from 1.
    pub block: u64,
    /// Place within the block, from 0.
    pub ordinal: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-{}", self.block, self.ordinal)
    }
}

impl FromStr for CallId {
    type Err = BadCallId;

    fn from_str(text: &str) -> Result<Self, BadCallId> {
        let parse = || {
            let (block, ordinal) = text.strip_prefix('c')?.split_once('-')?;
            let id = CallId {
                block: block.parse().ok()?,
                ordinal: ordinal.parse().ok()?,
            };
            // One spelling per call: `c07-1` and `c+7-1` are not names.
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| BadCallId(text.chars().take(40).collect()))
    }
}

/// Text that is not the name of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a call id; they look like c12-7")]
pub struct BadCallId(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_reads_back_as_it_was_written() {
        let id = CallId {
            block: 12,
            ordinal: 7,
        };
        assert_eq!(id.to_string(), "c12-7");
        assert_eq!("c12-7".parse(), Ok(id));
    }

    #[test]
    fn only_one_spelling_names_a_call() {
        for text in [
            "",
            "c",
            "c12",
            "12-7",
            "c-",
            "c07-1",
            "c+7-1",
            "c1-2-3",
            "c1-99999999999",
        ] {
            assert!(
                text.parse::<CallId>().is_err(),
                "{text:?} was taken for a call id"
            );
        }
    }
}
