//! Which inbound call caused which outbound calls of the same pod (pure).
//!
//! Nothing is injected into traffic, so this is what the traffic itself tells: trace headers and request ids
//! where an application passes them on; else which inbound calls were being answered when the outbound one
//! began, and which of them it fits. How sure an answer is was measured on traffic of which the truth is known;
//! the table is in `docs/causality.md`. A call that began while none was being answered has no cause among
//! calls: it is background.
//!
//! Only legs of one recorder are ever compared, by the one clock that they share.

mod context;
mod habits;
mod pod;
mod stated;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use remora_store::call::Leg;
use remora_store::query::FoundCall;

use crate::confidence::Confidence;
use pod::Pod;

/// Most alternatives that are listed for a call.
pub const MAX_ALTERNATIVES: usize = 5;

/// What caused what. Legs are places in the slice that was asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes {
    causes: Vec<Option<Cause>>,
    effects: Vec<Vec<usize>>,
    possible_effects: Vec<Vec<usize>>,
}

/// What an outbound call was caused by, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The inbound leg of the same pod; `None` where none was being answered, or it cannot be told which.
    pub parent: Option<usize>,
    /// By what it was found.
    pub how: How,
    /// How often such an answer is right.
    pub confidence: Confidence,
    /// Other inbound legs that it may have been, the most likely first.
    pub alternatives: Vec<Alternative>,
}

/// An inbound leg that may have caused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// Which leg.
    pub leg: usize,
    /// How likely it is.
    pub confidence: Confidence,
}

/// By what the cause of a call was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Both carry the same trace id.
    TraceHeaders,
    /// Both carry the same request id.
    RequestId,
    /// Both paths hold the same id, and no other call that was being answered does.
    SharedId,
    /// One call was being answered, and no other.
    OnlyOneInFlight,
    /// Of several that were being answered, it fits the habits of one.
    Timing,
    /// Of several that were being answered, none fits clearly better than the others.
    Ambiguous,
    /// None was being answered, or it comes whether or not one is.
    Background,
}

impl How {
    /// A fixed word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraceHeaders => "trace_headers",
            Self::RequestId => "request_id",
            Self::SharedId => "shared_id",
            Self::OnlyOneInFlight => "only_one_in_flight",
            Self::Timing => "timing",
            Self::Ambiguous => "ambiguous",
            Self::Background => "background",
        }
    }
}

impl Causes {
    /// Finds the causes of all outbound legs; bodies are not needed. The order in which legs are given does not
    /// matter, nor does traffic of other pods. Takes time in proportion to their number, but for sorting, and to
    /// how many calls are answered at a time, up to 16 of them.
    pub fn of(calls: &[FoundCall]) -> Self {
        let mut by_recorder: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        for (leg, found) in calls.iter().enumerate() {
            by_recorder
                .entry(found.origin.incarnation)
                .or_default()
                .push(leg);
        }
        let mut causes = vec![None; calls.len()];
        for legs in by_recorder.into_values() {
            for (leg, cause) in Pod::of(calls, &legs).causes() {
                if let Some(place) = causes.get_mut(leg) {
                    *place = Some(cause);
                }
            }
        }
        let mut effects = vec![Vec::new(); calls.len()];
        let mut possible_effects = vec![Vec::new(); calls.len()];
        for (leg, cause) in causes.iter().enumerate() {
            let Some(cause) = cause.as_ref() else {
                continue;
            };
            let (parents, of) = match (cause.parent, cause.how) {
                (Some(parent), _) => (vec![parent], &mut effects),
                (None, How::Background) => continue,
                (None, _) => {
                    let possible = cause.alternatives.iter().map(|one| one.leg);
                    (possible.collect(), &mut possible_effects)
                }
            };
            for parent in parents {
                if let Some(effects) = of.get_mut(parent) {
                    effects.push(leg);
                }
            }
        }
        let rank = |leg: &usize| calls.get(*leg).map(|found| (found.call.time_ns, found.id));
        for legs in effects.iter_mut().chain(&mut possible_effects) {
            legs.sort_by_key(rank);
        }
        Self {
            causes,
            effects,
            possible_effects,
        }
    }

    /// What caused a leg; `None` for one that is inbound, or not in the slice.
    pub fn of_leg(&self, leg: usize) -> Option<&Cause> {
        self.causes.get(leg)?.as_ref()
    }

    /// The outbound legs that an inbound one caused, by when they began.
    pub fn effects(&self, leg: usize) -> &[usize] {
        self.effects.get(leg).map_or(&[], Vec::as_slice)
    }

    /// The outbound legs that an inbound one may have caused, among others that may.
    pub fn possible_effects(&self, leg: usize) -> &[usize] {
        self.possible_effects.get(leg).map_or(&[], Vec::as_slice)
    }
}

/// Whether a leg is one that can be caused.
fn is_outbound(found: &FoundCall) -> bool {
    found.call.leg == Leg::Outbound
}
