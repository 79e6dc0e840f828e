//! What the observers of one connection share: its facts, its ends, the numbers of its calls and
//! the budget they take from.

use std::net::SocketAddr;
use std::sync::Arc;

use remora_store::call::{self, CallError, Engine, Protocol, Secure, Side};

use super::draft::{Budgeted, Draft};
use super::{ConnectionFacts, End, Limits};
use crate::budget::Budget;

/// The state of a connection beside that of its protocol.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) facts: ConnectionFacts,
    /// Which engine carries it.
    pub(super) engine: Engine,
    /// What is done about its TLS, where there was something to decide.
    pub(super) secure: Option<Arc<Secure>>,
    /// Nobody is known yet who accepts the certificate that the client was shown.
    pub(super) on_trial: bool,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    /// When the connection to the server stood.
    pub(super) connected: Option<u64>,
    pub(super) forwarded_from: Option<SocketAddr>,
    /// Bytes of the client's stream that were observed before the current piece.
    pub(super) client_bytes: u64,
    ends: Ends,
    /// Why there is no connection to the server.
    unreached: Option<CallError>,
    next_ordinal: u32,
    dropped: u64,
}

/// How the connection ended, as far as it has.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    /// Who ended first, and when.
    first: Option<(Side, u64)>,
    reset: Option<Side>,
    client: bool,
    server: bool,
}

impl Connection {
    pub(super) fn new(facts: ConnectionFacts, limits: Limits, budget: Budget) -> Self {
        Self {
            facts,
            engine: Engine::Splice,
            secure: None,
            on_trial: false,
            limits,
            budget,
            connected: None,
            forwarded_from: None,
            client_bytes: 0,
            ends: Ends::default(),
            unreached: None,
            next_ordinal: 0,
            dropped: 0,
        }
    }

    /// Begins the record of the next call. The call has its number even if there is no room for
    /// its record, so that both legs go on counting alike.
    pub(super) fn begin(&mut self, protocol: Protocol) -> Budgeted {
        self.begin_numbered(protocol, self.next_ordinal)
    }

    /// The same, of a call that has a number of its own on the wire; those without one are numbered
    /// behind it.
    pub(super) fn begin_numbered(&mut self, protocol: Protocol, ordinal: u32) -> Budgeted {
        self.next_ordinal = self.next_ordinal.max(ordinal.saturating_add(1));
        let draft = Draft::new(protocol, ordinal, &self.budget);
        if draft.is_none() {
            self.count_dropped();
        }
        Budgeted::new(draft)
    }

    /// Takes the number of a call that has no record.
    pub(super) fn pass_over(&mut self) {
        self.next_ordinal = self.next_ordinal.saturating_add(1);
    }

    /// How many numbers of calls are taken.
    pub(super) fn numbers_given(&self) -> u32 {
        self.next_ordinal
    }

    /// Counts a record that the budget had no room for.
    pub(super) fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Notes that `side` ended its direction.
    pub(super) fn note_end(&mut self, side: Side, how: End, at: u64) {
        self.ends.first.get_or_insert((side, at));
        match side {
            Side::Client => self.ends.client = true,
            Side::Server => self.ends.server = true,
            Side::Sidecar => {}
        }
        if how == End::Reset {
            self.ends.reset.get_or_insert(side);
        }
    }

    /// Notes that there is no connection to the server.
    pub(super) fn note_unreached(&mut self, error: CallError) {
        self.unreached = Some(error);
    }

    /// Notes that the connection is over in both directions.
    pub(super) fn note_closed(&mut self, by: Side, at: u64) {
        self.ends.first.get_or_insert((by, at));
        self.ends.client = true;
        self.ends.server = true;
    }

    /// Nothing more comes from the client.
    pub(super) fn client_ended(&self) -> bool {
        self.ends.client
    }

    /// Nothing more comes from the server.
    pub(super) fn server_ended(&self) -> bool {
        self.ends.server
    }

    pub(super) fn has_ended(&self, side: Side) -> bool {
        match side {
            Side::Server => self.ends.server,
            Side::Client | Side::Sidecar => self.ends.client,
        }
    }

    /// Who ended first, and when.
    pub(super) fn first_end(&self) -> Option<(Side, u64)> {
        self.ends.first
    }

    /// Why a call failed whose bytes were cut off.
    pub(super) fn failure(&self) -> Option<CallError> {
        if self.unreached.is_some() {
            return self.unreached;
        }
        match (self.ends.reset, self.ends.first) {
            (Some(Side::Client), _) => Some(CallError::ClientReset),
            (Some(Side::Server), _) => Some(CallError::ServerReset),
            (_, Some((Side::Client, _))) => Some(CallError::ClientClosed),
            (_, Some((Side::Server, _))) => Some(CallError::ServerClosed),
            (_, Some((Side::Sidecar, _))) => Some(CallError::SidecarStopped),
            (_, None) => None,
        }
    }

    /// Why a connection failed that ends when either side likes: a close is no failure.
    pub(super) fn broken(&self) -> Option<CallError> {
        self.failure()
            .filter(|error| !matches!(error, CallError::ClientClosed | CallError::ServerClosed))
    }

    /// The connection as a record names it.
    pub(super) fn named(&self, ordinal: u32) -> call::Connection {
        call::Connection {
            id: self.facts.id,
            ordinal,
            forwarded_from: self.forwarded_from,
        }
    }

    /// Wall clock at `at`.
    pub(super) fn wall_ns(&self, at: u64) -> i64 {
        self.facts
            .accepted_ns
            .saturating_add(i64::try_from(at).unwrap_or(i64::MAX))
    }
}
