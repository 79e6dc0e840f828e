//! A record while it is being written: what is kept of a call, and what it takes from the budget.
//!
//! Which bytes belong to which part of the call is the protocol's business.

use bytes::Bytes;
use remora_store::call::{
    Call, CallError, Detail, EffectKind, Injected, Message, Omitted, Phases, Protocol, Side, State,
};

mod budgeted;
mod grant;

use super::connection::Connection;
use super::messages::Messages;
use super::{Limits, Recorded};
use crate::budget::Budget;
pub(super) use budgeted::Budgeted;
pub(super) use grant::{Grant, Refused, keep_up_to, reserve};

/// What a record takes beside the bytes it keeps: itself, and its share of the queues it passes.
const RECORD_BYTES: usize = size_of::<Call>() + 128;

/// Most bytes of each body that the partial record of a running call carries.
pub(super) const OPEN_BODY_BYTES: usize = 4 * 1024;

/// A call on its way to being a record.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) protocol: Protocol,
    ordinal: u32,
    pub(super) probe: bool,
    pub(super) phases: Phases,
    pub(super) error: Option<CallError>,
    /// When the last byte of the response body came, as far as it has.
    pub(super) last_byte: Option<u64>,
    pub(super) request: MessageDraft,
    pub(super) response: MessageDraft,
    pub(super) interim: Vec<u8>,
    pub(super) detail: Detail,
    /// The messages inside the bodies, where the protocol has such.
    pub(super) messages: Option<Box<Messages>>,
    /// What the sidecar itself did to the call.
    fault: Option<Injected>,
    pub(super) grant: Grant,
}

/// One direction of it.
#[derive(Debug, Default)]
pub(super) struct MessageDraft {
    pub(super) head: Vec<u8>,
    body: Vec<u8>,
    pub(super) body_size: u64,
    pub(super) trailers: Vec<u8>,
    pub(super) omitted: Option<Omitted>,
}

impl Draft {
    /// `None` where the budget has no room for another record.
    pub(super) fn new(protocol: Protocol, ordinal: u32, budget: &Budget) -> Option<Self> {
        let mut grant = Grant::new(budget);
        grant.take(RECORD_BYTES).ok()?;
        Some(Self {
            protocol,
            ordinal,
            probe: false,
            phases: Phases::default(),
            error: None,
            last_byte: None,
            request: MessageDraft::default(),
            response: MessageDraft::default(),
            interim: Vec::new(),
            detail: Detail::None,
            messages: None,
            fault: None,
            grant,
        })
    }

    /// The bodies have messages inside, which are counted and kept from now on.
    pub(super) fn expect_messages(&mut self) {
        if self.messages.is_none() && self.grant.take(size_of::<Messages>()).is_ok() {
            self.messages = Some(Box::default());
        }
    }

    /// A fault does something to the call.
    pub(super) fn struck(&mut self, fault: Injected) {
        if fault.effect == EffectKind::Reset {
            self.error = Some(CallError::FaultReset);
        }
        self.fault = Some(fault);
    }

    /// Whether the sidecar itself resets it.
    pub(super) fn is_reset_by_fault(&self) -> bool {
        self.error == Some(CallError::FaultReset)
    }

    /// Whether the first byte of the call came no later than `at`.
    pub(super) fn began_by(&self, at: u64) -> bool {
        let first = self.phases.request_first.or(self.phases.response_first);
        first.is_some_and(|first| first <= at)
    }

    /// What is kept of one direction, and what pays for it.
    pub(super) fn message(&mut self, from: Side) -> (&mut MessageDraft, &mut Grant) {
        let message = match from {
            Side::Server => &mut self.response,
            Side::Client | Side::Sidecar => &mut self.request,
        };
        (message, &mut self.grant)
    }

    /// Counts bytes that are not kept.
    pub(super) fn count(&mut self, from: Side, bytes: usize, at: u64) {
        let (message, first, last) = match from {
            Side::Server => (
                &mut self.response,
                &mut self.phases.response_first,
                &mut self.phases.response_last,
            ),
            Side::Client | Side::Sidecar => (
                &mut self.request,
                &mut self.phases.request_first,
                &mut self.phases.request_last,
            ),
        };
        message.body_size = message.body_size.saturating_add(bytes as u64);
        message.omitted = Some(Omitted::Opaque);
        first.get_or_insert(at);
        *last = Some(at);
    }

    /// The finished record.
    pub(super) fn finish(mut self, connection: &Connection) -> Recorded {
        let end = connection.first_end();
        if let Some((_, at)) = end {
            self.phases.closed.get_or_insert(at);
        }
        self.note_omitted_messages();
        let stream = self
            .messages
            .take()
            .map(|messages| Box::new(messages.into_stream(&mut self.grant)));
        let call = Call {
            request: std::mem::take(&mut self.request).into_message(&mut self.grant),
            response: std::mem::take(&mut self.response).into_message(&mut self.grant),
            interim: Bytes::from(std::mem::take(&mut self.interim)),
            detail: std::mem::take(&mut self.detail),
            stream,
            closed_by: end.map(|(side, _)| side),
            ..self.outline(connection, State::Complete)
        };
        Recorded {
            call,
            cost_bytes: self.grant.into_cost_bytes(),
        }
    }

    /// A direction says whether all of its messages are kept whole.
    fn note_omitted_messages(&mut self) {
        let Some(messages) = &self.messages else {
            return;
        };
        for (message, from) in [
            (&mut self.request, Side::Client),
            (&mut self.response, Side::Server),
        ] {
            message.omitted = message.omitted.or(messages.omitted(from));
        }
    }

    /// The record as it stands now; of its bodies and messages, the beginning.
    pub(super) fn partial(&self, connection: &Connection) -> Call {
        let mut call = Call {
            request: self.request.partial(),
            response: self.response.partial(),
            interim: Bytes::copy_from_slice(&self.interim),
            detail: self.detail.clone(),
            ..self.outline(connection, State::Open)
        };
        if let Some(messages) = &self.messages {
            let (mut request, mut response) = (None, None);
            call.stream = Some(Box::new(messages.partial(|from| match from {
                Side::Server => response = Some(Omitted::Limit),
                Side::Client | Side::Sidecar => request = Some(Omitted::Limit),
            })));
            for (message, from, cut) in [
                (&mut call.request, Side::Client, request),
                (&mut call.response, Side::Server, response),
            ] {
                message.omitted = message.omitted.or(messages.omitted(from)).or(cut);
            }
        }
        call
    }

    /// Everything but what was copied from the wire.
    fn outline(&self, connection: &Connection, state: State) -> Call {
        let facts = &connection.facts;
        let first = self.phases.request_first.or(self.phases.response_first);
        Call {
            time_ns: connection.wall_ns(first.unwrap_or(0)),
            protocol: self.protocol,
            leg: facts.leg,
            engine: connection.engine,
            state,
            probe: self.probe,
            src: facts.src,
            dst: facts.dst,
            connection: connection.named(self.ordinal),
            request: Message::default(),
            response: Message::default(),
            interim: Bytes::new(),
            phases: Phases {
                connected: connection.connected,
                ..self.phases
            },
            closed_by: None,
            error: self.error,
            join_digest: None,
            detail: Detail::None,
            stream: None,
            fault: self.fault.clone(),
            secure: connection.secure.clone(),
        }
    }
}

impl MessageDraft {
    /// Keeps a piece of the head, as far as the head limit goes.
    pub(super) fn keep_head(
        &mut self,
        piece: &[u8],
        limits: &Limits,
        grant: &mut Grant,
    ) -> Result<(), Refused> {
        if keep_up_to(&mut self.head, piece, limits.head_bytes, grant)? {
            self.omitted = Some(Omitted::Head);
        }
        Ok(())
    }

    /// Keeps a piece of the trailers; they have a limit like the head's.
    pub(super) fn keep_trailers(&mut self, piece: &[u8], limits: &Limits, grant: &mut Grant) {
        match keep_up_to(&mut self.trailers, piece, limits.head_bytes, grant) {
            Ok(false) => {}
            Ok(true) => self.omitted = Some(Omitted::Head),
            Err(Refused) => self.omitted = Some(Omitted::Budget),
        }
    }

    /// Counts a piece of the body, and keeps it as far as limit and budget go. `expected` is how
    /// much of the body is known to come, with this piece.
    pub(super) fn keep_body(
        &mut self,
        piece: &[u8],
        expected: Option<u64>,
        limits: &Limits,
        grant: &mut Grant,
    ) {
        self.body_size = self.body_size.saturating_add(piece.len() as u64);
        self.keep_uncounted(piece, expected, limits, grant);
    }

    /// The same for bytes that are counted elsewhere.
    pub(super) fn keep_uncounted(
        &mut self,
        piece: &[u8],
        expected: Option<u64>,
        limits: &Limits,
        grant: &mut Grant,
    ) {
        if matches!(self.omitted, Some(Omitted::Limit | Omitted::Budget)) {
            return;
        }
        let room = limits.body_bytes.saturating_sub(self.body.len());
        let kept = piece.get(..room.min(piece.len())).unwrap_or_default();
        if kept.len() < piece.len() && self.omitted.is_none() {
            self.omitted = Some(Omitted::Limit);
        }
        if kept.len() > self.body.capacity() - self.body.len() {
            let coming = expected.map_or(room, |bytes| {
                usize::try_from(bytes).map_or(room, |bytes| bytes.min(room))
            });
            let growth = coming
                .min(self.body.len().max(4 * kept.len()))
                .max(kept.len());
            if reserve(&mut self.body, growth, grant).is_err() {
                self.omitted = Some(Omitted::Budget);
                return;
            }
        }
        self.body.extend_from_slice(kept);
    }

    /// Bytes that are kept, as they were taken from the budget.
    pub(super) fn kept_bytes(&self) -> usize {
        self.head.capacity() + self.body.capacity() + self.trailers.capacity()
    }

    /// Keeps a piece of a body that is written from `size` bytes of the wire, up to `limit` bytes.
    pub(super) fn keep_written(
        &mut self,
        piece: &[u8],
        size: u64,
        limit: usize,
        grant: &mut Grant,
    ) {
        self.body_size = self.body_size.saturating_add(size);
        if self.is_full() {
            return;
        }
        match keep_up_to(&mut self.body, piece, limit, grant) {
            Ok(false) => {}
            Ok(true) => self.omitted = Some(Omitted::Limit),
            Err(Refused) => self.omitted = Some(Omitted::Budget),
        }
    }

    /// Whether nothing more of the body is kept.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.omitted, Some(Omitted::Limit | Omitted::Budget))
    }

    /// Whether a body has begun.
    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    fn into_message(mut self, grant: &mut Grant) -> Message {
        let slack = self.body.capacity() - self.body.len();
        if slack > self.body.capacity() / 4 {
            self.body.shrink_to_fit();
            grant.give_back(slack - (self.body.capacity() - self.body.len()));
        }
        Message {
            head: Bytes::from(self.head),
            body: Bytes::from(self.body),
            body_size: self.body_size,
            body_digest: None,
            trailers: Bytes::from(self.trailers),
            omitted: self.omitted,
            decoded: false,
        }
    }

    fn partial(&self) -> Message {
        let body = self.body.get(..OPEN_BODY_BYTES).unwrap_or(&self.body);
        let cut = body.len() < self.body.len();
        Message {
            head: Bytes::copy_from_slice(&self.head),
            body: Bytes::copy_from_slice(body),
            body_size: self.body_size,
            body_digest: None,
            trailers: Bytes::copy_from_slice(&self.trailers),
            omitted: self.omitted.or(cut.then_some(Omitted::Limit)),
            decoded: false,
        }
    }
}
