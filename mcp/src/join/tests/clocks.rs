//! How far the clocks of two recorders are apart.

use test_case::test_case;

use super::*;

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
