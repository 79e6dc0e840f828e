use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use remora_store::block::Origin;
use remora_store::call::{Call, CallId, Detail, Digest, Engine, Leg, Message, Protocol, TlsHello};
use remora_store::names::Party;
use remora_store::query::FoundCall;
use remora_store::testing::call;
use test_case::test_case;

use super::*;

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

#[test]
fn legs_of_one_address_and_place_with_the_same_bytes_are_one_call() {
    let wire = Wire::new(1, SECOND);
    let calls: Vec<FoundCall> = (0..3).flat_map(|n| wire.call(n, 0, n as u8)).collect();
    let bonds = bonds(&calls);
    assert_eq!(bonds.len(), 3);
    for (one, other, how, confidence) in bonds {
        assert_eq!(one.block, other.block);
        assert_eq!((how, confidence.as_str()), (How::AddressAndDigest, "1"));
    }
}

#[test]
fn other_bytes_in_the_same_place_are_another_call() {
    let wire = Wire::new(1, SECOND);
    let [outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    let joined = Joined::of(&[outbound, inbound]);
    assert_eq!(joined.exchanges().len(), 2);
    assert!(
        joined
            .exchanges()
            .iter()
            .all(|one| one.bond.is_none() && one.alternatives.is_empty())
    );
}

#[test_case(["k-1", "k-1"], Some("1"); "one key")]
#[test_case(["k-1", "k-2"], Some("0.95"); "two keys")]
#[test_case(["local-1", "local-1"], Some("0.95"); "local keys of the same name")]
#[test_case(["", ""], Some("0.95"); "keys that are not known")]
fn digests_count_only_under_one_shared_key(keys: [&'static str; 2], expected: Option<&str>) {
    let wire = Wire {
        keys,
        ..Wire::new(1, SECOND)
    };
    let bonds = bonds(&wire.call(0, 0, 1));
    assert_eq!(
        bonds.first().map(|(.., confidence)| confidence.as_str()),
        expected
    );
    // Digests that cannot be compared part nobody either.
    let [outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    let parted = Joined::of(&[outbound, inbound]).exchanges().len() == 2;
    assert_eq!(parted, expected == Some("1"));
}

#[test]
fn a_call_without_a_digest_is_joined_by_its_address_and_says_so() {
    let wire = Wire::new(1, SECOND);
    let mut calls: Vec<FoundCall> = (0..2).flat_map(|n| wire.call(n, 0, n as u8)).collect();
    calls[3].call.join_digest = None;
    let found: Vec<_> = bonds(&calls)
        .into_iter()
        .map(|(.., how, sure)| (how, sure))
        .collect();
    let expected = [
        (How::AddressAndDigest, "1".to_owned()),
        (How::Address, "0.99".to_owned()),
    ];
    assert_eq!(found, expected);
    for call in &mut calls {
        call.call.join_digest = None;
    }
    assert!(
        bonds(&calls)
            .iter()
            .all(|(.., how, sure)| (*how, sure.as_str()) == (How::Address, "0.95"))
    );
}

#[test]
fn an_engine_that_acts_may_change_bytes() {
    let wire = Wire::new(1, SECOND);
    let [mut outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    outbound.call.engine = Engine::Terminate;
    let bonds = bonds(&[outbound, inbound]);
    assert_eq!(bonds.first().map(|(.., how, _)| *how), Some(How::Address));
}

#[test]
fn what_was_answered_otherwise_is_not_joined_where_nothing_else_tells() {
    let wire = Wire::new(1, SECOND);
    let change: [fn(&mut Call); 4] = [
        |call| call.response.head = "HTTP/1.1 500 \r\n\r\n".into(),
        |call| call.phases.response_last = call.phases.response_last.map(|at| at + 20 * MS),
        |call| call.request.body_size = 7,
        |call| call.protocol = Protocol::Opaque,
    ];
    for change in change {
        let mut legs = wire.call(0, 0, 1);
        legs[0].call.join_digest = None;
        change(&mut legs[1].call);
        assert_eq!(bonds(&legs).len(), 0);
    }
}

/// Three connections from the same port, one after the other, with the same polls on them.
fn reused(pause_ns: i64, ahead_ns: i64) -> Vec<FoundCall> {
    (0..3)
        .flat_map(|n| {
            let opened_ns = SECOND + n * pause_ns;
            let wire = Wire {
                ahead_ns,
                ..Wire::new(n as u64 + 1, opened_ns)
            };
            wire.call(0, 0, 1)
        })
        .collect()
}

/// A call of another port, by which the clocks are known.
fn bystander(ahead_ns: i64) -> Vec<FoundCall> {
    let wire = Wire {
        ahead_ns,
        port: 50_001,
        ..Wire::new(99, 0)
    };
    wire.call(0, 0, 77).to_vec()
}

#[test_case(60 * SECOND, 0, false; "after a minute")]
#[test_case(60 * SECOND, 4 * SECOND, false; "after a minute, with clocks apart")]
#[test_case(10 * SECOND, 0, true; "after ten seconds, with clocks that are known")]
#[test_case(10 * SECOND, -20 * SECOND, true; "after ten seconds, with clocks that are known to be apart")]
fn a_port_that_is_used_again_is_another_connection(pause_ns: i64, ahead_ns: i64, known: bool) {
    let mut calls = reused(pause_ns, ahead_ns);
    if known {
        calls.extend(bystander(ahead_ns));
    }
    assert_eq!(joined_rightly(&calls), (3 + usize::from(known), true));
    // A leg that was not recorded does not make its neighbour take its place.
    for lost in 0..6 {
        let mut calls = calls.clone();
        calls.remove(lost);
        assert_eq!(
            joined_rightly(&calls),
            (2 + usize::from(known), true),
            "without leg {lost}"
        );
    }
}

#[test]
fn a_port_that_is_used_again_at_once_is_joined_by_what_is_nearest_and_says_what_else_it_may_be() {
    let mut calls = reused(SECOND, 0);
    calls.extend(bystander(0));
    assert_eq!(joined_rightly(&calls), (4, true));
    let joined = Joined::of(&calls);
    let doubted = joined
        .exchanges()
        .iter()
        .filter(|one| !one.alternatives.is_empty());
    for exchange in doubted.clone() {
        assert!(exchange.bond.unwrap().confidence <= Confidence::thousandths(900));
    }
    assert!(doubted.count() >= 2);
}

#[test]
fn bytes_part_connections_of_one_port_whatever_the_clocks_say() {
    let calls: Vec<FoundCall> = (0..3)
        .flat_map(|n| Wire::new(n + 1, SECOND + n as i64 * 1_000).call(0, 0, n as u8))
        .collect();
    assert_eq!(joined_rightly(&calls), (3, true));
    assert!(
        bonds(&calls)
            .iter()
            .all(|(.., confidence)| confidence == "1")
    );
}

#[test]
fn two_callees_of_one_port_at_one_time_are_told_apart_by_nothing_and_both_are_listed() {
    let one = Wire::new(1, SECOND);
    let other = Wire {
        callee: 3,
        ..Wire::new(1, SECOND)
    };
    let [outbound, first] = one.call(0, 0, 1);
    let [_, second] = other.call(0, 0, 1);
    let joined = Joined::of(&[outbound, first, second]);
    assert_eq!(joined.exchanges().len(), 3);
    let exchange = joined.exchange_of(0).unwrap();
    assert_eq!(exchange.inbound, None);
    let listed: Vec<_> = exchange
        .alternatives
        .iter()
        .map(|one| (one.leg, one.confidence.as_f64()))
        .collect();
    assert_eq!(listed, [(1, 0.5), (2, 0.5)]);
}

fn translated(id: u64, opened_ns: i64) -> Wire {
    let port = 30_000 + id as u16;
    Wire {
        port,
        translated: Some(SocketAddr::from(([10, 9, 9, 9], port + 1))),
        ..Wire::new(id, opened_ns)
    }
}

#[test]
fn behind_a_translated_address_the_bytes_decide() {
    let calls: Vec<FoundCall> = (0..4)
        .flat_map(|n| translated(n + 1, SECOND * n as i64).call(0, 0, n as u8))
        .collect();
    assert_eq!(joined_rightly(&calls), (4, true));
    let found = bonds(&calls);
    assert!(
        found
            .iter()
            .all(|(.., how, sure)| (*how, sure.as_str()) == (How::Digest, "0.9"))
    );
}

#[test]
fn behind_a_translated_address_calls_without_a_digest_follow_their_connection() {
    let wire = translated(1, SECOND);
    let mut calls: Vec<FoundCall> = (0..3).flat_map(|n| wire.call(n, 0, n as u8)).collect();
    calls[2].call.join_digest = None;
    assert_eq!(joined_rightly(&calls), (3, true));
    let sure: Vec<_> = bonds(&calls).into_iter().map(|(.., sure)| sure).collect();
    assert_eq!(sure, ["0.9", "0.85", "0.9"]);
}

#[test]
fn polls_behind_a_translated_address_are_told_apart_by_the_rest_of_their_connections() {
    let calls: Vec<FoundCall> = (0..4)
        .flat_map(|n| {
            let wire = translated(n + 1, SECOND + n as i64 * 1_000);
            let poll = wire.call(0, 0, 200);
            poll.into_iter().chain(wire.call(1, 5 * MS, n as u8))
        })
        .collect();
    assert_eq!(joined_rightly(&calls), (8, true));
}

#[test]
fn polls_behind_a_translated_address_that_nothing_tells_apart_are_listed() {
    let calls: Vec<FoundCall> = (0..3)
        .flat_map(|n| translated(n + 1, SECOND + n as i64 * 1_000).call(0, 0, 1))
        .collect();
    let joined = Joined::of(&calls);
    assert_eq!(joined.exchanges().len(), 6);
    for exchange in joined.exchanges() {
        assert_eq!(exchange.bond, None);
        assert_eq!(exchange.alternatives.len(), 3);
        assert!(
            exchange
                .alternatives
                .iter()
                .all(|one| one.confidence.as_f64() < 0.34)
        );
    }
}

#[test]
fn a_poll_of_somebody_who_is_not_recorded_is_not_taken_for_one_whose_leg_was_lost() {
    // The caller's leg of one connection, and the callee's of another that came from another port of the
    // same address: nothing was translated.
    let [outbound, _] = Wire::new(1, SECOND).call(0, 0, 1);
    let [_, inbound] = Wire {
        port: 40_002,
        ..Wire::new(2, SECOND)
    }
    .call(0, 0, 1);
    assert_eq!(bonds(&[outbound.clone(), inbound.clone()]).len(), 0);
    // Nor one from an address that is known to be somebody else's.
    let mut inbound = inbound;
    inbound.call.src = SocketAddr::from(([10, 0, 0, 7], 40_002));
    inbound.src.workload = "somebody-else".to_owned();
    assert_eq!(bonds(&[outbound, inbound]).len(), 0);
}

#[test_case(None; "of one address")]
#[test_case(Some(SocketAddr::from(([10, 9, 9, 9], 1))); "of a translated one")]
fn tls_that_was_passed_through_is_joined_by_its_hello(translated: Option<SocketAddr>) {
    let wire = Wire {
        translated,
        ..Wire::new(1, SECOND)
    };
    let mut calls = wire.call(0, 0, 0);
    for (number, found) in calls.iter_mut().enumerate() {
        found.call.protocol = Protocol::Tls;
        found.call.join_digest = None;
        found.call.request = Message::default();
        found.call.response = Message::default();
        found.redaction_key = format!("local-{number}").into();
        found.call.detail = Detail::Tls(TlsHello {
            random: [9; 32],
            ..TlsHello::default()
        });
    }
    assert_eq!(bonds(&calls)[0].2, How::Handshake);
    let Detail::Tls(hello) = &mut calls[1].call.detail else {
        unreachable!("it was set above");
    };
    hello.random = [8; 32];
    assert_eq!(bonds(&calls).len(), 0);
}

#[test_case(0; "none")]
#[test_case(7 * SECOND; "ahead")]
#[test_case(-3 * SECOND; "behind")]
fn clocks_are_bounded_by_what_was_sent_and_answered(ahead_ns: i64) {
    let wire = Wire {
        ahead_ns,
        ..Wire::new(1, SECOND)
    };
    let calls = wire.call(0, 0, 1);
    let joined = Joined::of(&calls);
    let bound = joined.clocks().between(1, 2).unwrap();
    let expected = ClockBound {
        low_ns: ahead_ns - MS as i64 / 5,
        high_ns: ahead_ns + MS as i64 / 5,
    };
    assert_eq!(bound, expected);
    let back = joined.clocks().between(2, 1).unwrap();
    assert_eq!((back.low_ns, back.high_ns), (-bound.high_ns, -bound.low_ns));
    assert_eq!(joined.clocks().between(1, 3), None);
}

#[test]
fn nothing_is_ordered_inside_the_bound_of_clocks() {
    let wire = Wire {
        ahead_ns: SECOND,
        ..Wire::new(1, SECOND)
    };
    let calls = wire.call(0, 0, 1);
    let joined = Joined::of(&calls);
    let order = |apart_ns: i64| {
        let mut later = calls[1].clone();
        later.call.time_ns = calls[0].call.time_ns + SECOND + apart_ns;
        joined.clocks().order(&calls[0], &later)
    };
    let outside = MS as i64 / 5 + 1;
    assert_eq!(order(outside), Some(std::cmp::Ordering::Less));
    assert_eq!(order(-outside), Some(std::cmp::Ordering::Greater));
    assert_eq!(order(outside - 1), None);
    assert_eq!(order(0), None);
    let mut own = calls[0].clone();
    own.call.time_ns += 1;
    assert_eq!(
        joined.clocks().order(&calls[0], &own),
        Some(std::cmp::Ordering::Less)
    );
}

/// Connections as they happen: ports that are used again, addresses that are translated, clocks apart,
/// legs and digests that were lost. Each call sends bytes of its own, or the same poll as the others.
fn any_traffic() -> impl Strategy<Value = Vec<FoundCall>> {
    let clocks = prop::collection::vec(-5 * SECOND..5 * SECOND, 3);
    let wires = prop::collection::vec(
        (
            0..3_usize,
            0..6_u16,
            any::<bool>(),
            1..4_u32,
            any::<[u8; 4]>(),
            0..100_i64,
        ),
        1..24,
    );
    (clocks, wires).prop_map(|(clocks, wires)| {
        let mut calls = Vec::new();
        for (number, (callee, port, plain, legs, fate, pause)) in wires.into_iter().enumerate() {
            let mut wire = Wire::new(number as u64 + 1, number as i64 * 70 * SECOND + pause);
            wire.callee = 2 + callee as u128;
            wire.port = 40_000 + port;
            wire.ahead_ns = clocks[callee];
            if !plain {
                wire.translated = Some(SocketAddr::from(([10, 9, 9, 9], 20_000 + number as u16)));
            }
            for ordinal in 0..legs {
                let luck = fate[ordinal as usize];
                let sent = if luck % 3 == 0 {
                    255
                } else {
                    number as u8 * 4 + ordinal as u8
                };
                let mut pair = wire.call(ordinal, u64::from(ordinal) * 3 * MS, sent);
                if luck % 7 == 0 {
                    pair[usize::from(luck % 2)].call.join_digest = None;
                }
                match luck % 11 {
                    0 => calls.push(pair[0].clone()),
                    1 => calls.push(pair[1].clone()),
                    _ => calls.extend(pair),
                }
            }
        }
        calls
    })
}

proptest! {
    #[test]
    fn nothing_is_joined_wrongly_and_the_order_of_legs_does_not_matter(
        (calls, shuffled) in any_traffic().prop_flat_map(|calls| (Just(calls.clone()), Just(calls).prop_shuffle())),
    ) {
        prop_assert!(joined_rightly(&calls).1, "{:?}", bonds(&calls));
        prop_assert_eq!(bonds(&calls), bonds(&shuffled));
        let told = |calls: &[FoundCall]| {
            let joined = Joined::of(calls);
            let mut told: Vec<_> = joined
                .exchanges()
                .iter()
                .map(|one| {
                    let id = |leg: Option<usize>| leg.map(|leg| calls[leg].id);
                    let others: Vec<_> =
                        one.alternatives.iter().map(|other| (id(Some(other.leg)), other.confidence)).collect();
                    (id(one.outbound), id(one.inbound), others)
                })
                .collect();
            told.sort();
            told
        };
        prop_assert_eq!(told(&calls), told(&shuffled));
    }

    #[test]
    fn traffic_of_others_does_not_change_what_is_joined(calls in any_traffic(), others in any_traffic()) {
        let mut both = calls.clone();
        for mut other in others {
            // Other recorders, other addresses, other bytes.
            let origin = Origin { incarnation: other.origin.incarnation + 100, ..Origin::default() };
            other.origin = Arc::new(origin);
            other.id.block ^= 1 << 60;
            for address in [&mut other.call.src, &mut other.call.dst] {
                address.set_ip([10, 7, 7, 7].into());
            }
            if let Some(from) = &mut other.call.connection.forwarded_from {
                from.set_ip([10, 7, 7, 7].into());
            }
            other.call.join_digest = other.call.join_digest.map(|digest| Digest(digest.0.map(|byte| byte ^ 0xff)));
            other.redaction_key = "k-others".into();
            both.push(other);
        }
        let alone = bonds(&calls);
        let mut among = bonds(&both);
        among.retain(|(one, ..)| alone.iter().any(|(known, ..)| known == one) || one.block >> 60 & 1 == 0);
        prop_assert_eq!(alone, among);
    }
}
