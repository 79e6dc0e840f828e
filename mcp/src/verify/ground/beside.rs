//! What is missing of what sidecars observed, by the workload beside which they stand.

use std::collections::BTreeSet;

use remora_store::snapshot::Unsettled;
use remora_store::store::Recorder;

use crate::app::App;
use crate::control::SidecarName;
use crate::coverage::lost::Lost;
use crate::snapshot::sight::Sight;
use crate::snapshot::under_way;
use crate::tools::text;

/// Namespace and workload.
pub(super) type Workload<'a> = (&'a str, &'a str);

/// What is known of those who recorded something in the time that was looked at.
pub(super) struct Beside {
    recorders: Vec<Recorder>,
    /// While the window is open: who is not heard of any more.
    silent: Vec<SidecarName>,
    /// What was under way when the snapshot was sealed; `None` while the window is open.
    sealed: Option<Unsettled>,
    window: crate::coverage::Window,
}

impl Beside {
    pub(super) fn new(mut recorders: Vec<Recorder>, app: &App, sight: &Sight) -> Self {
        recorders.retain(|it| sight.view.sees(&it.origin.workload));
        let since_ns = sight.window.since_ns.unwrap_or(i64::MIN);
        let silent = match sight.sealed {
            // What was so when it was sealed is part of it.
            Some(_) => Vec::new(),
            None => app.control.silent_since(since_ns),
        };
        let seen =
            |it: &SidecarName| sight.scope.sees(&it.namespace) && sight.view.sees(&it.workload);
        Self {
            recorders,
            silent: silent
                .into_iter()
                .map(|(_, name)| name)
                .filter(seen)
                .collect(),
            sealed: sight.sealed.clone(),
            window: sight.window,
        }
    }

    /// They.
    pub(super) fn recorders(&self) -> &[Recorder] {
        &self.recorders
    }

    /// Those of them that recorded something then.
    pub(super) fn workloads(&self) -> BTreeSet<Workload<'_>> {
        let recorders = self.recorders.iter();
        let there = recorders.filter(|it| self.window.touches(it.first_ns, it.last_ns));
        there
            .map(|it| (it.origin.namespace.as_str(), it.origin.workload.as_str()))
            .collect()
    }

    /// Why records of some workloads are missing; empty where none is known to be.
    pub(super) fn missing(&self, is_meant: impl Fn(Workload<'_>) -> bool) -> Vec<String> {
        let mut missing = Vec::new();
        let (mut dropped, mut blocks) = (Lost::default(), 0_u64);
        let recorders = self.recorders.iter();
        for it in recorders.filter(|it| is_meant((&it.origin.namespace, &it.origin.workload))) {
            dropped = dropped.and(Lost::dropped(&it.drops, self.window));
            // When they were sealed is not known, but while it recorded.
            if self.window.touches(it.first_ns, it.last_ns) {
                blocks = blocks.saturating_add(it.missing_blocks);
            }
        }
        if dropped.count > 0 {
            missing.push(format!("{dropped} calls were not recorded"));
        }
        if blocks > 0 {
            missing.push(format!("{blocks} blocks of calls never came"));
        }
        let silent = self.silent.iter();
        let workloads: BTreeSet<&str> = silent
            .filter(|it| is_meant((&it.namespace, &it.workload)))
            .map(|it| it.workload.as_str())
            .collect();
        missing.extend(workloads.into_iter().map(|workload| {
            let shown = text::name(workload).unwrap_or("(odd name)");
            format!("a sidecar of {shown} is silent: what it saw last may be missing")
        }));
        if let Some(sealed) = &self.sealed {
            missing.extend(under_way::not_handed_over(sealed, |it| {
                is_meant((&it.namespace, &it.workload))
            }));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use remora_store::block::Origin;

    use super::*;
    use crate::coverage::Window;

    /// Why records are missing in a window, of a run that recorded from 100 to 200 and lost two blocks.
    fn missing(since_ns: i64, until_ns: i64) -> Vec<String> {
        let recorder = Recorder {
            origin: Origin::default(),
            calls: 5,
            first_ns: 100,
            last_ns: 200,
            last_sequence: 9,
            missing_blocks: 2,
            drops: Vec::new(),
        };
        let beside = Beside {
            recorders: vec![recorder],
            silent: Vec::new(),
            sealed: None,
            window: Window {
                since_ns: Some(since_ns),
                until_ns: Some(until_ns),
            },
        };
        beside.missing(|_| true)
    }

    #[test]
    fn blocks_are_missing_in_the_time_in_which_their_run_recorded() {
        assert_eq!(missing(150, 300), ["2 blocks of calls never came"]);
        assert_eq!(missing(201, 300), Vec::<String>::new());
        assert_eq!(missing(0, 100), Vec::<String>::new());
    }
}
