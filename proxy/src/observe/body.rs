//! Finds the end of an HTTP/1 message body, and takes the transfer coding off.
//!
//! RFC 9112 sections 6.3 and 7.1. Data is handed out in runs as it lies in the segment; nothing is
//! copied or held here.

use memchr::memchr;

use super::head::{Coding, Facts, Length};

/// Most digits of a chunk size: more than 64 bits hold no size.
const SIZE_DIGITS: u8 = 16;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// After so many more bytes.
    Sized(u64),
    /// With a last chunk and trailers.
    Chunked(Chunk),
    /// When the sender closes.
    UntilClose,
}

/// Where a reader stands within the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// Within the digits of a size.
    Size { bytes: u64, digits: u8 },
    /// Behind the digits, before the line ends.
    Extension { bytes: u64 },
    /// Within the data.
    Data { left: u64 },
    /// Behind the data, before its line end.
    DataEnd,
    /// Behind the CR of that line end.
    DataCr,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// Behind a CR there.
    TrailerCr,
    /// Within a trailer line.
    Trailer,
}

impl Chunk {
    pub(crate) const START: Self = Self::Size {
        bytes: 0,
        digits: 0,
    };
}

/// What the next bytes of a body are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Content.
    Data(&'a [u8]),
    /// A piece of the trailer field lines.
    Trailers(&'a [u8]),
    /// Framing that is not kept.
    Framing,
    /// The body ended with the byte before.
    End,
    /// The next byte fits no framing.
    Malformed,
}

impl Body {
    /// The framing of a request; `None` where no two readers need agree on it.
    pub(crate) fn of_request(facts: &Facts) -> Option<Self> {
        match (facts.coding, facts.length) {
            (Coding::Chunked, Length::Absent | Length::Bytes(_)) => {
                Some(Self::Chunked(Chunk::START))
            }
            (Coding::Absent, Length::Bytes(bytes)) => Some(Self::Sized(bytes)),
            (Coding::Absent, Length::Absent) => Some(Self::Sized(0)),
            _ => None,
        }
    }

    /// The framing of a final response that may have a body; `None` where it is ambiguous.
    pub(crate) fn of_response(facts: &Facts) -> Option<Self> {
        match (facts.coding, facts.length) {
            (Coding::Other, Length::Absent | Length::Bytes(_)) => Some(Self::UntilClose),
            (Coding::Absent, Length::Absent) => Some(Self::UntilClose),
            _ => Self::of_request(facts),
        }
    }

    /// How much more content is known to come, over the whole body.
    pub(super) fn expected(&self) -> Option<u64> {
        match self {
            Self::Sized(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Whether what comes next are trailers, or the empty line in their place.
    pub(crate) fn is_in_trailers(&self) -> bool {
        use Chunk::{Trailer, TrailerCr, TrailerStart};
        matches!(self, Self::Chunked(TrailerStart | TrailerCr | Trailer))
    }

    /// Takes the next part off the front of `rest`. An empty `rest` gives [`Part::End`] where the
    /// body is over, else [`Part::Framing`].
    pub(crate) fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Part<'a> {
        match self {
            Self::Sized(0) => Part::End,
            Self::Sized(left) => Part::Data(take_run(rest, left)),
            Self::UntilClose => Part::Data(std::mem::take(rest)),
            Self::Chunked(chunk) => chunk.next(rest),
        }
    }
}

impl Chunk {
    fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Part<'a> {
        match self {
            Self::Data { left: 0 } => {
                *self = Self::DataEnd;
                Part::Framing
            }
            Self::Data { left } => Part::Data(take_run(rest, left)),
            Self::Trailer => {
                let end = memchr(b'\n', rest);
                if end.is_some() {
                    *self = Self::TrailerStart;
                }
                Part::Trailers(take(rest, end.map_or(rest.len(), |end| end + 1)))
            }
            Self::Extension { bytes } => {
                let end = memchr(b'\n', rest);
                if end.is_some() {
                    *self = Self::after_size(*bytes);
                }
                take(rest, end.map_or(rest.len(), |end| end + 1));
                Part::Framing
            }
            _ => self.byte(rest),
        }
    }

    /// The places where single bytes decide.
    fn byte<'a>(&mut self, rest: &mut &'a [u8]) -> Part<'a> {
        let Some(byte) = rest.first() else {
            return Part::Framing;
        };
        let next = match (*self, byte) {
            (Self::Size { bytes, digits }, _) => Self::size(bytes, digits, *byte),
            (Self::DataEnd, b'\r') => Some(Self::DataCr),
            (Self::DataEnd | Self::DataCr, b'\n') => Some(Self::START),
            (Self::TrailerStart, b'\r') => Some(Self::TrailerCr),
            (Self::TrailerStart | Self::TrailerCr, b'\n') => {
                take(rest, 1);
                return Part::End;
            }
            (Self::TrailerStart, _) => {
                *self = Self::Trailer;
                return Part::Framing;
            }
            _ => None,
        };
        let Some(next) = next else {
            return Part::Malformed;
        };
        *self = next;
        take(rest, 1);
        Part::Framing
    }

    fn size(bytes: u64, digits: u8, byte: u8) -> Option<Self> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            return (digits < SIZE_DIGITS).then(|| Self::Size {
                bytes: bytes << 4 | u64::from(digit),
                digits: digits + 1,
            });
        }
        match byte {
            _ if digits == 0 => None,
            b'\n' => Some(Self::after_size(bytes)),
            b';' | b' ' | b'\t' | b'\r' => Some(Self::Extension { bytes }),
            _ => None,
        }
    }

    fn after_size(bytes: u64) -> Self {
        if bytes == 0 {
            Self::TrailerStart
        } else {
            Self::Data { left: bytes }
        }
    }
}

/// Takes at most `left` bytes off the front.
fn take_run<'a>(rest: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let count = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
    *left -= count as u64;
    take(rest, count)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests;
