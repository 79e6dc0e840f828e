//! The user that a sidecar runs as. The redirect rules know the sidecar by it, so no process of the pod may
//! have the same: it would go unrecorded.

use serde_json::Value;

use crate::pod::Pod;

/// The first choice; the rest follow upwards.
const FIRST_UID: u32 = 15100;

/// A user that nothing in the pod's spec runs as. What an image sets for itself is not in the spec.
pub(super) fn choose(pod: Pod<'_>) -> u32 {
    let taken: Vec<u64> = uids(pod).collect();
    // One more candidate than there are uids to avoid: one of them is free.
    (FIRST_UID..)
        .take(taken.len() + 1)
        .find(|uid| !taken.contains(&u64::from(*uid)))
        .unwrap_or(FIRST_UID)
}

fn uids(pod: Pod<'_>) -> impl Iterator<Item = u64> {
    let of_pod = pod.at("/spec/securityContext/runAsUser");
    let of_containers = pod
        .all_containers()
        .chain(pod.list("/spec/ephemeralContainers"))
        .filter_map(|container| container.pointer("/securityContext/runAsUser"));
    of_pod
        .into_iter()
        .chain(of_containers)
        .filter_map(Value::as_u64)
}
