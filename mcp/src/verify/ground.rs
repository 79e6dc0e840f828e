//! How far what was read can be trusted about what is not there: which doubts there are about one expectation.
//! Which of them matter to it, [`crate::checks::ground`] says.

mod beside;
mod concerns;

use std::collections::BTreeSet;

use remora_store::call::Leg;
use remora_store::snapshot::{Nature, Unsettled};

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
use crate::traffic::gather::Gathered;
use crate::traffic::{Observed, Traffic, View};
use beside::{Beside, Workload};
use concerns::may_be;

/// Said where a filter was not asked about all calls.
const NO_TIME: &str = "there was no time to ask the filter about all calls: ask about a shorter time, or without where";

/// What is known about what was read.
pub(super) struct Surroundings {
    coverage: Coverage,
    /// Why some calls were not read.
    cut: Option<String>,
    beside: Beside,
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
        let observed = gathered.traffic.observed().iter();
        let withheld =
            observed.filter(|it| it.found.withheld && it.found.call.request.body_size > 0);
        Ok(Self {
            withheld: withheld.count(),
            coverage: Coverage::of(app, &sight.scope, sight.window).await?,
            cut: gathered.cut.clone(),
            beside: Beside::new(recorders, app, sight),
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

    /// What may be said of the calls that one expectation is about: a view for each of its filters.
    pub(super) fn ground(
        &self,
        filters: &[Option<&FilterInput>],
        views: &[View<'_>],
        picks: &Picks,
    ) -> Ground {
        let unread = self.unread(filters, picks);
        let mut doubts = Vec::new();
        let mut missing = unread.clone();
        if self.sealed.is_none() {
            doubts.push(
                "the window is still open: name a snapshot that snapshot_wait has sealed"
                    .to_owned(),
            );
        }
        if let Some(view) = views.first()
            && view.traffic().exchanges().is_empty()
        {
            doubts.push("nothing at all was recorded".to_owned());
        }
        if let Some(since) = &self.coverage.watch_behind_since {
            doubts.push(format!("the cluster was not watched since {since}"));
        }
        doubts.extend(unread);
        for (filter, view) in filters.iter().zip(views) {
            doubts.extend(self.unseen(view.traffic(), *filter));
            doubts.extend(self.under_way(*filter, &Nature::ALL));
            missing.extend(self.missing(view, *filter));
            missing.extend(self.under_way(*filter, &[Nature::Request]));
        }
        Ground {
            has_gaps: !missing.is_empty(),
            doubts: each_once(doubts),
            missing: each_once(missing),
            since_ns: self.since_ns,
            until_ns: self.until_ns,
        }
    }

    /// Why some of what is stored was not read.
    fn unread(&self, filters: &[Option<&FilterInput>], picks: &Picks) -> Vec<String> {
        let mut unread = Vec::new();
        if self.coverage.quarantined > 0 {
            unread.push("damaged parts of the store were set aside".to_owned());
        }
        unread.extend(self.cut.clone());
        if picks.is_cut() {
            unread.push(NO_TIME.to_owned());
        }
        match picks.undecided_by(filters) {
            0 => {}
            undecided => unread.push(left_out(undecided)),
        }
        unread
    }

    /// Which calls ran on at the seal that a filter may ask for.
    fn under_way(&self, filter: Option<&FilterInput>, natures: &[Nature]) -> Vec<String> {
        let Some(sealed) = &self.sealed else {
            return Vec::new();
        };
        under_way::still_running(sealed, |call| {
            natures.contains(&call.nature) && may_be(filter, call)
        })
    }

    /// Why records of calls that a filter asks for may be missing. Whoever is named as the caller sees all that
    /// it calls; else those count who recorded what was found, and the callee; or everybody, if nothing is asked
    /// for in particular.
    fn missing(&self, view: &View<'_>, filter: Option<&FilterInput>) -> Vec<String> {
        let Some(filter) = filter.filter(|it| !it.is_empty()) else {
            return self.beside.missing(|_| true);
        };
        let called = |name: &Option<String>| {
            let name = name.as_ref();
            name.map(|name| self.recorders_called(view.traffic(), name, filter))
                .unwrap_or_default()
        };
        let callers = called(&filter.src);
        if !callers.is_empty() {
            return self.beside.missing(|it| callers.contains(&it));
        }
        let mut meant = called(&filter.dst);
        meant.extend(view.calls().map(recorded_beside));
        self.beside.missing(|it| meant.contains(&it))
    }

    /// Why calls that a filter asks for may not have been seen, though one end that sees all of them would do.
    fn unseen(&self, traffic: &Traffic, filter: Option<&FilterInput>) -> Vec<String> {
        let ends = FilterInput::ends(filter);
        let Some(filter) = filter.filter(|_| !ends.is_empty()) else {
            let mut unseen = self.beside.missing(|_| true);
            if self.coverage.unrecorded_pods > 0 {
                unseen.push(format!(
                    "{} pods are not recorded; name src or dst",
                    self.coverage.unrecorded_pods
                ));
            }
            return unseen;
        };
        let reasons = ends
            .iter()
            .map(|(_, name)| self.unseen_at(traffic, name, filter));
        let reasons: Vec<Vec<String>> = reasons.collect();
        if reasons.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        vec![each_once(reasons.into_iter().flatten()).join(" and ")]
    }

    /// Why calls from or to whoever is called `name` may not have been seen there.
    fn unseen_at(&self, traffic: &Traffic, name: &str, filter: &FilterInput) -> Vec<String> {
        let shown = text::name(name).unwrap_or("(odd name)");
        let recorded = self.recorders_called(traffic, name, filter);
        if recorded.is_empty() {
            return vec![format!("no sidecar beside {shown} recorded anything")];
        }
        let mut partly = self.coverage.unrecorded.iter();
        let is_partly = partly.any(|it| it.workload == name && is_in(filter, &it.namespace));
        if is_partly || self.coverage.unrecorded_omitted > 0 {
            return vec![format!("not all pods of {shown} are recorded")];
        }
        self.beside.missing(|it| recorded.contains(&it))
    }

    /// Namespaces and workloads beside which somebody recorded that is called `name`: the workload
    /// itself, or who answers for a service or a pod of that name.
    fn recorders_called<'a>(
        &'a self,
        traffic: &'a Traffic,
        name: &str,
        filter: &FilterInput,
    ) -> BTreeSet<Workload<'a>> {
        let recorded = self.beside.workloads().into_iter();
        let workloads =
            recorded.filter(|(space, workload)| *workload == name && is_in(filter, space));
        let mut called: BTreeSet<_> = workloads.collect();
        for it in traffic.observed() {
            let party = match it.found.call.leg {
                Leg::Outbound => &it.found.src,
                Leg::Inbound => &it.found.dst,
            };
            if is_in(filter, &party.namespace) && (party.service == name || party.pod == name) {
                called.insert(recorded_beside(it));
            }
        }
        called
    }
}

fn recorded_beside(leg: &Observed) -> Workload<'_> {
    let origin = &leg.found.origin;
    (&origin.namespace, &origin.workload)
}

fn is_in(filter: &FilterInput, namespace: &str) -> bool {
    let wanted = filter.namespace.as_ref();
    wanted.is_none_or(|wanted| wanted == namespace)
}

fn left_out(undecided: u64) -> String {
    format!("{undecided} calls that might match were left out; {UNDECIDED_BECAUSE}")
}

/// The same sentences in the same order, each once.
fn each_once(sentences: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for sentence in sentences {
        if !once.contains(&sentence) {
            once.push(sentence);
        }
    }
    once
}

#[cfg(test)]
mod tests;
