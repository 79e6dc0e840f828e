//! Legs by the connection that they travelled on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use remora_store::call::Leg;
use remora_store::query::FoundCall;

use super::agreement::{Agreement, agreement};

/// Every connection of which there are legs, in an order that does not depend on that of the legs.
pub(super) struct Connections<'a> {
    pub(super) calls: &'a [FoundCall],
    /// Places of legs, those of a connection one behind the other by their ordinals.
    legs: Vec<usize>,
    all: Vec<Connection>,
    of_leg: Vec<usize>,
}

/// One connection as one sidecar saw it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) leg: Leg,
    pub(super) recorder: u128,
    /// The client's address as the callee sees it.
    pub(super) client: Option<SocketAddr>,
    /// Where it was going.
    pub(super) server: SocketAddr,
    /// When it stood, by the wall clock of its recorder.
    pub(super) opened_ns: i64,
    legs: Range<usize>,
}

impl<'a> Connections<'a> {
    pub(super) fn of(calls: &'a [FoundCall]) -> Self {
        let mut legs: Vec<usize> = (0..calls.len()).collect();
        legs.sort_by_cached_key(|&leg| calls.get(leg).map(|found| (name(found), place(found))));
        let mut all: Vec<Connection> = Vec::new();
        let mut of_leg = vec![0; calls.len()];
        let mut last = None;
        for (position, &leg) in legs.iter().enumerate() {
            let Some(found) = calls.get(leg) else {
                continue;
            };
            match all.last_mut() {
                Some(connection) if last == Some(name(found)) => connection.add(found, position),
                _ => all.push(Connection::new(found, position)),
            }
            last = Some(name(found));
            if let Some(number) = of_leg.get_mut(leg) {
                *number = all.len() - 1;
            }
        }
        Self {
            calls,
            legs,
            all,
            of_leg,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.all.iter().enumerate()
    }

    pub(super) fn get(&self, number: usize) -> Option<&Connection> {
        self.all.get(number)
    }

    /// The connection of a leg.
    pub(super) fn of_leg(&self, leg: usize) -> usize {
        self.of_leg.get(leg).copied().unwrap_or(usize::MAX)
    }

    /// The legs of a connection, by their ordinals.
    pub(super) fn legs(&self, number: usize) -> &[usize] {
        let range = self
            .all
            .get(number)
            .map(|connection| connection.legs.clone());
        range
            .and_then(|range| self.legs.get(range))
            .unwrap_or_default()
    }

    /// The legs that have the same place on two connections, with what they say of each other.
    pub(super) fn side_by_side(&self, outbound: usize, inbound: usize) -> Vec<SideBySide> {
        let ordinal = |leg: usize| {
            self.calls
                .get(leg)
                .map(|found| found.call.connection.ordinal)
        };
        let mut sent = self.legs(outbound).iter().copied().peekable();
        let mut received = self.legs(inbound).iter().copied().peekable();
        let mut pairs = Vec::new();
        while let (Some(&one), Some(&other)) = (sent.peek(), received.peek()) {
            match ordinal(one).cmp(&ordinal(other)) {
                std::cmp::Ordering::Less => _ = sent.next(),
                std::cmp::Ordering::Greater => _ = received.next(),
                std::cmp::Ordering::Equal => {
                    sent.next();
                    received.next();
                    if let (Some(a), Some(b)) = (self.calls.get(one), self.calls.get(other)) {
                        pairs.push(SideBySide {
                            outbound: one,
                            inbound: other,
                            agreement: agreement(a, b),
                        });
                    }
                }
            }
        }
        pairs
    }
}

/// Two legs that have the same place on two connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct SideBySide {
    pub(super) outbound: usize,
    pub(super) inbound: usize,
    pub(super) agreement: Agreement,
}

/// How often the legs of two connections agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) same: usize,
    pub(super) silent: usize,
    pub(super) differ: usize,
}

impl Tally {
    pub(super) fn of(pairs: &[SideBySide]) -> Self {
        let mut tally = Self::default();
        for pair in pairs {
            match pair.agreement {
                Agreement::Same => tally.same += 1,
                Agreement::Silent => tally.silent += 1,
                Agreement::Differ => tally.differ += 1,
            }
        }
        tally
    }
}

impl Connection {
    fn new(found: &FoundCall, position: usize) -> Self {
        let call = &found.call;
        let client = match call.leg {
            Leg::Outbound => call.connection.forwarded_from,
            Leg::Inbound => Some(call.src),
        };
        Self {
            leg: call.leg,
            recorder: found.origin.incarnation,
            client: client.map(canonical),
            server: canonical(call.dst),
            opened_ns: opened_ns(found),
            legs: position..position + 1,
        }
    }

    fn add(&mut self, found: &FoundCall, position: usize) {
        self.legs.end = position + 1;
        // A call that began before the server was reached does not know from where.
        if self.client.is_none() {
            self.client = found.call.connection.forwarded_from.map(canonical);
        }
    }
}

/// What the legs of one connection have in common.
fn name(found: &FoundCall) -> (u128, Leg, u64) {
    (
        found.origin.incarnation,
        found.call.leg,
        found.call.connection.id,
    )
}

fn place(found: &FoundCall) -> (u32, i64, remora_store::call::CallId) {
    (found.call.connection.ordinal, found.call.time_ns, found.id)
}

/// When a connection stood: for the caller's sidecar when it had reached the callee's, for that one when it
/// had accepted.
fn opened_ns(found: &FoundCall) -> i64 {
    let phases = &found.call.phases;
    let since_opened = match found.call.leg {
        Leg::Inbound => i128::from(phases.request_first.unwrap_or(0)),
        Leg::Outbound => {
            i128::from(phases.request_first.unwrap_or(0))
                - i128::from(phases.connected.unwrap_or(0))
        }
    };
    i64::try_from(i128::from(found.call.time_ns) - since_opened).unwrap_or(found.call.time_ns)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Partners of connections, each both ways.
#[derive(Debug, Default)]
pub(super) struct Partners(HashMap<usize, usize>);

impl Partners {
    pub(super) fn join(&mut self, outbound: usize, inbound: usize) {
        self.0.insert(outbound, inbound);
        self.0.insert(inbound, outbound);
    }

    pub(super) fn has(&self, connection: usize) -> bool {
        self.0.contains_key(&connection)
    }
}
