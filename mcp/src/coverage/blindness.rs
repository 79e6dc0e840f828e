//! What nobody would have seen: pods without a sidecar that works, and sidecars that are not given everything.

use remora_store::snapshot::{Blind, BlindBecause, Blindness};

use crate::control::{Share, SidecarName};
use crate::watches::unrecorded::Unrecorded;

/// What is not seen of a cluster in which these pods are not recorded.
pub(super) fn of_cluster(unrecorded: &[Unrecorded], behind_since_ns: Option<i64>) -> Blindness {
    let beside = unrecorded.iter().map(|it| Blind {
        namespace: it.namespace.clone(),
        workload: it.workload.clone(),
        because: BlindBecause::Unrecorded,
        count: it.pods,
    });
    Blindness {
        not_watched_since_ns: behind_since_ns,
        beside: beside.collect(),
        omitted: 0,
    }
}

/// Adds what sidecars do not see that are given only this share of inbound and of outbound connections.
pub(super) fn add_given(blindness: &mut Blindness, given: &[(SidecarName, Share, Share)]) {
    for (name, inbound, outbound) in given {
        let no_inbound = (*inbound != Share::All).then_some(BlindBecause::NoInbound);
        let outbound = match outbound {
            Share::All => None,
            Share::Proxied => Some(BlindBecause::Proxied),
            Share::Nothing => Some(BlindBecause::NoOutbound),
        };
        let reasons = [no_inbound, outbound].into_iter().flatten();
        blindness.beside.extend(reasons.map(|because| Blind {
            namespace: name.namespace.clone(),
            workload: name.workload.clone(),
            because,
            count: 1,
        }));
    }
}
