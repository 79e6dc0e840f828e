//! Whether all is known that a pod asked of others while it answered a call (pure).

use std::collections::HashMap;

use remora_store::call::Leg;

use crate::checks::ground::Unread;
use crate::traffic::earlier::is_unread;
use crate::traffic::{Observed, Traffic};

/// What stands in the way, by the run of each pod's sidecar.
pub(super) struct Sight {
    /// When calls began of which it is not sure what they were for, in order of time.
    unsure: HashMap<u128, Vec<i64>>,
    /// From when to when there were connections to others that are not read: what passes there may be a question
    /// to a database of which nothing is known.
    unread: HashMap<u128, Vec<(i64, i64)>>,
}

impl Sight {
    /// What of it is in the traffic, and `beyond` it.
    pub(super) fn of(traffic: &Traffic, beyond: &[Unread]) -> Self {
        let mut unread: HashMap<u128, Vec<(i64, i64)>> = HashMap::new();
        let mut add = |run, lasts| unread.entry(run).or_default().push(lasts);
        for leg in traffic.observed() {
            if is_unread(leg) && leg.found.call.leg == Leg::Outbound {
                let lasts = (leg.began_ns(), leg.ended_ns().unwrap_or(i64::MAX));
                add(leg.found.origin.incarnation, lasts);
            }
        }
        for it in beyond {
            add(it.run, (it.since_ns, it.until_ns));
        }
        Self {
            unsure: traffic.unsure(),
            unread,
        }
    }

    /// Whether the pod that received a call had nothing of it before it had answered.
    pub(super) fn is_clear(&self, inbound: &Observed) -> bool {
        !self.overlaps_unsure(inbound) && !self.speaks_unread(inbound)
    }

    fn overlaps_unsure(&self, inbound: &Observed) -> bool {
        let Some(began) = self.unsure.get(&inbound.found.origin.incarnation) else {
            return false;
        };
        let first = began.partition_point(|at| *at < inbound.began_ns());
        let ended = inbound.ended_ns().unwrap_or(i64::MAX);
        began.get(first).is_some_and(|at| *at <= ended)
    }

    fn speaks_unread(&self, inbound: &Observed) -> bool {
        let ended = inbound.ended_ns().unwrap_or(i64::MAX);
        let of_pod = self.unread.get(&inbound.found.origin.incarnation);
        of_pod.is_some_and(|of_pod| {
            let mut lasting = of_pod.iter();
            lasting.any(|(first, last)| *first <= ended && inbound.began_ns() <= *last)
        })
    }
}
