//! Reads values of RESP2 and RESP3 piece by piece: where each begins and ends, and of its text the
//! beginning. Values are never gathered: a string of 512 MiB is counted as it passes.
//!
//! Specification: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. Streamed strings
//! and aggregates of RESP3 are read too, though no server is known that sends them.

mod kind;

use memchr::memchr2;

pub(crate) use kind::Kind;

/// Bytes of a text that are remembered: enough for every word that means something to an observer.
const PREFIX_BYTES: usize = 32;

/// Longest number that is a line: `-` and the 19 digits of 64 bits.
const NUMBER_BYTES: u64 = 20;

/// How deep aggregates may be nested. Replies of Redis itself go to about ten.
const DEPTH: usize = 64;

/// Most elements of an aggregate, which is more than a server can hold.
const ELEMENTS: u64 = u32::MAX as u64;

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// An aggregate begins; `None` elements: as many as come until its end is told.
    Opened {
        kind: Kind,
        depth: usize,
        elements: Option<u64>,
    },
    /// A value without elements is complete.
    Value {
        kind: Kind,
        depth: usize,
        null: bool,
    },
    /// These bytes cannot be RESP; nothing can be read from here on.
    Malformed,
}

/// A piece of the input that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many bytes.
    pub(crate) used: usize,
    /// Which of them are text of a value, and not framing.
    pub(crate) text: (usize, usize),
    pub(crate) found: Option<Found>,
    /// Depth of the outermost value that ended here, if one did.
    pub(crate) ended: Option<usize>,
}

/// The reader of one direction.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    place: Place,
    stack: Vec<Level>,
    text: Prefix,
    /// Within a value, or behind its attributes.
    within: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
    /// Before the first byte of a value.
    #[default]
    Between,
    /// In the line behind that byte.
    Line(Kind),
    /// Behind the CR at its end.
    LineEnd(Kind),
    /// In a text of which so much is still to come.
    Text(Kind, u64),
    /// In the line end behind a text, of which so many bytes have come.
    TextEnd(Kind, usize),
}

/// An aggregate that is being read.
#[derive(Debug, Clone, Copy)]
struct Level {
    kind: Kind,
    /// Elements still to come; `None`: until the end is told.
    left: Option<u64>,
}

/// The beginning of a text.
#[derive(Debug, Clone, Copy, Default)]
struct Prefix {
    bytes: [u8; PREFIX_BYTES],
    length: u64,
}

impl Prefix {
    fn push(&mut self, text: &[u8]) {
        let from = usize::try_from(self.length).unwrap_or(PREFIX_BYTES);
        let room = self.bytes.get_mut(from..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(text) {
            *place = *byte;
        }
        self.length = self.length.saturating_add(text.len() as u64);
    }

    fn kept(&self) -> &[u8] {
        let length = usize::try_from(self.length).unwrap_or(PREFIX_BYTES);
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }
}

impl Step {
    fn of(used: usize) -> Self {
        Self {
            used,
            text: (0, 0),
            found: None,
            ended: None,
        }
    }

    fn malformed(used: usize) -> Self {
        Self::of(used).broken()
    }

    /// What comes behind it cannot be read.
    fn broken(self) -> Self {
        Self {
            found: Some(Found::Malformed),
            ..self
        }
    }
}

impl Reader {
    /// Whether the next byte is the first of a value that is in no other.
    pub(crate) fn is_between(&self) -> bool {
        !self.within
    }

    /// The beginning of the text that is being read, or was read last.
    pub(crate) fn text(&self) -> &[u8] {
        self.text.kept()
    }

    /// Reads on, up to the next thing that is found. Uses at least one byte of an input that has any,
    /// unless it is malformed.
    pub(crate) fn read(&mut self, input: &[u8]) -> Step {
        match self.place {
            Place::Between => self.begin(input),
            Place::Line(kind) => self.line(kind, input),
            Place::LineEnd(kind) => self.line_end(kind, input),
            Place::Text(kind, left) => self.sized(kind, left, input),
            Place::TextEnd(kind, come) => self.text_end(kind, come, input),
        }
    }

    fn begin(&mut self, input: &[u8]) -> Step {
        let Some((first, rest)) = input.split_first() else {
            return Step::of(0);
        };
        let Some(kind) = Kind::of(*first).filter(|kind| self.may_begin(*kind)) else {
            return Step::malformed(0);
        };
        self.within = true;
        self.text = Prefix::default();
        self.place = Place::Line(kind);
        let mut step = self.line(kind, rest);
        step.used += 1;
        step.text = (step.text.0 + 1, step.text.1 + 1);
        step
    }

    /// Pieces and ends belong to what is streamed, and nothing else to a streamed string.
    fn may_begin(&self, kind: Kind) -> bool {
        match self.stack.last() {
            Some(Level {
                kind: Kind::Bulk, ..
            }) => kind == Kind::Chunk,
            Some(Level { left: None, .. }) => kind != Kind::Chunk,
            _ => !matches!(kind, Kind::Chunk | Kind::End),
        }
    }

    fn line(&mut self, kind: Kind, input: &[u8]) -> Step {
        let is_number = kind.is_sized() || kind.elements().is_some();
        // No more of a number is looked at than makes it too long, wherever the input was cut.
        let room = match is_number {
            true => (NUMBER_BYTES + 1).saturating_sub(self.text.length),
            false => u64::MAX,
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let within = input.get(..room).unwrap_or(input);
        let end = memchr2(b'\r', b'\n', within).unwrap_or(within.len());
        let text = within.get(..end).unwrap_or(within);
        self.text.push(text);
        let step = Step {
            text: if is_number { (0, 0) } else { (0, end) },
            ..Step::of(end)
        };
        if is_number && self.text.length > NUMBER_BYTES {
            return step.broken();
        }
        match within.get(end..) {
            None | Some([]) => step,
            Some([b'\r', behind @ ..]) => {
                self.place = Place::LineEnd(kind);
                let rest = self.line_end(kind, behind);
                Step {
                    used: end + 1 + rest.used,
                    text: step.text,
                    ..rest
                }
            }
            Some(_) => step.broken(),
        }
    }

    fn line_end(&mut self, kind: Kind, input: &[u8]) -> Step {
        match input.first() {
            None => Step::of(0),
            Some(b'\n') => self.end_line(kind, Step::of(1)),
            Some(_) => Step::malformed(0),
        }
    }

    fn end_line(&mut self, kind: Kind, step: Step) -> Step {
        if kind == Kind::End {
            return self.end_streamed(step);
        }
        let number = match self.text.kept() {
            _ if !kind.is_sized() && kind.elements().is_none() => {
                return self.value(kind, kind == Kind::Null, step);
            }
            b"?" if kind != Kind::Chunk => None,
            b"-1" if matches!(kind, Kind::Bulk | Kind::Array) => {
                return self.value(kind, true, step);
            }
            digits => match number(digits) {
                Some(number) => Some(number),
                None => return Step::malformed(step.used),
            },
        };
        match (kind.elements(), number) {
            (None, None) if kind != Kind::Bulk => Step::malformed(step.used),
            // The last piece of a streamed string.
            (None, Some(0)) if kind == Kind::Chunk => self.end_streamed(step),
            (None, Some(length)) => {
                self.text = Prefix::default();
                self.place = match length {
                    0 => Place::TextEnd(kind, 0),
                    _ => Place::Text(kind, length),
                };
                step
            }
            (each, number) => self.open(kind, number.zip(each).map(|(n, each)| n * each), step),
        }
    }

    fn open(&mut self, kind: Kind, elements: Option<u64>, step: Step) -> Step {
        let depth = self.stack.len();
        if depth >= DEPTH || elements.is_some_and(|elements| elements > ELEMENTS) {
            return Step::malformed(step.used);
        }
        self.place = Place::Between;
        let found = Some(Found::Opened {
            kind,
            depth,
            elements,
        });
        self.stack.push(Level {
            kind,
            left: elements,
        });
        let ended = match elements {
            Some(0) => self.end_top(),
            _ => None,
        };
        Step {
            found,
            ended,
            ..step
        }
    }

    fn sized(&mut self, kind: Kind, left: u64, input: &[u8]) -> Step {
        let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (text, rest) = input.split_at(here);
        self.text.push(text);
        let left = left - here as u64;
        if left > 0 {
            self.place = Place::Text(kind, left);
            return Step {
                text: (0, here),
                ..Step::of(here)
            };
        }
        let step = self.text_end(kind, 0, rest);
        Step {
            used: here + step.used,
            text: (0, here),
            ..step
        }
    }

    fn text_end(&mut self, kind: Kind, come: usize, input: &[u8]) -> Step {
        let awaited = b"\r\n".get(come..).unwrap_or_default();
        let here = awaited.len().min(input.len());
        let pairs = input.iter().zip(awaited);
        let fitting = pairs.take_while(|(byte, awaited)| byte == awaited).count();
        if fitting < here {
            return Step::malformed(fitting);
        }
        self.place = Place::TextEnd(kind, come + here);
        match here == awaited.len() {
            true => self.value(kind, false, Step::of(here)),
            false => Step::of(here),
        }
    }

    /// A value without elements is complete.
    fn value(&mut self, kind: Kind, null: bool, step: Step) -> Step {
        self.place = Place::Between;
        let depth = self.stack.len();
        if kind == Kind::Chunk {
            return step;
        }
        Step {
            found: Some(Found::Value { kind, depth, null }),
            ended: self.end_value(),
            ..step
        }
    }

    fn end_streamed(&mut self, step: Step) -> Step {
        self.place = Place::Between;
        match self.stack.last() {
            Some(Level { left: None, .. }) => Step {
                ended: self.end_top(),
                ..step
            },
            _ => Step::malformed(step.used),
        }
    }

    /// Takes the innermost aggregate as complete.
    fn end_top(&mut self) -> Option<usize> {
        let level = self.stack.pop()?;
        match level.kind {
            // What it is about is still to come.
            Kind::Attribute => None,
            kind if kind.is_aside() && !self.stack.is_empty() => None,
            _ => self.end_value(),
        }
    }

    /// A value ended in the innermost aggregate, and with it perhaps that one. Gives the depth of the
    /// outermost that did.
    fn end_value(&mut self) -> Option<usize> {
        let depth = self.stack.len();
        let Some(level) = self.stack.last_mut() else {
            self.within = false;
            return Some(0);
        };
        let Some(left) = &mut level.left else {
            return Some(depth);
        };
        *left = left.saturating_sub(1);
        match left {
            0 => Some(self.end_top().unwrap_or(depth)),
            _ => Some(depth),
        }
    }
}

/// A length, in digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    let number = digits.parse::<u64>().ok()?;
    // What a signed number of 64 bits holds, as in Redis itself.
    i64::try_from(number).is_ok().then_some(number)
}

#[cfg(test)]
mod tests;
