//! Connections told frame by frame.

use remora_store::call::{
    CallError, Detail, Http2, Leg, MessageKind, Omitted, Protocol, Reset, Side, State,
};

use crate::budget::Budget;
use crate::observe::{ConnectionFacts, End, Limits, Observer, Recorded};

mod bounds;
mod streams;
mod wire;

use wire::*;

const LIMITS: Limits = Limits {
    body_bytes: 4 * 1024,
    head_bytes: 64 * 1024,
};

/// A connection of which both sides have said their first.
struct Watched {
    observer: Observer,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn silent() -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Inbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 80).into(),
            accepted_ns: 0,
        };
        Self {
            observer: Observer::new(facts, LIMITS, Budget::new(16 << 20)),
            now: 0,
            out: Vec::new(),
        }
    }

    fn new() -> Self {
        let mut watched = Self::silent();
        watched.client(PREFACE);
        watched.client(&frame(SETTINGS, 0, 0, &[]));
        watched.server(&frame(SETTINGS, 0, 0, &[]));
        watched
    }

    fn send(&mut self, from: Side, bytes: &[u8]) {
        self.now += 10;
        self.observer.bytes(from, bytes, self.now, &mut self.out);
    }

    fn client(&mut self, bytes: &[u8]) {
        self.send(Side::Client, bytes);
    }

    fn server(&mut self, bytes: &[u8]) {
        self.send(Side::Server, bytes);
    }

    /// Protocol, ordinal and error of what was told, in order.
    fn told(&self) -> Vec<(Protocol, u32, Option<CallError>)> {
        let calls = self.out.iter().map(|recorded| &recorded.call);
        calls
            .map(|call| (call.protocol, call.connection.ordinal, call.error))
            .collect()
    }
}
