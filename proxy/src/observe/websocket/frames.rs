//! One direction of a WebSocket: frames in pieces of any size, put together to messages.

use remora_store::call::{MessageKind, Omitted, Side};

use super::frame::{Head, HeadReader, Opcode};
use crate::extensions::Extensions;
use crate::observe::Limits;
use crate::observe::draft::Grant;
use crate::observe::messages::{Ended, Messages};

/// The bytes are not what RFC 6455 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads what one side sends.
#[derive(Debug)]
pub(super) struct Frames {
    from: Side,
    /// Reserved bits that mean something, as the lowest three.
    allowed: u8,
    place: Place,
    /// The message of which the last frame has not come.
    message: Option<Open>,
    /// The payload of the control frame that is being read.
    control: Vec<u8>,
    closed: bool,
    last_byte: Option<u64>,
}

#[derive(Debug)]
enum Place {
    Head(HeadReader),
    /// Within a payload, of which `left` bytes are to come.
    Payload {
        head: Head,
        left: u64,
    },
    /// Behind a Close frame, or behind what is none at all: nothing is read any more.
    Over,
}

/// A message that has begun.
#[derive(Debug, Clone, Copy)]
struct Open {
    kind: MessageKind,
    compressed: bool,
    size: u64,
}

impl Frames {
    /// The frames of `from`, who sent the last byte of its part of the handshake at `last_byte`.
    pub(super) fn new(from: Side, extensions: Extensions, last_byte: Option<u64>) -> Self {
        Self {
            from,
            allowed: extensions.reserved_bits(),
            place: Place::Head(HeadReader::default()),
            message: None,
            control: Vec::new(),
            closed: false,
            last_byte,
        }
    }

    /// When the last byte came.
    pub(super) fn last_byte(&self) -> Option<u64> {
        self.last_byte
    }

    /// Whether a Close frame came.
    pub(super) fn has_closed(&self) -> bool {
        self.closed
    }

    /// Bytes came that nobody looks at.
    pub(super) fn skip(&mut self, at: u64) {
        self.last_byte = Some(at);
    }

    /// Reads on. What is malformed, and all behind it, is not read.
    pub(super) fn read(
        &mut self,
        messages: &mut Messages,
        limits: &Limits,
        grant: &mut Grant,
        bytes: &[u8],
        at: u64,
    ) -> Result<(), Malformed> {
        self.last_byte = Some(at);
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.place {
                Place::Head(reader) => match reader.read(&mut rest) {
                    Ok(None) => {}
                    Ok(Some(head)) => {
                        if self.begin(head).is_err() {
                            return self.give_up(messages);
                        }
                        self.end_if_whole(messages, grant, at);
                    }
                    Err(Malformed) => return self.give_up(messages),
                },
                Place::Payload { head, left } => {
                    let count = usize::try_from(*left).map_or(rest.len(), |n| n.min(rest.len()));
                    let (piece, behind) = rest.split_at(count);
                    rest = behind;
                    let turn = head.length - *left;
                    *left -= count as u64;
                    let kept = match head.opcode {
                        Opcode::Control(_) => {
                            self.control.extend_from_slice(piece);
                            let before = self.control.len() - count;
                            self.control.get_mut(before..).unwrap_or_default()
                        }
                        _ => messages.keep(self.from, piece, limits, grant),
                    };
                    unmask(kept, head.mask, turn);
                    self.end_if_whole(messages, grant, at);
                }
                Place::Over => {
                    messages.give_up(self.from, Omitted::Opaque);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A frame begins.
    fn begin(&mut self, head: Head) -> Result<(), Malformed> {
        // Compression is told by the first frame of a message (RFC 7692 section 6).
        let allowed = match head.opcode {
            Opcode::Message(_) => self.allowed,
            Opcode::Continuation | Opcode::Control(_) => self.allowed & !Extensions::COMPRESSED,
        };
        if head.reserved & !allowed != 0 {
            return Err(Malformed);
        }
        match (head.opcode, &mut self.message) {
            (Opcode::Control(_), _) => {}
            (Opcode::Continuation, Some(open)) => open.size = open.size.saturating_add(head.length),
            (Opcode::Message(kind), message @ None) => {
                *message = Some(Open {
                    kind,
                    compressed: head.reserved != 0,
                    size: head.length,
                });
            }
            (Opcode::Continuation, None) | (Opcode::Message(_), Some(_)) => return Err(Malformed),
        }
        self.place = Place::Payload {
            head,
            left: head.length,
        };
        Ok(())
    }

    fn end_if_whole(&mut self, messages: &mut Messages, grant: &mut Grant, at: u64) {
        let Place::Payload { head, left: 0 } = self.place else {
            return;
        };
        self.place = Place::Head(HeadReader::default());
        if let Opcode::Control(kind) = head.opcode {
            messages.control(self.from, kind, &self.control, at, grant);
            self.control = Vec::new();
            if kind == MessageKind::Close {
                self.closed = true;
                self.place = Place::Over;
            }
        } else if head.fin
            && let Some(open) = self.message.take()
        {
            let ended = Ended {
                kind: open.kind,
                size: open.size,
                compressed: open.compressed,
                at,
            };
            messages.end(self.from, ended, grant);
        }
    }

    fn give_up(&mut self, messages: &mut Messages) -> Result<(), Malformed> {
        self.place = Place::Over;
        self.message = None;
        self.control = Vec::new();
        messages.give_up(self.from, Omitted::Opaque);
        Err(Malformed)
    }

    /// Nothing more comes: what has begun will not be whole.
    pub(super) fn end(&mut self, messages: &mut Messages) {
        if self.message.take().is_some() {
            messages.give_up(self.from, Omitted::Opaque);
        }
    }
}

/// Undoes the masking of a piece that begins at byte `turn` of its payload (RFC 6455 section 5.3).
fn unmask(bytes: &mut [u8], mut mask: [u8; 4], turn: u64) {
    if mask == [0; 4] {
        return;
    }
    mask.rotate_left(usize::try_from(turn % 4).unwrap_or(0));
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
