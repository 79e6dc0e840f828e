//! One command with its reply while they pass, whether or not there is room for their record.

use remora_store::call::{CallError, Detail, ErrorCode, Omitted, Protocol, Redis, Side};

use super::command::{About, Effect, Withheld};
use super::session::Session;
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, Draft};

/// A command: what reading has to remember, and the record as far as the budget allowed one.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) effect: Effect,
    /// Keys or channels that it names.
    pub(super) keys: u64,
    /// Replies that are still to come, of a command that is answered once for each channel; `None`
    /// until the first of them came.
    pub(super) confirmations: Option<u64>,
    /// How many commands stand here: more than one only where none of them has a record.
    pub(super) commands: u64,
    asked: bool,
    answered: bool,
    withheld: Withheld,
    pub(super) record: Budgeted,
}

/// Bytes with what they are: `size` of them are arguments or values, the others framing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) size: u64,
    /// Nothing more comes in the same message.
    pub(super) last: bool,
}

impl Exchange {
    /// The first byte of a command came.
    pub(super) fn begin(connection: &mut Connection, at: u64) -> Self {
        let mut record = connection.begin(Protocol::Redis);
        if let Some(draft) = record.draft() {
            draft.phases.request_first = Some(at);
            draft.detail = Detail::Redis(Redis::default());
        }
        Self {
            asked: false,
            record,
            ..Self::bare()
        }
    }

    /// One of a number of commands without a record.
    pub(super) fn bare() -> Self {
        Self {
            effect: Effect::None,
            keys: 0,
            confirmations: None,
            commands: 1,
            asked: true,
            answered: false,
            withheld: Withheld::default(),
            record: Budgeted::default(),
        }
    }

    /// The command is complete.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// The reply is complete.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether it stands for nothing but its reply, so that a number of such can be kept as one.
    pub(super) fn is_bare(&self) -> bool {
        self.record.is_none() && self.asked && !self.answered && self.effect == Effect::None
    }

    pub(super) fn keep_request(&mut self, connection: &Connection, piece: Piece<'_>) {
        let withheld = self.withheld.arguments;
        if let Some(draft) = self.record.draft() {
            keep(draft, Side::Client, connection, piece, withheld);
        }
    }

    /// From here on nothing of these is kept.
    pub(super) fn withhold(&mut self, withheld: Withheld) {
        self.withheld = withheld;
    }

    /// The command is complete, and this is what it is.
    pub(super) fn end_request(&mut self, connection: &mut Connection, about: About, at: u64) {
        self.asked = true;
        self.effect = about.effect;
        self.keys = about.keys;
        let Some(draft) = self.record.draft() else {
            return;
        };
        draft.phases.request_last = Some(at);
        let key = about.key.unwrap_or_default();
        if draft.grant.take(key.len()).is_err() {
            return self.record.give_up(connection);
        }
        draft.detail = Detail::Redis(Redis {
            command: about.name.into_owned(),
            key,
            keys: u32::try_from(about.keys).unwrap_or(u32::MAX),
            ..Redis::default()
        });
    }

    /// The command's end cannot be told.
    pub(super) fn fail_request(&mut self) {
        self.asked = true;
        if let Some(draft) = self.record.draft() {
            draft.error = Some(CallError::MalformedRequest);
        }
    }

    pub(super) fn keep_reply(&mut self, connection: &Connection, piece: Piece<'_>, at: u64) {
        let withheld = self.withheld.reply;
        if let Some(draft) = self.record.draft() {
            draft.phases.response_first.get_or_insert(at);
            draft.last_byte = Some(at);
            keep(draft, Side::Server, connection, piece, withheld);
        }
    }

    /// The reply is complete, which may be an error that begins like this. What the session was when
    /// the command was done is only known now: in a pipeline those before it are not answered earlier.
    pub(super) fn end_reply(&mut self, error: Option<&[u8]>, session: &Session, at: u64) {
        self.answered = true;
        if let Some(draft) = self.record.draft() {
            draft.phases.response_last = Some(at);
            if let Detail::Redis(redis) = &mut draft.detail {
                redis.error = error.and_then(ErrorCode::read);
                redis.database = Some(session.database);
                redis.version = session.version;
            }
        }
    }

    /// That it was queued is not the answer to a command of a transaction: it is still to come.
    pub(super) fn forget_reply(&mut self) {
        self.answered = false;
        if let Some(draft) = self.record.draft() {
            let phases = &mut draft.phases;
            (phases.response_first, phases.response_last) = (None, None);
            draft.last_byte = None;
            let reply = std::mem::take(&mut draft.response);
            draft.grant.give_back(reply.kept_bytes());
            if let Detail::Redis(redis) = &mut draft.detail {
                redis.in_transaction = true;
            }
        }
    }

    /// Gives out the record. `failure` is why the exchange is not complete, if it is not.
    pub(super) fn finish(
        self,
        connection: &Connection,
        failure: Option<CallError>,
        out: &mut Vec<Recorded>,
    ) {
        let failure = failure.filter(|_| !self.answered);
        self.record.finish(connection, failure, out);
    }
}

/// Counts a piece of one direction, and keeps it unless it is withheld.
pub(super) fn keep(
    draft: &mut Draft,
    from: Side,
    connection: &Connection,
    piece: Piece<'_>,
    withheld: bool,
) {
    let (message, grant) = draft.message(from);
    message.body_size = message.body_size.saturating_add(piece.size);
    match withheld {
        true => message.omitted = message.omitted.or(Some(Omitted::Secret)),
        false => {
            let expected = piece.last.then_some(piece.bytes.len() as u64);
            message.keep_uncounted(piece.bytes, expected, &connection.limits, grant);
        }
    }
}
