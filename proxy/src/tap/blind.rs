//! What is recorded of a connection whose observer panicked: sizes, times, and why no more.

use std::sync::Arc;

use bytes::Bytes;
use remora_store::call::{
    Call, CallError, Connection, Detail, Engine, Message, Opaque, Phases, Protocol, Secure, Side,
    State,
};

use crate::observe::ConnectionFacts;

/// Counts what passes on a connection that nobody observes any more.
pub(super) struct Blind {
    facts: ConnectionFacts,
    engine: Engine,
    secure: Option<Arc<Secure>>,
    since_ns: u64,
    from_client: u64,
    from_server: u64,
}

impl Blind {
    /// Counts from now on.
    pub(super) fn new(
        facts: ConnectionFacts,
        engine: Engine,
        secure: Option<Arc<Secure>>,
        since_ns: u64,
    ) -> Self {
        Self {
            facts,
            engine,
            secure,
            since_ns,
            from_client: 0,
            from_server: 0,
        }
    }

    /// These bytes passed.
    pub(super) fn count(&mut self, from: Side, bytes: usize) {
        match from {
            Side::Client => self.from_client += bytes as u64,
            _ => self.from_server += bytes as u64,
        }
    }

    /// The record of all that passed unobserved.
    pub(super) fn into_call(self, by: Side, at_ns: u64) -> Call {
        let message = |body_size| Message {
            body_size,
            ..Message::default()
        };
        Call {
            time_ns: self
                .facts
                .accepted_ns
                .saturating_add_unsigned(self.since_ns),
            protocol: Protocol::Opaque,
            leg: self.facts.leg,
            engine: self.engine,
            state: State::Complete,
            probe: false,
            src: self.facts.src,
            dst: self.facts.dst,
            connection: Connection {
                id: self.facts.id,
                // The observer's count is lost with it; no call comes after this one.
                ordinal: u32::MAX,
                forwarded_from: None,
            },
            request: message(self.from_client),
            response: message(self.from_server),
            interim: Bytes::new(),
            phases: Phases {
                request_first: Some(self.since_ns),
                closed: Some(at_ns),
                ..Phases::default()
            },
            closed_by: Some(by),
            error: (by == Side::Sidecar).then_some(CallError::SidecarStopped),
            join_digest: None,
            stream: None,
            fault: None,
            secure: self.secure,
            detail: Detail::Opaque(Opaque {
                reason: Some("the observer failed".to_owned()),
                ..Opaque::default()
            }),
        }
    }
}
