//! Ports that several connections have.

use test_case::test_case;

use super::*;

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
