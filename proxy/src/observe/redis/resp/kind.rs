//! The kinds of values, by their first byte.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Simple,
    Error,
    Integer,
    Bulk,
    Array,
    Null,
    Double,
    Boolean,
    BulkError,
    Verbatim,
    BigNumber,
    Map,
    Set,
    Push,
    /// Pairs about the value that follows them; no value by themselves.
    Attribute,
    /// A piece of a streamed string.
    Chunk,
    /// The end of a streamed aggregate.
    End,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            b'+' => Self::Simple,
            b'-' => Self::Error,
            b':' => Self::Integer,
            b'$' => Self::Bulk,
            b'*' => Self::Array,
            b'_' => Self::Null,
            b',' => Self::Double,
            b'#' => Self::Boolean,
            b'!' => Self::BulkError,
            b'=' => Self::Verbatim,
            b'(' => Self::BigNumber,
            b'%' => Self::Map,
            b'~' => Self::Set,
            b'>' => Self::Push,
            b'|' => Self::Attribute,
            b';' => Self::Chunk,
            b'.' => Self::End,
            _ => return None,
        })
    }

    /// Whether its line is the length of a text that follows.
    pub(super) fn is_sized(self) -> bool {
        matches!(
            self,
            Self::Bulk | Self::BulkError | Self::Verbatim | Self::Chunk
        )
    }

    /// Elements for each of those that its line counts; `None` for what has no elements.
    pub(super) fn elements(self) -> Option<u64> {
        match self {
            Self::Array | Self::Set | Self::Push => Some(1),
            Self::Map | Self::Attribute => Some(2),
            _ => None,
        }
    }

    /// Whether it stands between the elements of an aggregate without being one.
    pub(super) fn is_aside(self) -> bool {
        matches!(self, Self::Attribute | Self::Push)
    }
}
