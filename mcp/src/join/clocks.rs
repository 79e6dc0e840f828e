//! What joined legs say of clocks: a request is not received before it was sent, nor is a response.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use remora_store::query::FoundCall;

/// How far the clocks of two recorders can be apart, for each pair of them that has calls in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clocks {
    /// By the incarnations of both, the lower one first: how far the clock of the second is ahead.
    bounds: BTreeMap<(u128, u128), ClockBound>,
}

/// How far one clock is ahead of another: at least and at most, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockBound {
    /// At least.
    pub low_ns: i64,
    /// At most.
    pub high_ns: i64,
}

impl Clocks {
    /// How far the clock of the recorder `second` is ahead of that of `first`, both named by their
    /// incarnations; `None` where no call of theirs was joined.
    pub fn between(&self, first: u128, second: u128) -> Option<ClockBound> {
        if first == second {
            return Some(ClockBound {
                low_ns: 0,
                high_ns: 0,
            });
        }
        if first < second {
            return self.bounds.get(&(first, second)).copied();
        }
        self.bounds
            .get(&(second, first))
            .map(|bound| bound.reversed())
    }

    /// Every pair that has calls in common, with how far the clock of the second is ahead.
    pub fn pairs(&self) -> impl Iterator<Item = ((u128, u128), ClockBound)> {
        self.bounds.iter().map(|(pair, bound)| (*pair, *bound))
    }

    /// Which of two calls began first. `None` where the clocks of their recorders are not known well enough
    /// to tell.
    pub fn order(&self, a: &FoundCall, b: &FoundCall) -> Option<Ordering> {
        let bound = self.between(a.origin.incarnation, b.origin.incarnation)?;
        let later = b.call.time_ns.saturating_sub(a.call.time_ns);
        if bound.low_ns == bound.high_ns {
            return Some(bound.low_ns.cmp(&later));
        }
        match later {
            later if later > bound.high_ns => Some(Ordering::Less),
            later if later < bound.low_ns => Some(Ordering::Greater),
            _ => None,
        }
    }

    /// Learns from two legs of one call.
    pub(super) fn learn(&mut self, outbound: &FoundCall, inbound: &FoundCall) {
        let (caller, callee) = (outbound.origin.incarnation, inbound.origin.incarnation);
        let Some(bound) = bound_of(outbound, inbound).filter(|_| caller != callee) else {
            return;
        };
        let (pair, bound) = match caller < callee {
            true => ((caller, callee), bound),
            false => ((callee, caller), bound.reversed()),
        };
        self.bounds
            .entry(pair)
            .and_modify(|known| *known = known.and(bound))
            .or_insert(bound);
    }
}

impl ClockBound {
    fn reversed(self) -> Self {
        Self {
            low_ns: self.high_ns.saturating_neg(),
            high_ns: self.low_ns.saturating_neg(),
        }
    }

    /// What both allow. Where they contradict each other a clock was set, or was read late: then everything
    /// between them is possible.
    fn and(self, other: Self) -> Self {
        let low_ns = self.low_ns.max(other.low_ns);
        let high_ns = self.high_ns.min(other.high_ns);
        Self {
            low_ns: low_ns.min(high_ns),
            high_ns: high_ns.max(low_ns),
        }
    }
}

/// How far the callee's clock is ahead: what was sent came later, and so did what was answered.
fn bound_of(outbound: &FoundCall, inbound: &FoundCall) -> Option<ClockBound> {
    let apart = |phase: fn(&remora_store::call::Phases) -> Option<u64>| {
        let at = |found: &FoundCall| at_ns(found, phase(&found.call.phases)?);
        at(inbound)?.checked_sub(at(outbound)?)
    };
    let sent = [apart(|p| p.request_first), apart(|p| p.request_last)];
    let answered = [apart(|p| p.response_first), apart(|p| p.response_last)];
    let high_ns = sent.into_iter().flatten().min()?;
    let low_ns = answered.into_iter().flatten().max()?;
    Some(ClockBound {
        low_ns: low_ns.min(high_ns),
        high_ns: high_ns.max(low_ns),
    })
}

/// The recorder's wall clock at a phase of a call.
fn at_ns(found: &FoundCall, phase: u64) -> Option<i64> {
    let since_request = i128::from(phase) - i128::from(found.call.phases.request_first?);
    i64::try_from(i128::from(found.call.time_ns) + since_request).ok()
}
