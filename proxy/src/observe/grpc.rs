//! gRPC's messages inside the DATA of a stream: five bytes of prefix before each, wherever the
//! frames are cut.
//!
//! What the messages mean, their compression and the status are read where a call is shown.

use remora_store::call::{MessageKind, Omitted, Side};

use super::Limits;
use super::draft::Draft;
use super::messages::Ended;

/// Compressed-Flag and length.
const PREFIX_BYTES: usize = 5;

/// Reads one direction of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grpc {
    prefix: [u8; PREFIX_BYTES],
    /// How much of the prefix was read.
    read: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
}

impl Grpc {
    /// Bytes that `from` sent in DATA, in pieces of any size.
    pub(super) fn data(
        &mut self,
        draft: &mut Draft,
        limits: &Limits,
        from: Side,
        mut bytes: &[u8],
        at: u64,
    ) {
        let (message, _) = draft.message(from);
        message.body_size = message.body_size.saturating_add(bytes.len() as u64);
        let Some(messages) = &mut draft.messages else {
            draft.message(from).0.omitted = Some(Omitted::Budget);
            return;
        };
        while !bytes.is_empty() {
            self.prefix(&mut bytes);
            if self.read < PREFIX_BYTES {
                return;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            bytes = rest;
            self.left -= piece.len();
            if !piece.is_empty() {
                messages.keep(from, piece, limits, &mut draft.grant);
            }
            if self.left == 0 {
                self.read = 0;
                let ended = Ended {
                    kind: MessageKind::Grpc,
                    size: self.length() as u64,
                    compressed: self.prefix.first().is_some_and(|flag| flag & 1 != 0),
                    at,
                };
                messages.end(from, ended, &mut draft.grant);
            }
        }
    }

    /// Reads what is missing of the prefix.
    fn prefix(&mut self, bytes: &mut &[u8]) {
        let missing = self.prefix.get_mut(self.read..).unwrap_or_default();
        if missing.is_empty() {
            return;
        }
        let (piece, rest) = bytes.split_at(missing.len().min(bytes.len()));
        for (place, byte) in missing.iter_mut().zip(piece) {
            *place = *byte;
        }
        self.read += piece.len();
        self.left = self.length();
        *bytes = rest;
    }

    fn length(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)
    }

    /// Nothing more comes: a message that has begun will not be whole, and is not kept.
    pub(super) fn end(&self, draft: &mut Draft, from: Side) {
        if let Some(messages) = &mut draft.messages
            && self.read > 0
        {
            messages.give_up(from, Omitted::Opaque);
        }
    }
}
