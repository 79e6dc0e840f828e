//! What a server sends without being asked for each piece: published messages, invalidated keys, and
//! what `MONITOR` shows. It belongs to the call that asked for it first on the connection.

use remora_store::call::{Detail, MessageKind, Omitted, Protocol, Redis, Side};

use super::command::Class;
use super::exchange::{Piece, keep};
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::Budgeted;
use crate::observe::messages::Ended;

/// What began a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `SUBSCRIBE` and its like; so many confirmations of it are still to come.
    Subscription { class: Class, awaited: u64 },
    /// `MONITOR`: what it shows are the calls of others, with all their arguments.
    Monitor,
    /// `CLIENT TRACKING ON`.
    Tracking,
    /// No command that is known to.
    Nothing,
}

/// A stream that runs.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) origin: Origin,
    pub(super) record: Budgeted,
    /// Bytes of the values in the message that is coming.
    size: u64,
}

impl Stream {
    /// The call that `record` has kept goes on as a stream.
    pub(super) fn open(origin: Origin, mut record: Budgeted) -> Self {
        if let Some(draft) = record.draft() {
            draft.expect_messages();
            draft.phases.response_last = None;
        }
        Self {
            origin,
            record,
            size: 0,
        }
    }

    /// A stream that no command is known to have asked for.
    pub(super) fn unasked(connection: &mut Connection) -> Self {
        let mut record = connection.begin(Protocol::Redis);
        if let Some(draft) = record.draft() {
            draft.detail = Detail::Redis(Redis {
                command: "PUSH".to_owned(),
                ..Redis::default()
            });
        }
        Self::open(Origin::Nothing, record)
    }

    /// Whether the next confirmation of a class belongs to the command that began it.
    pub(super) fn awaits(&self, class: Class) -> bool {
        matches!(self.origin, Origin::Subscription { class: of, awaited } if of == class && awaited > 0)
    }

    /// A piece of a confirmation.
    pub(super) fn confirm(&mut self, connection: &Connection, piece: Piece<'_>, at: u64) {
        if let Some(draft) = self.record.draft() {
            draft.last_byte = Some(at);
            keep(draft, Side::Server, connection, piece, false);
        }
    }

    /// A confirmation is complete.
    pub(super) fn end_confirmation(&mut self) {
        if let Origin::Subscription { awaited, .. } = &mut self.origin {
            *awaited = awaited.saturating_sub(1);
        }
    }

    /// A piece of a message.
    pub(super) fn message(&mut self, connection: &Connection, piece: Piece<'_>, at: u64) {
        self.size = self.size.saturating_add(piece.size);
        let Some(draft) = self.record.draft() else {
            return;
        };
        draft.phases.response_first.get_or_insert(at);
        draft.last_byte = Some(at);
        draft.response.body_size = draft.response.body_size.saturating_add(piece.size);
        match &mut draft.messages {
            None => draft.response.omitted = draft.response.omitted.or(Some(Omitted::Budget)),
            Some(messages) if self.origin == Origin::Monitor => {
                messages.leave_out(Side::Server, Omitted::Secret);
            }
            Some(messages) => {
                let limits = &connection.limits;
                messages.keep(Side::Server, piece.bytes, limits, &mut draft.grant);
            }
        }
    }

    /// The message is complete.
    pub(super) fn end_message(&mut self, at: u64) {
        let ended = Ended {
            kind: MessageKind::Push,
            size: std::mem::take(&mut self.size),
            compressed: false,
            at,
        };
        if let Some(draft) = self.record.draft()
            && let Some(messages) = &mut draft.messages
        {
            messages.end(Side::Server, ended, &mut draft.grant);
        }
    }

    /// The stream is over. That its connection was closed is no failure.
    pub(super) fn finish(mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        if let Some(draft) = self.record.draft() {
            if self.size > 0
                && let Some(messages) = &mut draft.messages
            {
                messages.give_up(Side::Server, Omitted::Other);
            }
            draft.phases.response_last = draft.last_byte;
        }
        self.record.finish(connection, connection.broken(), out);
    }
}
