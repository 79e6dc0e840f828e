//! Joining where the client address was translated on the way: by what passed.
//!
//! A digest or a handshake names the bytes, not the call: a poll sends the same ones again and again, and so do
//! its neighbours. So it takes connections whose legs agree in every place that both have, and of which there
//! is only one on either side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use remora_store::call::Leg;
use remora_store::query::FoundCall;

use super::address::UNKNOWN_CLOCKS_NS;
use super::agreement::{Agreement, could_be_one, handshake, shared_digest};
use super::clocks::Clocks;
use super::connections::{Connections, Partners, SideBySide, Tally};
use super::{Bond, How, MAX_ALTERNATIVES, Pairs};
use crate::confidence::Confidence;

/// How much too early or too late something may seem: clocks are read a little before or after what they are
/// to tell of.
const READING_NS: i64 = 100_000_000; // 100 ms
/// How long a request may wait between the two sidecars, where its end does not tell.
const WAITING_NS: i64 = 5_000_000_000; // 5 s

/// Digests agree in every place, and no other connection's do.
const ONLY_ONE: Confidence = Confidence::thousandths(900);
/// This call was not digested, but others of the connection were.
const AMONG_DIGESTED: Confidence = Confidence::thousandths(850);

/// Joins the legs of connections that have no partner yet.
pub(super) fn pair(
    connections: &Connections<'_>,
    partners: &Partners,
    clocks: &Clocks,
    pairs: &mut Pairs,
) {
    let (candidates, crowded) = candidates(connections, partners, clocks);
    let mut of: HashMap<usize, usize> = HashMap::new();
    for (outbound, inbound) in candidates.keys() {
        *of.entry(*outbound).or_default() += 1;
        *of.entry(*inbound).or_default() += 1;
    }
    for ((outbound, inbound), legs) in &candidates {
        let rivals = of.get(outbound).max(of.get(inbound)).copied();
        let rivals = rivals.unwrap_or(1);
        let is_only_one = rivals == 1 && !crowded.contains(outbound);
        for pair in legs {
            if !is_only_one {
                pairs.could_be(pair.outbound, pair.inbound, Confidence::even(rivals));
            } else if let Some(bond) = bond(connections, pair) {
                pairs.join(pair.outbound, pair.inbound, bond);
            }
        }
    }
}

fn bond(connections: &Connections<'_>, pair: &SideBySide) -> Option<Bond> {
    let is_handshake = connections
        .calls
        .get(pair.outbound)
        .is_some_and(|found| handshake(found).is_some());
    let (how, confidence) = match pair.agreement {
        Agreement::Differ => return None,
        Agreement::Same if is_handshake => (How::Handshake, Confidence::CERTAIN),
        Agreement::Same => (How::Digest, ONLY_ONE),
        Agreement::Silent => (How::Digest, AMONG_DIGESTED),
    };
    Some(Bond { how, confidence })
}

/// Pairs of connections that can be one, with their legs in the places that both have.
type Candidates = BTreeMap<(usize, usize), Vec<SideBySide>>;

/// The candidates, and the connections that can have others.
fn candidates(
    connections: &Connections<'_>,
    partners: &Partners,
    clocks: &Clocks,
) -> (Candidates, BTreeSet<usize>) {
    let (mut found, mut crowded) = (BTreeSet::new(), BTreeSet::new());
    for (sent, received) in same_bytes(connections, partners).into_values() {
        for &outbound in &sent {
            let caller = connections.of_leg(outbound);
            let all_seen = near(connections, outbound, &received, clocks, &mut |inbound| {
                found.insert((caller, connections.of_leg(inbound)));
            });
            if !all_seen {
                crowded.insert(caller);
            }
        }
    }
    let side_by_side = |(outbound, inbound): (usize, usize)| {
        let legs = connections.side_by_side(outbound, inbound);
        (Tally::of(&legs).differ == 0).then_some(((outbound, inbound), legs))
    };
    (
        found.into_iter().filter_map(side_by_side).collect(),
        crowded,
    )
}

/// What names the bytes of a call and its place on the connection.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bytes<'a> {
    Digest(&'a str, [u8; 16], u32),
    Handshake([u8; 32]),
}

/// Legs without a partner by what passed, the sent ones and the received ones, each by when they began.
fn same_bytes<'a>(
    connections: &Connections<'a>,
    partners: &Partners,
) -> BTreeMap<Bytes<'a>, (Vec<usize>, Vec<usize>)> {
    let mut same: BTreeMap<Bytes<'_>, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (leg, found) in connections.calls.iter().enumerate() {
        // Whose connection has a partner has its own there, recorded or not.
        if partners.has(connections.of_leg(leg)) {
            continue;
        }
        let Some(bytes) = bytes(found) else {
            continue;
        };
        let (sent, received) = same.entry(bytes).or_default();
        match found.call.leg {
            Leg::Outbound => sent.push(leg),
            Leg::Inbound => received.push(leg),
        }
    }
    same.retain(|_, (sent, received)| !sent.is_empty() && !received.is_empty());
    let began = |leg: &usize| connections.calls.get(*leg).map(|c| (c.call.time_ns, c.id));
    for (sent, received) in same.values_mut() {
        sent.sort_by_key(began);
        received.sort_by_key(began);
    }
    same
}

fn bytes(found: &FoundCall) -> Option<Bytes<'_>> {
    if let Some(random) = handshake(found) {
        return Some(Bytes::Handshake(random));
    }
    let (key, digest) = shared_digest(found)?;
    Some(Bytes::Digest(key, digest.0, found.call.connection.ordinal))
}

/// Shows `take` the received legs that a sent one can be, the nearest in time. `false` if there are more than are
/// looked at, so that one that was found need not be the only one.
fn near(
    connections: &Connections<'_>,
    outbound: usize,
    received: &[usize],
    clocks: &Clocks,
    take: &mut dyn FnMut(usize),
) -> bool {
    let Some(sent) = connections.calls.get(outbound) else {
        return true;
    };
    let began = |leg: usize| connections.calls.get(leg).map_or(0, |c| c.call.time_ns);
    let after = received.partition_point(|&leg| began(leg) < sent.call.time_ns);
    let (before, after) = received.split_at(after);
    let in_reach = |leg: &&usize| began(**leg).abs_diff(sent.call.time_ns) <= FARTHEST_NS;
    let mut all_seen = true;
    for side in [
        &mut before.iter().rev() as &mut dyn Iterator<Item = &usize>,
        &mut after.iter(),
    ] {
        let mut side = side.take_while(in_reach);
        let mut possible = side.by_ref().take(LOOKED_AT).filter(|&&leg| {
            let received = connections.calls.get(leg);
            received.is_some_and(|received| is_possible(sent, received, clocks))
        });
        possible
            .by_ref()
            .take(MAX_ALTERNATIVES)
            .for_each(|&leg| take(leg));
        all_seen &= possible.next().is_none();
        all_seen &= side.next().is_none();
    }
    all_seen
}

/// Most legs that are looked at on either side of one in time.
const LOOKED_AT: usize = 32;
/// No two clocks are taken to be farther apart.
const FARTHEST_NS: u64 = (UNKNOWN_CLOCKS_NS + WAITING_NS).unsigned_abs();

/// Whether a request that was received can be one that was sent, on another way than by its bytes.
fn is_possible(sent: &FoundCall, received: &FoundCall, clocks: &Clocks) -> bool {
    let translated = sent
        .call
        .connection
        .forwarded_from
        .is_none_or(|from| from.ip().to_canonical() != received.call.src.ip().to_canonical());
    // Its address was not touched, so it would have been joined by it.
    if !translated {
        return false;
    }
    let later = received.call.time_ns.saturating_sub(sent.call.time_ns);
    let (caller, callee) = (sent.origin.incarnation, received.origin.incarnation);
    let (low, high) = match clocks.between(caller, callee) {
        Some(bound) => (bound.low_ns, bound.high_ns),
        None => (-UNKNOWN_CLOCKS_NS, UNKNOWN_CLOCKS_NS),
    };
    let earliest = low.saturating_sub(READING_NS);
    let latest = high.saturating_add(waiting_ns(sent, received));
    (earliest..=latest).contains(&later)
        && is_neighbour(&sent.dst.workload, &received.origin.workload)
        && is_neighbour(&sent.dst.pod, &received.origin.pod)
        && is_neighbour(&received.src.workload, &sent.origin.workload)
        && is_neighbour(&received.src.pod, &sent.origin.pod)
        && could_be_one(sent, received)
}

/// How long a request can have waited between the two sidecars: the callee answered before the caller had the
/// answer.
fn waiting_ns(sent: &FoundCall, received: &FoundCall) -> i64 {
    let latency_ns = |found: &FoundCall| i64::try_from(found.call.phases.latency_ns()?).ok();
    match (latency_ns(sent), latency_ns(received)) {
        (Some(outer), Some(inner)) => outer.saturating_sub(inner).saturating_add(READING_NS),
        _ => WAITING_NS,
    }
}

/// Whether somebody who is known by name is who is meant.
fn is_neighbour(known: &str, meant: &str) -> bool {
    known.is_empty() || known == meant
}
