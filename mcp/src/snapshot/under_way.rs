//! What was still under way when a snapshot was sealed, in sentences.

use std::collections::BTreeMap;

use remora_store::snapshot::{Beside, UnderWay, Unsettled};

use super::shown;

/// Most sentences.
const SENTENCES: usize = 10;
/// Said where not all of it is known.
const OVERFLOW: &str = "more was under way when the snapshot was sealed than its record could list";

/// What a sealed snapshot may lack of its own time.
pub fn blind_spots(unsettled: &Unsettled) -> Vec<String> {
    let mut spots: Vec<String> = unsettled.silent.iter().map(silent).collect();
    spots.extend(unsettled.running.iter().map(running));
    let more = spots.len().saturating_sub(SENTENCES);
    if more > 0 {
        spots.truncate(SENTENCES);
        spots.push(format!(
            "calls or sidecars beside {more} more workloads were under way when the snapshot was sealed"
        ));
    }
    spots.extend(omitted(unsettled));
    spots
}

/// Which sidecars beside some workloads had not handed over; empty where all had.
pub fn not_handed_over(unsettled: &Unsettled, is_meant: impl Fn(&Beside) -> bool) -> Vec<String> {
    let silent_ones = unsettled.silent.iter().filter(|it| is_meant(it));
    silent_ones.map(silent).take(SENTENCES).collect()
}

/// Beside whom calls ran on that are meant; of those that are not listed one by one it is not known.
pub fn still_running(unsettled: &Unsettled, is_meant: impl Fn(&UnderWay) -> bool) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for call in unsettled.calls.iter().filter(|it| is_meant(it)) {
        let workload = (call.namespace.as_str(), call.workload.as_str());
        *counts.entry(workload).or_default() += 1;
    }
    let meant = counts
        .into_iter()
        .map(|((namespace, workload), count)| Beside {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            count,
        });
    let mut sentences: Vec<String> = meant.map(|it| running(&it)).take(SENTENCES).collect();
    let listed = unsettled.calls.len() as u64;
    let all = unsettled.running.iter().map(|it| it.count);
    if all.fold(unsettled.omitted, u64::saturating_add) > listed {
        sentences.push(OVERFLOW.to_owned());
    }
    sentences
}

fn silent(beside: &Beside) -> String {
    let (count, workload) = (beside.count, shown(&beside.workload));
    match count {
        1 => format!("the sidecar of {workload} had not handed over when the snapshot was sealed"),
        _ => {
            format!(
                "{count} sidecars of {workload} had not handed over when the snapshot was sealed"
            )
        }
    }
}

fn running(beside: &Beside) -> String {
    let (count, workload) = (beside.count, shown(&beside.workload));
    match count {
        1 => format!("a call beside {workload} was still running when the snapshot was sealed"),
        _ => {
            format!(
                "{count} calls beside {workload} were still running when the snapshot was sealed"
            )
        }
    }
}

fn omitted(unsettled: &Unsettled) -> Option<String> {
    (unsettled.omitted > 0).then(|| OVERFLOW.to_owned())
}
