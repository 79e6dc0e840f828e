//! Joining by the client address that both sidecars see.
//!
//! An address is used again as soon as a connection is over, so when the connections stood counts as well:
//! as exactly as the clocks of their recorders are known to agree.

use std::collections::HashMap;
use std::net::SocketAddr;

use remora_store::call::Leg;

use super::agreement::{Agreement, handshake};
use super::clocks::Clocks;
use super::connections::{Connection, Connections, Partners, SideBySide, Tally};
use super::{Bond, How, Pairs};
use crate::confidence::Confidence;

/// How far the clocks of two recorders are taken to be apart at most, as long as nothing joined tells.
pub(super) const UNKNOWN_CLOCKS_NS: i64 = 30_000_000_000; // 30 s
/// How long a connection may wait between the two sidecars: in the backlog of the second one's listener.
const BACKLOG_NS: i64 = 5_000_000_000; // 5 s
/// How much too early the second sidecar may seem to have accepted: a clock is read a little before or after
/// what it is to tell of.
const READING_NS: i64 = 100_000_000; // 100 ms
/// Most connections of the other side that are compared with one: those that stood nearest in time.
const NEAREST: usize = 8;

/// Nothing was digested on the whole connection.
const UNDIGESTED: Confidence = Confidence::thousandths(950);
/// This call was not digested, but others of the connection were.
const AMONG_DIGESTED: Confidence = Confidence::thousandths(990);
/// There were other connections of that address at nearly the same time, and another stood nearer.
const NEARER: Confidence = Confidence::thousandths(900);

/// Joins connections, and their legs. Those of which the client address is seen by both recorders only once
/// come first: they tell what the clocks are worth.
pub(super) fn pair(
    connections: &Connections<'_>,
    clocks: &mut Clocks,
    pairs: &mut Pairs,
) -> Partners {
    let mut partners = Partners::default();
    let groups = groups(connections);
    let is_single = |group: &&Group| group.outbound.len() == 1 && group.inbound.len() == 1;
    for group in groups.iter().filter(is_single) {
        let unknown = Clocks::default();
        for link in links(connections, group, &unknown) {
            if link.tally.same > 0 {
                join(connections, &link, &[], pairs);
                partners.join(link.outbound, link.inbound);
                learn(connections, &link, clocks);
            }
        }
    }
    for group in &groups {
        settle(connections, group, clocks, pairs, &mut partners);
    }
    partners
}

/// Connections of one client address.
#[derive(Debug, Default)]
struct Group {
    outbound: Vec<usize>,
    inbound: Vec<usize>,
}

/// Every address that both sides saw, with its connections by when they stood.
fn groups(connections: &Connections<'_>) -> Vec<Group> {
    let mut by_address: HashMap<SocketAddr, Group> = HashMap::new();
    for (number, connection) in connections.iter() {
        let Some(client) = connection.client else {
            continue;
        };
        let group = by_address.entry(client).or_default();
        match connection.leg {
            Leg::Outbound => group.outbound.push(number),
            Leg::Inbound => group.inbound.push(number),
        }
    }
    let mut groups: Vec<(SocketAddr, Group)> = by_address
        .into_iter()
        .filter(|(_, group)| !group.outbound.is_empty() && !group.inbound.is_empty())
        .collect();
    groups.sort_by_key(|(address, _)| *address);
    let opened = |number: &usize| {
        connections
            .get(*number)
            .map(|connection| (connection.opened_ns, *number))
    };
    for (_, group) in &mut groups {
        group.outbound.sort_by_key(opened);
        group.inbound.sort_by_key(opened);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Two connections that can be one.
#[derive(Debug)]
struct Link {
    outbound: usize,
    inbound: usize,
    tally: Tally,
    legs: Vec<SideBySide>,
    /// Whether both say that it went to the same address.
    same_server: bool,
    /// How far they stood from where the clocks would have them, in nanoseconds.
    distance_ns: u64,
}

impl Link {
    /// What speaks for it, the best first.
    fn rank(&self) -> (bool, bool, u64) {
        (self.tally.same == 0, !self.same_server, self.distance_ns)
    }

    /// Whether it is as likely as `other`, but for how near in time it is.
    fn rivals(&self, other: &Self) -> bool {
        let (one, other) = (self.rank(), other.rank());
        (one.0, one.1) == (other.0, other.1)
    }
}

/// Everything in a group that can be one connection.
fn links(connections: &Connections<'_>, group: &Group, clocks: &Clocks) -> Vec<Link> {
    let opened = |number: usize| connections.get(number).map_or(0, |c| c.opened_ns);
    let mut links = Vec::new();
    for &outbound in &group.outbound {
        let Some(caller) = connections.get(outbound) else {
            continue;
        };
        let after = group
            .inbound
            .partition_point(|&number| opened(number) < caller.opened_ns);
        let from = after.saturating_sub(NEAREST);
        let near = group.inbound.iter().skip(from).take(2 * NEAREST);
        for &inbound in near {
            let Some(callee) = connections.get(inbound) else {
                continue;
            };
            let Some(distance_ns) = distance_ns(caller, callee, clocks) else {
                continue;
            };
            let legs = connections.side_by_side(outbound, inbound);
            let tally = Tally::of(&legs);
            if tally.same + tally.silent == 0 || (tally.differ > 0 && tally.same == 0) {
                continue;
            }
            links.push(Link {
                outbound,
                inbound,
                tally,
                legs,
                same_server: caller.server == callee.server,
                distance_ns,
            });
        }
    }
    links
}

/// How far two connections stood from where the clocks would have them; `None` if too far to be one.
fn distance_ns(caller: &Connection, callee: &Connection, clocks: &Clocks) -> Option<u64> {
    let apart = callee.opened_ns.checked_sub(caller.opened_ns)?;
    let (low, high) = match clocks.between(caller.recorder, callee.recorder) {
        Some(bound) => (bound.low_ns, bound.high_ns),
        None => (-UNKNOWN_CLOCKS_NS, UNKNOWN_CLOCKS_NS),
    };
    let earliest = low.saturating_sub(READING_NS);
    let latest = high.saturating_add(BACKLOG_NS);
    let centre = low.midpoint(high);
    (earliest..=latest)
        .contains(&apart)
        .then(|| apart.abs_diff(centre))
}

/// Joins what is left of a group, the best link first.
fn settle(
    connections: &Connections<'_>,
    group: &Group,
    clocks: &mut Clocks,
    pairs: &mut Pairs,
    partners: &mut Partners,
) {
    let is_free = |number: &&usize| !partners.has(**number);
    let left = Group {
        outbound: group.outbound.iter().filter(is_free).copied().collect(),
        inbound: group.inbound.iter().filter(is_free).copied().collect(),
    };
    if left.outbound.is_empty() || left.inbound.is_empty() {
        return;
    }
    let mut links = links(connections, &left, clocks);
    links.sort_by_key(|link| (link.rank(), link.outbound, link.inbound));
    let mut touching: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, link) in links.iter().enumerate() {
        for connection in [link.outbound, link.inbound] {
            touching.entry(connection).or_default().push(place);
        }
    }
    for (place, link) in links.iter().enumerate() {
        if partners.has(link.outbound) || partners.has(link.inbound) {
            continue;
        }
        let rivals: Vec<&Link> = [link.outbound, link.inbound]
            .iter()
            .filter_map(|connection| touching.get(connection))
            .flatten()
            .filter(|&&other| other != place)
            .filter_map(|&other| links.get(other))
            .filter(|rival| rival.rivals(link))
            .collect();
        // One with as much to say for it, at the same distance, is as likely.
        let is_level = |rival: &&Link| {
            rival.distance_ns == link.distance_ns
                && !partners.has(rival.outbound)
                && !partners.has(rival.inbound)
        };
        if rivals.iter().any(is_level) {
            could_be(link, rivals.len() + 1, pairs);
            continue;
        }
        join(connections, link, &rivals, pairs);
        learn(connections, link, clocks);
        partners.join(link.outbound, link.inbound);
    }
}

/// Joins the legs of two connections that are one. `rivals` are links that were less likely.
fn join(connections: &Connections<'_>, link: &Link, rivals: &[&Link], pairs: &mut Pairs) {
    for pair in &link.legs {
        let is_handshake = connections
            .calls
            .get(pair.outbound)
            .is_some_and(|found| handshake(found).is_some());
        let (how, sure) = match pair.agreement {
            Agreement::Differ => continue,
            Agreement::Same if is_handshake => (How::Handshake, Confidence::CERTAIN),
            Agreement::Same => (How::AddressAndDigest, Confidence::CERTAIN),
            Agreement::Silent if link.tally.same > 0 => (How::Address, AMONG_DIGESTED),
            Agreement::Silent => (How::Address, UNDIGESTED),
        };
        let confidence = match rivals {
            [] => sure,
            _ => sure.min(NEARER),
        };
        pairs.join(pair.outbound, pair.inbound, Bond { how, confidence });
    }
    for rival in rivals {
        could_be(rival, rivals.len() + 1, pairs);
    }
}

fn could_be(link: &Link, among: usize, pairs: &mut Pairs) {
    for pair in &link.legs {
        if pair.agreement != Agreement::Differ {
            pairs.could_be(pair.outbound, pair.inbound, Confidence::even(among));
        }
    }
}

fn learn(connections: &Connections<'_>, link: &Link, clocks: &mut Clocks) {
    for pair in &link.legs {
        let legs = (
            connections.calls.get(pair.outbound),
            connections.calls.get(pair.inbound),
        );
        if let ((Some(outbound), Some(inbound)), Agreement::Same) = (legs, pair.agreement) {
            clocks.learn(outbound, inbound);
        }
    }
}
