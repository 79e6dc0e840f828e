//! Callers whose address is another one to the callee.

use super::*;

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
