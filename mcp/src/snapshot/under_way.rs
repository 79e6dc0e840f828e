//! What was still under way when a snapshot was sealed, in sentences.

use remora_store::snapshot::{Beside, Unsettled};

use super::shown;

/// Most sentences.
const SENTENCES: usize = 10;

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

/// Why what was not seen beside some workloads may have happened all the same; empty where nothing was
/// under way there.
pub fn doubts(unsettled: &Unsettled, is_there: impl Fn(&Beside) -> bool) -> Vec<String> {
    let silent_ones = unsettled.silent.iter().filter(|it| is_there(it));
    let running_ones = unsettled.running.iter().filter(|it| is_there(it));
    let named = silent_ones.map(silent).chain(running_ones.map(running));
    named.take(SENTENCES).chain(omitted(unsettled)).collect()
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
    (unsettled.omitted > 0).then(|| {
        "more was under way when the snapshot was sealed than its record could list".to_owned()
    })
}
