//! How far what was read can be trusted about what is not there: which doubts there are about one expectation.
//! Which of them matter to it, [`crate::checks::ground`] says.

mod beside;
mod blind;
mod concerns;
pub(super) mod known;

use std::collections::BTreeSet;

use remora_store::call::{Leg, Protocol};
use remora_store::snapshot::{Blindness, Nature, Unsettled};

use super::picks::Picks;
use crate::app::App;
use crate::call_json::NOT_PERMITTED;
use crate::checks::Ground;
use crate::checks::ground::Unread;
use crate::clock::{now_ns, rfc3339};
use crate::coverage::{Coverage, UNDECIDED_BECAUSE};
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::snapshot::under_way;
use crate::tools::filter::FilterInput;
use crate::tools::{recorder_status, text};
use crate::traffic::budget::Budget;
use crate::traffic::earlier::{Earlier, is_unread, unread_before};
use crate::traffic::gather::Gathered;
use crate::traffic::{Observed, Traffic, View};
use beside::{Beside, Workload};
use concerns::{asks_inside, joins, may_be};
use known::Known;

/// What is known about what was read.
pub(super) struct Surroundings {
    coverage: Coverage,
    /// Why some calls were not read.
    cut: Option<String>,
    beside: Beside,
    /// Names of workloads, services and pods of the cluster.
    in_cluster: Vec<String>,
    /// Requests with bodies that the caller may not get, by which one is told from another.
    withheld: usize,
    /// What was under way when the snapshot was sealed; `None` while the window is open.
    sealed: Option<Unsettled>,
    since_ns: Option<i64>,
    /// What nobody would have seen; of a sealed snapshot as it was then.
    blindness: Blindness,
    /// Connections from before that were open, and that nobody reads.
    earlier: Earlier,
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
        let mut coverage = Coverage::of(app, &sight.scope, sight.window).await?;
        let mut blindness = std::mem::take(&mut coverage.blindness);
        if let Some(then) = sight.sealed.as_ref().and_then(|it| it.blindness.as_ref()) {
            coverage.forget_blindness();
            blindness = then.clone();
        }
        Ok(Self {
            withheld: withheld.count(),
            coverage,
            blindness,
            earlier: Earlier::default(),
            cut: gathered.cut.clone(),
            beside: Beside::new(recorders, app, sight),
            in_cluster: {
                let watches = app.watches.as_ref();
                watches.map(|it| it.names(&sight.scope)).unwrap_or_default()
            },
            sealed: sight.sealed.clone(),
            since_ns: sight.window.since_ns,
            until_ns: sight.window.until_ns.unwrap_or_else(now_ns),
        })
    }

    /// Looks for connections from before, too: what is judged asks for them, and what is found does not.
    pub(super) async fn look_back(
        self,
        app: &App,
        sight: &Sight,
        budget: Budget,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            earlier: unread_before(app, sight, budget).await?,
            ..self
        })
    }

    /// What may be missing from the answer.
    pub(super) fn blind_spots(&self, picks: &Picks) -> Vec<String> {
        let mut spots = recorder_status::blind_spots(&self.coverage);
        if let Some(sealed) = &self.sealed {
            spots.extend(under_way::blind_spots(sealed));
            if sealed.blindness.is_some() {
                spots.extend(blind::sentences(&self.blindness));
            }
        }
        spots.extend(self.cut.clone());
        spots.extend(picks.no_time());
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

    /// Who is known, beside whom is in the traffic.
    pub(super) fn known<'a>(&'a self, traffic: &'a Traffic) -> Known<'a> {
        Known::of(self.beside.recorders(), traffic, &self.in_cluster)
    }

    /// What may be said of the calls that one expectation is about: a view for each of its filters.
    pub(super) fn ground(
        &self,
        known: &Known<'_>,
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
        if let Some(since) = self.blindness.not_watched_since_ns {
            doubts.push(format!(
                "the cluster was not watched since {}",
                rfc3339(since)
            ));
        }
        doubts.extend(unread);
        for (filter, view) in filters.iter().zip(views) {
            doubts.extend(self.unseen(view.traffic(), *filter));
            doubts.extend(self.under_way(*filter, &Nature::ALL));
            doubts.extend(self.passed_through(view.traffic(), *filter));
            missing.extend(self.missing(view, *filter));
            missing.extend(self.under_way(*filter, &[Nature::Request]));
        }
        let mistaken = each_once(filters.iter().flat_map(|filter| known.mistaken(*filter)));
        doubts.extend(mistaken.iter().cloned());
        let effects = views.iter().flat_map(|view| self.effects(view));
        Ground {
            effects: each_once(effects),
            unread: self.unread_connections().collect(),
            mistaken,
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
        unread.extend(picks.no_time_for(filters));
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

    /// Why what a filter asks for may have passed in connections that nobody reads.
    fn passed_through(&self, traffic: &Traffic, filter: Option<&FilterInput>) -> Option<String> {
        let filter = filter.filter(|it| asks_inside(it))?;
        let is_tls = |leg: &Observed| leg.found.call.protocol == Protocol::Tls && is_unread(leg);
        let observed = traffic.observed().iter().chain(&self.earlier.unread);
        let mut ended = observed.filter(|leg| is_tls(leg));
        let open = self.sealed.iter().flat_map(|it| &it.unread);
        let mut open = open.filter(|it| it.nature == Nature::Tls);
        let is_meant = ended.any(|leg| joins(filter, &leg.found.src, &leg.found.dst))
            || open.any(|it| joins(filter, &it.src, &it.dst));
        if is_meant {
            return Some("TLS passed there unread, and may hold such calls".to_owned());
        }
        self.earlier.is_cut.then(|| {
            "not all connections from before could be looked at: ask about a later time".to_owned()
        })
    }

    /// Why what the called of a view asked of others is not all known.
    fn effects(&self, view: &View<'_>) -> Vec<String> {
        let legs = view.exchanges().filter_map(|it| it.inbound);
        let called = legs.filter_map(|leg| view.traffic().leg(leg));
        let called: BTreeSet<Workload<'_>> = called.map(recorded_beside).collect();
        let is_called = |it: Workload<'_>| called.contains(&it);
        let mut effects = self.beside.missing(is_called);
        effects.extend(blind::side(&self.blindness, Leg::Outbound, is_called));
        effects
    }

    /// Outbound connections that are no part of the traffic that was read, with what nobody reads.
    fn unread_connections(&self) -> impl Iterator<Item = Unread> {
        let ended = self.earlier.unread.iter();
        let ended = ended
            .filter(|leg| leg.found.call.leg == Leg::Outbound)
            .map(|leg| Unread {
                run: leg.found.origin.incarnation,
                since_ns: leg.began_ns(),
                until_ns: leg.ended_ns().unwrap_or(i64::MAX),
            });
        let open = self.sealed.iter();
        let open = open.flat_map(|it| it.calls.iter().chain(&it.unread));
        let open = open
            .filter(|it| it.leg == Leg::Outbound && it.nature.is_unread())
            .map(|it| Unread {
                run: it.run,
                since_ns: it.since_ns,
                until_ns: i64::MAX,
            });
        ended.chain(open)
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
            match blind::unrecorded_pods(&self.blindness, |_| true) {
                0 => {}
                pods => unseen.push(format!("{pods} pods are not recorded; name src or dst")),
            }
            unseen.extend(blind::side(&self.blindness, Leg::Outbound, |_| true));
            return unseen;
        };
        let reasons = ends.iter().map(|(field, name)| {
            let leg = match *field {
                "src" => Leg::Outbound,
                _ => Leg::Inbound,
            };
            self.unseen_at(traffic, leg, name, filter)
        });
        let reasons: Vec<Vec<String>> = reasons.collect();
        if reasons.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        vec![each_once(reasons.into_iter().flatten()).join(" and ")]
    }

    /// Why calls from or to whoever is called `name` may not have been seen there.
    fn unseen_at(
        &self,
        traffic: &Traffic,
        leg: Leg,
        name: &str,
        filter: &FilterInput,
    ) -> Vec<String> {
        let shown = text::name(name).unwrap_or("(odd name)");
        let recorded = self.recorders_called(traffic, name, filter);
        if recorded.is_empty() {
            return vec![format!("no sidecar beside {shown} recorded anything")];
        }
        let unrecorded = blind::unrecorded_pods(&self.blindness, |(space, workload)| {
            workload == name && is_in(filter, space)
        });
        if unrecorded > 0 || self.blindness.omitted > 0 {
            return vec![format!("not all pods of {shown} are recorded")];
        }
        let mut unseen = self.beside.missing(|it| recorded.contains(&it));
        let blind = blind::side(&self.blindness, leg, |it| recorded.contains(&it));
        unseen.extend(blind);
        unseen
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
