//! Legs of connections between two sidecars, put together again.

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use remora_store::block::Origin;
use remora_store::call::{Call, CallId, Detail, Digest, Engine, Leg, Message, Protocol, TlsHello};
use remora_store::names::Party;
use remora_store::query::FoundCall;
use remora_store::testing::call;

use super::*;

mod agreement;
mod clocks;
mod ports;
mod traffic;
mod translated;

const SECOND: i64 = 1_000_000_000;
const MS: u64 = 1_000_000;

/// A connection between two sidecars, and what each of them makes of it.
#[derive(Debug, Clone)]
struct Wire {
    /// The callee's recorder; the caller's is 1.
    callee: u128,
    /// Numbers of the connection for both sidecars.
    id: u64,
    /// Port that the caller's sidecar sends from.
    port: u16,
    /// What the callee sees instead, where that is translated.
    translated: Option<SocketAddr>,
    /// When it stood, by the caller's clock.
    opened_ns: i64,
    /// How far the callee's clock is ahead.
    ahead_ns: i64,
    keys: [&'static str; 2],
}

impl Wire {
    fn new(id: u64, opened_ns: i64) -> Self {
        Self {
            callee: 2,
            id,
            port: 40_000,
            translated: None,
            opened_ns,
            ahead_ns: 0,
            keys: ["k-1", "k-1"],
        }
    }

    /// The two legs of its call at a place, `after` its opening; what is sent is named by a number.
    fn call(&self, ordinal: u32, after_ns: u64, sent: u8) -> [FoundCall; 2] {
        let legs = [Leg::Outbound, Leg::Inbound];
        legs.map(|leg| self.leg(leg, ordinal, after_ns, sent))
    }

    fn leg(&self, leg: Leg, ordinal: u32, after_ns: u64, sent: u8) -> FoundCall {
        let client = SocketAddr::from(([10, 0, 0, 1], self.port));
        let server = SocketAddr::from(([10, 0, 0, 2], 8080));
        let app = SocketAddr::from(([10, 0, 0, 1], 50_000));
        let (recorder, src, later_ns, inside_ns) = match leg {
            Leg::Outbound => (1, app, 0, 0),
            Leg::Inbound => (
                self.callee,
                self.translated.unwrap_or(client),
                self.ahead_ns,
                MS / 5,
            ),
        };
        let key = match leg {
            Leg::Outbound => self.keys[0],
            Leg::Inbound => self.keys[1],
        };
        // The caller's sidecar accepts before it dials: its connection is older than what it dialled.
        let connected = if leg == Leg::Outbound { MS } else { 0 };
        let mut call = call(0, "/poll", 200);
        call.leg = leg;
        call.src = src;
        call.dst = server;
        call.connection.id = self.id;
        call.connection.ordinal = ordinal;
        call.connection.forwarded_from = (leg == Leg::Outbound).then_some(client);
        call.phases.connected = Some(connected);
        let first = connected + after_ns + inside_ns;
        call.phases.request_first = Some(first);
        call.phases.request_last = Some(first);
        call.phases.response_first = Some(first + 2 * MS - 2 * inside_ns);
        call.phases.response_last = Some(first + 2 * MS - 2 * inside_ns);
        call.time_ns = self.opened_ns + later_ns + (after_ns + inside_ns) as i64;
        call.join_digest = Some(Digest([sent; 16]));
        let number = (self.opened_ns as u64).wrapping_mul(7) ^ (u64::from(ordinal) << 40) ^ self.id;
        found(call, recorder, key, number)
    }
}

fn found(call: Call, recorder: u128, key: &str, number: u64) -> FoundCall {
    FoundCall {
        id: CallId {
            block: number,
            ordinal: recorder as u32,
        },
        src: Party::unknown(call.src),
        dst: Party::unknown(call.dst),
        call,
        origin: Arc::new(Origin {
            incarnation: recorder,
            ..Origin::default()
        }),
        redaction_key: key.into(),
        withheld: false,
    }
}

/// Each joined pair by the ids of its legs, and how it was joined.
fn bonds(calls: &[FoundCall]) -> Vec<(CallId, CallId, How, String)> {
    let id = |leg: usize| calls[leg].id;
    let joined = Joined::of(calls);
    let both = joined.exchanges().iter().filter_map(|exchange| {
        let (outbound, inbound) = exchange.outbound.zip(exchange.inbound)?;
        let bond = exchange.bond?;
        Some((
            id(outbound),
            id(inbound),
            bond.how,
            bond.confidence.to_string(),
        ))
    });
    both.collect()
}

/// How many are joined, and whether each with the leg of its own call; both legs of one have the same block
/// in their ids.
fn joined_rightly(calls: &[FoundCall]) -> (usize, bool) {
    let bonds = bonds(calls);
    let right = bonds
        .iter()
        .all(|(one, other, ..)| one.block == other.block);
    (bonds.len(), right)
}
