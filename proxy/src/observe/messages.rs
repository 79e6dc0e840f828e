//! The messages inside the bodies of one call while they pass: all are counted, the first ones kept.
//!
//! Owns the bounds and what is taken from the budget. Where a message ends is its protocol's
//! business; what it says is looked at when the record is sealed.

use bytes::Bytes;
use remora_store::call::{MAX_KEPT_MESSAGES, MessageKind, Omitted, Side, Stream, StreamMessage};

use super::Limits;
use super::draft::{Grant, OPEN_BODY_BYTES, reserve};

/// Most messages that the partial record of a running call carries.
const OPEN_MESSAGES: usize = 64;

/// Messages for which room is made at first.
const FIRST_MESSAGES: usize = 4;

/// The messages of both directions.
#[derive(Debug, Default)]
pub(super) struct Messages {
    client: Direction,
    server: Direction,
    /// Payloads of control frames, which come in the midst of other messages.
    control: Vec<u8>,
    listed: Vec<Listed>,
    /// The list ended before its time, because the budget had no room: one with gaps would mislead.
    refused: bool,
    /// Places at the end of the list that only Close frames take.
    closes: usize,
}

/// What one side sends.
#[derive(Debug, Default)]
struct Direction {
    count: u64,
    /// Payloads as far as they are kept, one after the other; the last may belong to a message that
    /// is still coming.
    payloads: Vec<u8>,
    /// Where the payload of the coming message begins.
    start: usize,
    /// Why less of the coming message is kept.
    coming: Option<Omitted>,
    /// Why less is kept of what came, the first reason.
    omitted: Option<Omitted>,
}

/// A message that is kept.
#[derive(Debug)]
struct Listed {
    from: Side,
    kind: MessageKind,
    at: u64,
    size: u64,
    compressed: bool,
    omitted: Option<Omitted>,
    start: usize,
    length: usize,
}

/// What is known of a message when it has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) kind: MessageKind,
    /// Size on the wire, without framing.
    pub(super) size: u64,
    pub(super) compressed: bool,
    pub(super) at: u64,
}

impl Messages {
    /// Keeps the last places of the list for the Close frames of both sides, which a long stream would
    /// not leave any.
    pub(super) fn await_closes(&mut self) {
        self.closes = 2;
    }

    /// Keeps a piece of the payload that `from` is sending, as far as the body limit of its
    /// direction and the budget go; gives what was kept of it, to be unmasked where it lies.
    pub(super) fn keep(
        &mut self,
        from: Side,
        piece: &[u8],
        limits: &Limits,
        grant: &mut Grant,
    ) -> &mut [u8] {
        let unlisted = self.is_full(MessageKind::Other);
        let direction = self.direction(from);
        let before = direction.payloads.len();
        let room = match direction.coming {
            None if !unlisted => limits.body_bytes.saturating_sub(before),
            _ => 0,
        };
        let kept = piece.get(..room.min(piece.len())).unwrap_or_default();
        if kept.len() < piece.len() {
            direction.coming.get_or_insert(Omitted::Limit);
        }
        if kept.len() > direction.payloads.capacity() - before {
            // Small messages come in numbers: the room doubles, as far as the limit goes.
            let growth = kept.len().max(before).min(room);
            if reserve(&mut direction.payloads, growth, grant).is_err() {
                direction.coming = Some(Omitted::Budget);
                return &mut [];
            }
        }
        direction.payloads.extend_from_slice(kept);
        direction.payloads.get_mut(before..).unwrap_or_default()
    }

    /// Nothing of the payload that `from` is sending is kept.
    pub(super) fn leave_out(&mut self, from: Side, why: Omitted) {
        self.direction(from).coming.get_or_insert(why);
    }

    /// The message that `from` was sending has ended; says whether it is listed.
    pub(super) fn end(&mut self, from: Side, ended: Ended, grant: &mut Grant) -> bool {
        let direction = self.direction(from);
        direction.count += 1;
        let (start, omitted) = (direction.start, direction.coming.take());
        let length = direction.payloads.len() - start;
        let listed = Listed::new(from, ended, omitted, start..start + length);
        let refusal = self.list(listed, grant);
        let direction = self.direction(from);
        if refusal.is_some() {
            direction.payloads.truncate(start);
        }
        direction.start = direction.payloads.len();
        // The text of events stays in the body, which says itself whether it is whole.
        if ended.kind != MessageKind::Event {
            direction.omitted = direction.omitted.or(omitted).or(refusal);
        }
        refusal.is_none()
    }

    /// The line end of the event that was listed last has one byte more.
    pub(super) fn lengthen_last_event(&mut self) {
        if let Some(last) = self.listed.last_mut() {
            last.size += 1;
        }
    }

    /// A control frame came whole. It is listed, but not counted.
    pub(super) fn control(
        &mut self,
        from: Side,
        kind: MessageKind,
        payload: &[u8],
        at: u64,
        grant: &mut Grant,
    ) {
        let start = self.control.len();
        let room = self.control.capacity() - start;
        let growth = payload.len().max(start);
        if !self.is_full(kind) && payload.len() > room {
            self.refused = reserve(&mut self.control, growth, grant).is_err();
        }
        if !self.is_full(kind) {
            self.control.extend_from_slice(payload);
        }
        let ended = Ended {
            kind,
            size: payload.len() as u64,
            compressed: false,
            at,
        };
        let place = start..start + payload.len();
        if let Some(refusal) = self.list(Listed::new(from, ended, None, place), grant) {
            self.control.truncate(start);
            self.direction(from).omitted.get_or_insert(refusal);
        }
    }

    /// What `from` is sending from now on, or was sending until now, is no message.
    pub(super) fn give_up(&mut self, from: Side, why: Omitted) {
        let direction = self.direction(from);
        direction.payloads.truncate(direction.start);
        direction.coming = None;
        direction.omitted.get_or_insert(why);
    }

    /// Whether further messages of a kind are only counted.
    fn is_full(&self, kind: MessageKind) -> bool {
        let kept_free = match kind {
            MessageKind::Close => 0,
            _ => self.closes,
        };
        self.refused || self.listed.len() + kept_free >= MAX_KEPT_MESSAGES
    }

    /// Lists a message; says why not, if it is not.
    fn list(&mut self, message: Listed, grant: &mut Grant) -> Option<Omitted> {
        if self.refused {
            return Some(Omitted::Budget);
        }
        if self.is_full(message.kind) {
            return Some(Omitted::Limit);
        }
        if self.listed.len() == self.listed.capacity() {
            let growth = self.listed.len().max(FIRST_MESSAGES);
            if grant.take(growth * size_of::<StreamMessage>()).is_err() {
                self.refused = true;
                return Some(Omitted::Budget);
            }
            self.listed.reserve_exact(growth);
        }
        self.listed.push(message);
        None
    }

    fn direction(&mut self, from: Side) -> &mut Direction {
        match from {
            Side::Server => &mut self.server,
            Side::Client | Side::Sidecar => &mut self.client,
        }
    }

    /// Why less is kept of a direction than came, if that is so.
    pub(super) fn omitted(&self, from: Side) -> Option<Omitted> {
        match from {
            Side::Server => self.server.omitted,
            Side::Client | Side::Sidecar => self.client.omitted,
        }
    }

    /// The finished list.
    pub(super) fn into_stream(mut self, grant: &mut Grant) -> Stream {
        let [client, server, control] = [
            &mut self.client.payloads,
            &mut self.server.payloads,
            &mut self.control,
        ]
        .map(|payloads| {
            let before = payloads.capacity();
            payloads.shrink_to_fit();
            grant.give_back(before - payloads.capacity());
            Bytes::from(std::mem::take(payloads))
        });
        let unused = self.listed.capacity() - self.listed.len();
        grant.give_back(unused * size_of::<StreamMessage>());
        let messages = self.listed.iter().map(|listed| {
            let payloads = match (listed.is_control(), listed.from) {
                (true, _) => &control,
                (false, Side::Server) => &server,
                (false, _) => &client,
            };
            listed.message(payloads.slice(listed.start..listed.start + listed.length))
        });
        Stream {
            client_messages: self.client.count,
            server_messages: self.server.count,
            messages: messages.collect(),
        }
    }

    /// The counts, and of the messages the first ones; `leave_out` is told which are not there whole.
    pub(super) fn partial(&self, mut leave_out: impl FnMut(Side)) -> Stream {
        let mut room = OPEN_BODY_BYTES;
        let mut messages = Vec::with_capacity(self.listed.len().min(OPEN_MESSAGES));
        for listed in &self.listed {
            if messages.len() == OPEN_MESSAGES {
                leave_out(listed.from);
                continue;
            }
            let payloads = match (listed.is_control(), listed.from) {
                (true, _) => &self.control,
                (false, Side::Server) => &self.server.payloads,
                (false, _) => &self.client.payloads,
            };
            let place = listed.start..listed.start + listed.length.min(room);
            let payload = payloads.get(place).unwrap_or_default();
            room -= payload.len();
            let mut message = listed.message(Bytes::copy_from_slice(payload));
            if payload.len() < listed.length {
                message.omitted.get_or_insert(Omitted::Limit);
                leave_out(listed.from);
            }
            messages.push(message);
        }
        Stream {
            client_messages: self.client.count,
            server_messages: self.server.count,
            messages,
        }
    }
}

impl Listed {
    fn new(
        from: Side,
        ended: Ended,
        omitted: Option<Omitted>,
        place: std::ops::Range<usize>,
    ) -> Self {
        Self {
            from,
            kind: ended.kind,
            at: ended.at,
            size: ended.size,
            compressed: ended.compressed,
            omitted,
            start: place.start,
            length: place.len(),
        }
    }

    fn is_control(&self) -> bool {
        use MessageKind::{Close, Ping, Pong};
        matches!(self.kind, Close | Ping | Pong)
    }

    fn message(&self, payload: Bytes) -> StreamMessage {
        StreamMessage {
            from: self.from,
            kind: self.kind,
            at: self.at,
            size: self.size,
            compressed: self.compressed,
            payload,
            decoded: false,
            omitted: self.omitted,
        }
    }
}
