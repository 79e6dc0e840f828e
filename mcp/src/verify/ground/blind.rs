//! What nobody would have seen beside a workload, in sentences (pure).

use remora_store::call::Leg;
use remora_store::snapshot::{Blind, BlindBecause, Blindness};

use super::beside::Workload;
use crate::clock::rfc3339;
use crate::tools::text;

/// Most sentences.
const SENTENCES: usize = 5;

/// Why calls of some workloads are not seen by their own sidecars: outbound ones or inbound ones.
pub(super) fn side(
    blindness: &Blindness,
    leg: Leg,
    is_meant: impl Fn(Workload<'_>) -> bool,
) -> Vec<String> {
    let meant = blindness.beside.iter();
    let meant = meant.filter(|it| is_meant((&it.namespace, &it.workload)));
    meant
        .filter_map(|it| of_side(it, leg))
        .take(SENTENCES)
        .collect()
}

fn of_side(blind: &Blind, leg: Leg) -> Option<String> {
    let shown = text::name(&blind.workload).unwrap_or("(odd name)");
    match (blind.because, leg) {
        (BlindBecause::Proxied, Leg::Outbound) => Some(format!(
            "outbound calls of {shown} are seen only where it honours HTTP_PROXY and HTTPS_PROXY"
        )),
        (BlindBecause::NoOutbound, Leg::Outbound) => {
            Some(format!("the sidecar of {shown} is given no outbound calls"))
        }
        (BlindBecause::NoInbound, Leg::Inbound) => {
            Some(format!("the sidecar of {shown} is given no inbound calls"))
        }
        _ => None,
    }
}

/// All of it, for people.
pub(super) fn sentences(blindness: &Blindness) -> Vec<String> {
    let pods = blindness.beside.iter().filter_map(|it| {
        let shown = text::name(&it.workload).unwrap_or("(odd name)");
        let is_pods = it.because == BlindBecause::Unrecorded;
        is_pods.then(|| format!("{} pods of {shown} were not recorded", it.count))
    });
    let mut sentences: Vec<String> = pods.take(SENTENCES).collect();
    for leg in [Leg::Outbound, Leg::Inbound] {
        sentences.extend(side(blindness, leg, |_| true));
    }
    let since = blindness.not_watched_since_ns.map(rfc3339);
    sentences.extend(since.map(|since| format!("the cluster was not watched since {since}")));
    sentences
}

/// How many pods are not recorded, of the workloads that are meant.
pub(super) fn unrecorded_pods(
    blindness: &Blindness,
    is_meant: impl Fn(Workload<'_>) -> bool,
) -> u64 {
    let unrecorded = blindness.beside.iter().filter(|it| {
        it.because == BlindBecause::Unrecorded && is_meant((&it.namespace, &it.workload))
    });
    unrecorded.fold(0, |sum, it| sum.saturating_add(it.count))
}
