//! How far what was read can be trusted about what is not there.

use std::collections::BTreeSet;

use remora_store::call::Leg;
use remora_store::snapshot::Unsettled;

use super::picks::Picks;
use crate::app::App;
use crate::call_json::NOT_PERMITTED;
use crate::checks::Ground;
use crate::clock::now_ns;
use crate::coverage::{Coverage, UNDECIDED_BECAUSE};
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::snapshot::under_way;
use crate::tools::filter::FilterInput;
use crate::tools::{recorder_status, text};
use crate::traffic::Traffic;
use crate::traffic::gather::Gathered;

/// Said where a filter was not asked about all calls.
const NO_TIME: &str = "there was no time to ask the filter about all calls: ask about a shorter time, or without where";

/// What is known about what was read.
pub(super) struct Surroundings {
    coverage: Coverage,
    /// Why some calls were not read.
    cut: Option<String>,
    /// Namespaces and workloads beside which somebody recorded in the time that was looked at.
    recorded: BTreeSet<(String, String)>,
    /// Requests with bodies that the caller may not get, by which one is told from another.
    withheld: usize,
    /// What was under way when the snapshot was sealed; `None` while the window is open.
    sealed: Option<Unsettled>,
    since_ns: Option<i64>,
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
            .map(|it| (it.origin.namespace.clone(), it.origin.workload.clone()));
        let observed = gathered.traffic.observed().iter();
        let withheld =
            observed.filter(|it| it.found.withheld && it.found.call.request.body_size > 0);
        Ok(Self {
            withheld: withheld.count(),
            coverage: Coverage::of(app, &sight.scope, sight.window).await?,
            cut: gathered.cut.clone(),
            recorded: recorded.collect(),
            sealed: sight.sealed.clone(),
            since_ns: sight.window.since_ns,
            until_ns: sight.window.until_ns.unwrap_or_else(now_ns),
        })
    }

    /// What may be missing from the answer.
    pub(super) fn blind_spots(&self, picks: &Picks) -> Vec<String> {
        let mut spots = recorder_status::blind_spots(&self.coverage);
        spots.extend(self.sealed.iter().flat_map(under_way::blind_spots));
        spots.extend(self.cut.clone());
        if picks.is_cut() {
            spots.push(NO_TIME.to_owned());
        }
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

    /// What may be said of the calls that one expectation is about.
    pub(super) fn ground(
        &self,
        traffic: &Traffic,
        filters: &[Option<&FilterInput>],
        picks: &Picks,
    ) -> Ground {
        let mut doubts = Vec::new();
        let undecided = picks.undecided_by(filters);
        if self.sealed.is_none() {
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
        if self.coverage.quarantined > 0 {
            doubts.push("damaged parts of the store were set aside".to_owned());
        }
        if let Some(since) = &self.coverage.watch_behind_since {
            doubts.push(format!("the cluster was not watched since {since}"));
        }
        doubts.extend(self.cut.clone());
        if picks.is_cut() {
            doubts.push(NO_TIME.to_owned());
        }
        if undecided > 0 {
            doubts.push(left_out(undecided));
        }
        for filter in filters.iter().flatten() {
            doubts.extend(self.unseen(traffic, filter));
        }
        if filters
            .iter()
            .any(|filter| FilterInput::ends(*filter).is_empty())
        {
            if self.coverage.unrecorded_pods > 0 {
                doubts.push(format!(
                    "{} pods are not recorded; name src or dst",
                    self.coverage.unrecorded_pods
                ));
            }
            let sealed = self.sealed.iter();
            doubts.extend(sealed.flat_map(|it| under_way::doubts(it, |_| true)));
        }
        let missing = self.coverage.dropped > 0 || self.coverage.missing_blocks > 0;
        Ground {
            doubts,
            has_gaps: missing || self.cut.is_some(),
            since_ns: self.since_ns,
            until_ns: self.until_ns,
        }
    }

    /// Why calls between the named ends may not have been seen, though one end that sees all of them would do;
    /// `None` where none is named.
    fn unseen(&self, traffic: &Traffic, filter: &FilterInput) -> Option<String> {
        let ends = FilterInput::ends(Some(filter));
        let namespace = filter.namespace.as_deref();
        let reasons = ends
            .iter()
            .map(|(_, name)| self.unseen_at(traffic, name, namespace));
        let reasons: Vec<Option<String>> = reasons.collect();
        if reasons.iter().any(Option::is_none) {
            return None;
        }
        let mut reasons: Vec<String> = reasons.into_iter().flatten().collect();
        reasons.dedup();
        (!reasons.is_empty()).then(|| reasons.join(" and "))
    }

    /// Why calls from or to whoever is called `name` may not have been seen there.
    fn unseen_at(&self, traffic: &Traffic, name: &str, namespace: Option<&str>) -> Option<String> {
        let is_in = |other: &str| namespace.is_none_or(|wanted| wanted == other);
        let shown = text::name(name).unwrap_or("(odd name)");
        let recorded = self.recorders_called(traffic, name, is_in);
        if recorded.is_empty() {
            return Some(format!("no sidecar beside {shown} recorded anything"));
        }
        let mut partly = self.coverage.unrecorded.iter();
        let is_partly = partly.any(|it| it.workload == name && is_in(&it.namespace));
        if is_partly || self.coverage.unrecorded_omitted > 0 {
            return Some(format!("not all pods of {shown} are recorded"));
        }
        let doubts = under_way::doubts(self.sealed.as_ref()?, |it| {
            recorded.contains(&(it.namespace.as_str(), it.workload.as_str()))
        });
        (!doubts.is_empty()).then(|| doubts.join(" and "))
    }

    /// Namespaces and workloads beside which somebody recorded that is called `name`: the workload
    /// itself, or who answers for a service or a pod of that name.
    fn recorders_called<'a>(
        &'a self,
        traffic: &'a Traffic,
        name: &str,
        is_in: impl Fn(&str) -> bool,
    ) -> BTreeSet<(&'a str, &'a str)> {
        let recorded = self.recorded.iter();
        let workloads = recorded
            .filter(|(space, workload)| workload == name && is_in(space))
            .map(|(space, workload)| (space.as_str(), workload.as_str()));
        let mut called: BTreeSet<_> = workloads.collect();
        for it in traffic.observed() {
            let party = match it.found.call.leg {
                Leg::Outbound => &it.found.src,
                Leg::Inbound => &it.found.dst,
            };
            if is_in(&party.namespace) && (party.service == name || party.pod == name) {
                let origin = &it.found.origin;
                called.insert((origin.namespace.as_str(), origin.workload.as_str()));
            }
        }
        called
    }
}

fn left_out(undecided: u64) -> String {
    format!("{undecided} calls that might match were left out; {UNDECIDED_BECAUSE}")
}
