//! How far what was read can be trusted about what is not there.

use std::collections::BTreeSet;

use remora_store::call::Leg;

use super::picks::Picks;
use crate::app::App;
use crate::call_json::NOT_PERMITTED;
use crate::checks::Ground;
use crate::clock::now_ns;
use crate::coverage::{Coverage, UNDECIDED_BECAUSE};
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::tools::filter::FilterInput;
use crate::tools::{recorder_status, text};
use crate::traffic::Traffic;
use crate::traffic::gather::Gathered;

/// What is known about what was read.
pub(super) struct Surroundings {
    coverage: Coverage,
    /// Why some calls were not read.
    cut: Option<String>,
    /// Workloads beside which somebody recorded in the time that was looked at.
    recorded: BTreeSet<String>,
    /// Requests with bodies that the caller may not get, by which one is told from another.
    withheld: usize,
    is_sealed: bool,
    until_ns: i64,
}

impl Surroundings {
    pub(super) async fn of(
        app: &App,
        sight: &Sight,
        gathered: &Gathered,
    ) -> Result<Self, ApiError> {
        let recorders = app.store.recorders(&sight.scope).await?;
        let recorded = recorders
            .iter()
            .filter(|it| sight.window.touches(it.first_ns, it.last_ns))
            .map(|it| it.origin.workload.clone());
        let observed = gathered.traffic.observed().iter();
        let withheld =
            observed.filter(|it| it.found.withheld && it.found.call.request.body_size > 0);
        Ok(Self {
            withheld: withheld.count(),
            coverage: Coverage::of(app, &sight.scope, sight.window).await?,
            cut: gathered.cut.clone(),
            recorded: recorded.collect(),
            is_sealed: sight.view.before_block.is_some(),
            until_ns: sight.window.until_ns.unwrap_or_else(now_ns),
        })
    }

    /// What may be missing from the answer.
    pub(super) fn blind_spots(&self, picks: &Picks) -> Vec<String> {
        let mut spots = recorder_status::blind_spots(&self.coverage);
        spots.extend(self.cut.clone());
        match picks.undecided() {
            0 => {}
            n => spots.push(left_out(n)),
        }
        if self.withheld > 0 {
            spots.push(format!(
                "{} requests have bodies that are withheld, {NOT_PERMITTED}: requests are told apart by the sizes of those alone",
                self.withheld
            ));
        }
        spots
    }

    /// What may be said of the calls that one expectation is about, if `undecided` more might be among them.
    pub(super) fn ground(
        &self,
        traffic: &Traffic,
        filters: &[Option<&FilterInput>],
        undecided: u64,
    ) -> Ground {
        let mut doubts = Vec::new();
        if !self.is_sealed {
            doubts.push(
                "the window is still open: name a snapshot that snapshot_wait has sealed"
                    .to_owned(),
            );
        }
        if traffic.exchanges().is_empty() {
            doubts.push("nothing at all was recorded".to_owned());
        }
        if self.coverage.dropped > 0 {
            doubts.push(format!("{} calls were not recorded", self.coverage.dropped));
        }
        if self.coverage.missing_blocks > 0 {
            doubts.push(format!(
                "{} blocks of calls never came",
                self.coverage.missing_blocks
            ));
        }
        doubts.extend(self.cut.clone());
        if undecided > 0 {
            doubts.push(left_out(undecided));
        }
        let ends = filters.iter().map(|filter| FilterInput::ends(*filter));
        for ends in ends.filter(|ends| !ends.is_empty()) {
            if !ends.iter().any(|(_, name)| self.is_recorded(traffic, name)) {
                let names = ends
                    .iter()
                    .map(|(_, name)| text::name(name).unwrap_or("(odd name)"));
                let names = names.collect::<Vec<_>>().join(" and ");
                doubts.push(format!("no sidecar beside {names} recorded anything"));
            }
        }
        if filters
            .iter()
            .all(|filter| FilterInput::ends(*filter).is_empty())
            && self.coverage.unrecorded_pods > 0
        {
            doubts.push(format!(
                "{} pods are not recorded; name src or dst",
                self.coverage.unrecorded_pods
            ));
        }
        Ground {
            doubts,
            until_ns: self.until_ns,
        }
    }

    /// Whether calls from or to whoever is called `name` would have been seen there.
    fn is_recorded(&self, traffic: &Traffic, name: &str) -> bool {
        self.recorded.contains(name)
            || traffic.observed().iter().any(|it| {
                let party = match it.found.call.leg {
                    Leg::Outbound => &it.found.src,
                    Leg::Inbound => &it.found.dst,
                };
                party.service == name || party.pod == name
            })
    }
}

fn left_out(undecided: u64) -> String {
    format!("{undecided} calls that might match were left out; {UNDECIDED_BECAUSE}")
}
