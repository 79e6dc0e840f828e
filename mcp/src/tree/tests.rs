use std::sync::Arc;

use remora_store::block::Origin;
use remora_store::call::{CallId, Leg};
use remora_store::names::Party;
use remora_store::testing::call;

use super::*;

const LIMITS: Limits = Limits {
    depth: 10,
    calls: 100,
};

/// Legs of a chain of calls, `fan` made by each, `depth` of them below each other; recorder `n` calls `n + 1`.
fn chain(depth: u8, fan: u8) -> Vec<FoundCall> {
    let mut legs = Vec::new();
    for at in 0..depth {
        for turn in 0..if at == 0 { 1 } else { fan } {
            // Each asks a little later than it was asked, one call after the other.
            let time_ns = 1_000_000_000 + i64::from(at) * 1_000 + i64::from(turn) * 50_000;
            let port = 40_000 + u16::from(turn);
            for leg in [Leg::Outbound, Leg::Inbound] {
                let mut call = call(time_ns + i64::from(leg == Leg::Inbound) * 100, "/a", 200);
                call.leg = leg;
                call.src = ([10, 0, 0, at], port).into();
                call.connection.id = u64::from(turn) + 1;
                call.connection.forwarded_from = (leg == Leg::Outbound).then_some(call.src);
                let latency =
                    2_000_000 - u64::from(at) * 300_000 - u64::from(leg == Leg::Inbound) * 200;
                call.phases.response_first = call.phases.request_first.map(|at| at + latency / 40);
                call.phases.response_last = call.phases.response_first;
                if at == 0 || turn + 1 == fan {
                    call.phases.response_first = call.phases.request_first.map(|at| at + latency);
                    call.phases.response_last = call.phases.response_first;
                }
                let recorder = u128::from(at) + u128::from(leg == Leg::Inbound);
                legs.push(FoundCall {
                    id: CallId {
                        block: recorder as u64 + 1,
                        ordinal: u32::from(turn) * 2 + u32::from(leg == Leg::Inbound),
                    },
                    src: Party::unknown(call.src),
                    dst: Party::unknown(call.dst),
                    call,
                    withheld: false,
                    origin: Arc::new(Origin {
                        incarnation: recorder,
                        ..Origin::default()
                    }),
                    redaction_key: Arc::default(),
                });
            }
        }
    }
    legs
}

fn depths(legs: &[FoundCall], leg: usize, limits: Limits) -> (Vec<usize>, bool, bool) {
    let (joined, causes) = (Joined::of(legs), Causes::of(legs));
    let tree = Tree::below(legs, &joined, &causes, leg, limits);
    let depths = tree.branches.iter().map(|branch| branch.depth).collect();
    (depths, tree.is_cut_in_depth, tree.is_cut_in_calls)
}

#[test]
fn calls_stand_below_what_caused_them() {
    let legs = chain(3, 1);
    assert_eq!(depths(&legs, 0, LIMITS), (vec![0, 1, 2], false, false));
    // From either leg, and from the middle.
    assert_eq!(depths(&legs, 1, LIMITS).0, [0, 1, 2]);
    assert_eq!(depths(&legs, 2, LIMITS).0, [0, 1]);
    assert_eq!(depths(&legs, 5, LIMITS).0, [0]);
    assert!(depths(&legs, 99, LIMITS).0.is_empty());
}

#[test]
fn calls_of_one_cause_stand_in_the_order_in_which_they_began() {
    let legs = chain(2, 3);
    let (joined, causes) = (Joined::of(&legs), Causes::of(&legs));
    let tree = Tree::below(&legs, &joined, &causes, 0, LIMITS);
    let gaps: Vec<_> = tree.branches.iter().map(|branch| branch.gap_ns).collect();
    assert_eq!(gaps, [None, Some(900), Some(50_900), Some(100_900)]);
}

#[test]
fn a_tree_has_bounds_and_says_when_they_cut() {
    let legs = chain(4, 1);
    let depth = |depth| Limits { depth, ..LIMITS };
    let calls = |calls| Limits { calls, ..LIMITS };
    assert_eq!(depths(&legs, 0, depth(2)), (vec![0, 1], true, false));
    assert_eq!(depths(&legs, 0, depth(4)), (vec![0, 1, 2, 3], false, false));
    assert_eq!(depths(&legs, 0, calls(3)), (vec![0, 1, 2], false, true));
}

#[test]
fn without_the_leg_of_the_callee_a_tree_ends() {
    let mut legs = chain(3, 1);
    legs.remove(3);
    assert_eq!(depths(&legs, 0, LIMITS).0, [0, 1]);
}
