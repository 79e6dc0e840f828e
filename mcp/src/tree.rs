//! What a call caused, and what that caused: a tree over joined legs and their causes (pure).

pub mod answer;

use std::collections::HashSet;

use remora_store::query::FoundCall;

use crate::causality::{Cause, Causes};
use crate::join::{Exchange, Joined};

/// How much of a tree is told.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most calls one below the other; the root is the first.
    pub depth: usize,
    /// Most calls in all.
    pub calls: usize,
}

/// A call and what it caused, each call behind the one that caused it, in the order in which they began.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    /// The calls, the root first.
    pub branches: Vec<Branch<'a>>,
    /// Calls that something in the tree may have caused, or something else.
    pub unsure: usize,
    /// There are calls that lie deeper.
    pub is_cut_in_depth: bool,
    /// There are more calls.
    pub is_cut_in_calls: bool,
}

/// One call in a tree.
#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    /// How many calls it lies below the root.
    pub depth: usize,
    /// Its legs.
    pub exchange: &'a Exchange,
    /// Why it stands below the call above it; `None` for the root, unless something is known to have caused that.
    pub cause: Option<&'a Cause>,
    /// From the first byte of the request that caused it to its own, in nanoseconds, by the clock of the pod in
    /// between; `None` for the root.
    pub gap_ns: Option<u64>,
}

impl<'a> Tree<'a> {
    /// The tree below the call that a leg is of.
    pub fn below(
        calls: &[FoundCall],
        joined: &'a Joined,
        causes: &'a Causes,
        leg: usize,
        limits: Limits,
    ) -> Self {
        let mut tree = Self::default();
        let Some(root) = joined.exchange_of(leg) else {
            return tree;
        };
        let cause = |exchange: &Exchange| causes.of_leg(exchange.outbound?);
        let mut seen = HashSet::from([legs(root)]);
        let mut maybe: HashSet<usize> = HashSet::new();
        let mut next = vec![Branch {
            depth: 0,
            exchange: root,
            cause: cause(root),
            gap_ns: None,
        }];
        while let Some(branch) = next.pop() {
            if tree.branches.len() == limits.calls {
                tree.is_cut_in_calls = true;
                break;
            }
            tree.branches.push(branch);
            let Some(inbound) = branch.exchange.inbound else {
                continue;
            };
            maybe.extend(causes.possible_effects(inbound));
            let effects = causes.effects(inbound);
            if branch.depth + 1 == limits.depth {
                tree.is_cut_in_depth |= !effects.is_empty();
                continue;
            }
            for &effect in effects.iter().rev() {
                let Some(exchange) = joined.exchange_of(effect) else {
                    continue;
                };
                // Two legs that contradict each other could make a circle.
                if seen.insert(legs(exchange)) {
                    next.push(Branch {
                        depth: branch.depth + 1,
                        exchange,
                        cause: cause(exchange),
                        gap_ns: gap_ns(calls, inbound, effect),
                    });
                }
            }
        }
        tree.unsure = maybe.len();
        tree
    }
}

fn legs(exchange: &Exchange) -> (Option<usize>, Option<usize>) {
    (exchange.outbound, exchange.inbound)
}

fn gap_ns(calls: &[FoundCall], inbound: usize, outbound: usize) -> Option<u64> {
    let began = |leg: usize| calls.get(leg).map(|found| found.call.time_ns);
    let gap = began(outbound)?.checked_sub(began(inbound)?)?;
    u64::try_from(gap).ok()
}

#[cfg(test)]
mod tests;
