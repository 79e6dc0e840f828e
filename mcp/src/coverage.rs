//! What the hub could not see, and why: part of every answer.

mod blindness;
mod empty;
pub(crate) mod lost;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use remora_store::filter::Filter;
use remora_store::query::SummaryQuery;
use remora_store::snapshot::Blindness;
use remora_store::store::{Recorder, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::control::{Share, SidecarState};
use crate::error::ApiError;
use crate::watches::Watches;
use crate::watches::unrecorded::Unrecorded;
pub use empty::{Emptiness, EmptyBecause, UNDECIDED_BECAUSE};
use lost::Lost;

/// Most sidecars that are listed one by one.
const LISTED_SIDECARS: usize = 50;

/// How long one number of the coverage may be counted.
const COUNT_BUDGET: Duration = Duration::from_millis(50);

/// Why sidecars drop records.
pub const DROP_REASONS: [&str; 5] = ["budget", "queue", "spool", "rejected", "crash"];

/// One of [`DROP_REASONS`], or `other`: no sidecar can make up a word, or any number of them.
pub fn drop_reason(told: &str) -> &'static str {
    DROP_REASONS
        .into_iter()
        .find(|known| *known == told)
        .unwrap_or("other")
}

/// What may be missing from an answer.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Coverage {
    /// Calls whose records the sidecars dropped while this answer's time ran. Traffic is never
    /// dropped.
    pub dropped: u64,
    /// The same, by reason: `budget`, `queue`, `spool`, `rejected`, `crash` or `other`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_by: BTreeMap<&'static str, u64>,
    /// Set where some of these may have been dropped before this answer's time or after it: they are at most so
    /// many then.
    #[serde(skip_serializing_if = "is_false")]
    pub dropped_at_most: bool,
    /// Blocks that sidecars sealed, and that neither came nor are on their way.
    pub missing_blocks: u64,
    /// Blocks that sidecars sealed and have not shipped yet.
    pub unshipped_blocks: u64,
    /// Records in this answer's time of connections of which only the TLS handshake was seen.
    pub tls_opaque: u64,
    /// Records in this answer's time of connections whose bytes were not understood.
    pub opaque: u64,
    /// Sidecars that were heard of before, and are not any more, without a goodbye.
    pub silent: u64,
    /// Sidecars that were heard of lately, listed or not.
    #[serde(skip)]
    pub live: u64,
    /// The calls that are kept and that the caller may see.
    #[serde(skip)]
    pub kept: Kept,
    /// The sidecars of which this hub has heard, without those that said goodbye; the silent ones first.
    pub sidecars: Vec<SidecarCoverage>,
    /// How many more of them there are than are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub sidecars_omitted: u64,
    /// Runs of sidecars whose calls are kept and that are not listed: they said goodbye, or the hub
    /// has forgotten them.
    pub past_sidecars: u64,
    /// Workloads, heard of within the hour, of which outbound calls are seen only where their programs ask a
    /// proxy as `HTTP_PROXY` and `HTTPS_PROXY` tell them: calls that went around it are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxied: Vec<String>,
    /// Damaged parts of the store that were set aside.
    #[serde(skip_serializing_if = "is_zero")]
    pub quarantined: u64,
    /// Pods that should be recorded now and are not, by workload and reason; only in a cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Unrecorded>,
    /// How many more groups of them there are than are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub unrecorded_omitted: u64,
    /// How many such pods there are, listed or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub unrecorded_pods: u64,
    /// Since when the API server of the cluster has not been heard: pods and services may have
    /// changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_behind_since: Option<String>,
    /// What nobody would have seen, whoever hands over.
    #[serde(skip)]
    pub blindness: Blindness,
}

/// How many calls are of a kind, as far as that can be counted in a moment: blocks without any are
/// passed by.
async fn count_of(app: &App, scope: &Scope, kind: &str, window: Window) -> Result<u64, ApiError> {
    let query = SummaryQuery {
        filter: Filter::parse(kind).map_err(ApiError::bad_filter)?,
        since_ns: window.since_ns,
        until_ns: window.until_ns,
        group_by: Vec::new(),
        probes: true,
        limit: 2,
        view: Default::default(),
        time_budget: COUNT_BUDGET,
    };
    let summary = app.store.summarize(scope, &query).await?;
    Ok(summary.groups.iter().map(|group| group.calls).sum())
}

/// How many calls are kept, and from when: as far as one caller sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many.
    pub calls: u64,
    /// When the oldest of them began: nanoseconds since the Unix epoch.
    pub oldest_ns: Option<i64>,
    /// When the newest of them began.
    pub newest_ns: Option<i64>,
}

impl Kept {
    fn of(recorders: &[Recorder]) -> Self {
        let with_calls = recorders.iter().filter(|recorder| recorder.calls > 0);
        Self {
            calls: with_calls.clone().map(|recorder| recorder.calls).sum(),
            oldest_ns: with_calls.clone().map(|recorder| recorder.first_ns).min(),
            newest_ns: with_calls.map(|recorder| recorder.last_ns).max(),
        }
    }
}

/// What is known of one sidecar.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SidecarCoverage {
    /// Name of its workload.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// Its pod; empty outside a cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// Revision of the workload.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// `live` or `silent`.
    pub state: &'static str,
    /// When it was last heard of.
    pub last_seen: String,
    /// When its newest kept call began; `null` where none is kept.
    pub last_call: Option<String>,
    /// Calls of it that are kept.
    pub calls: u64,
    /// Calls whose records it dropped while this answer's time ran.
    pub dropped: u64,
    /// Blocks it sealed, and that neither came nor are on their way.
    pub missing_blocks: u64,
    /// Blocks it sealed and has not shipped yet: how far it lags behind.
    pub unshipped_blocks: u64,
}

/// A stretch of time that a question is about: nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// Its beginning; `None` for the beginning of time.
    pub since_ns: Option<i64>,
    /// Its end, which is not part of it; `None` for now.
    pub until_ns: Option<i64>,
}

impl Window {
    /// Whether a stretch of time, both ends inside, is a part of this one.
    pub fn holds(&self, since_ns: i64, until_ns: i64) -> bool {
        self.since_ns.is_none_or(|since| since_ns >= since)
            && self.until_ns.is_none_or(|until| until_ns < until)
    }

    /// Whether a stretch of time, both ends inside, has a part in this one.
    pub fn touches(&self, since_ns: i64, until_ns: i64) -> bool {
        self.since_ns.is_none_or(|since| until_ns >= since)
            && self.until_ns.is_none_or(|until| since_ns < until)
    }
}

impl Coverage {
    /// What may be missing from an answer about `window`.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of(app: &App, scope: &Scope, window: Window) -> Result<Self, ApiError> {
        let recorders = app.store.recorders(scope).await?;
        let mut heard = app.control.sidecars();
        heard.retain(|sidecar| scope.sees(&sidecar.name.namespace));
        let mut coverage = Self::new(&recorders, heard.clone(), window);
        if let Some(watches) = &app.watches {
            coverage.see(watches, scope, &recorders, &heard);
        }
        let mut given = app.control.partly_given();
        given.retain(|(name, ..)| scope.sees(&name.namespace));
        let proxied = given.iter().filter(|it| it.2 == Share::Proxied);
        let names = proxied.map(|(name, ..)| name.workload.clone());
        coverage.proxied = names.take(LISTED_SIDECARS).collect();
        coverage.proxied.dedup();
        blindness::add_given(&mut coverage.blindness, &given);
        coverage.quarantined = app.store.health().await.quarantined.len() as u64;
        coverage.tls_opaque = count_of(app, scope, "tls", window).await?;
        coverage.opaque = count_of(app, scope, "opaque", window).await?;
        Ok(coverage)
    }

    /// Leaves out what nobody sees now, for an answer about what nobody saw then.
    pub fn forget_blindness(&mut self) {
        self.proxied.clear();
        self.unrecorded.clear();
        self.unrecorded_omitted = 0;
        self.unrecorded_pods = 0;
        self.watch_behind_since = None;
        self.blindness = Blindness::default();
    }

    /// Adds what is seen of the cluster.
    fn see(
        &mut self,
        watches: &Watches,
        scope: &Scope,
        recorders: &[Recorder],
        heard: &[SidecarState],
    ) {
        let recorded = recorders
            .iter()
            .map(|it| (it.origin.namespace.as_str(), it.origin.pod.as_str()));
        let heard = heard
            .iter()
            .map(|it| (it.name.namespace.as_str(), it.name.pod.as_str()));
        let unrecorded = watches.unrecorded(scope, &recorded.chain(heard).collect());
        self.unrecorded = unrecorded.groups;
        self.unrecorded_omitted = unrecorded.omitted;
        self.unrecorded_pods = unrecorded.pods;
        let behind_since_ns = watches.behind_since_ns();
        self.watch_behind_since = behind_since_ns.map(rfc3339);
        self.blindness = blindness::of_cluster(&self.unrecorded, behind_since_ns);
        self.blindness.omitted = self.unrecorded_omitted;
    }

    fn new(recorders: &[Recorder], mut heard: Vec<SidecarState>, window: Window) -> Self {
        let mut coverage = Self {
            kept: Kept::of(recorders),
            ..Self::default()
        };
        for recorder in recorders {
            // Sidecars make these numbers up: whatever they say, the sums hold.
            coverage.missing_blocks = coverage
                .missing_blocks
                .saturating_add(recorder.missing_blocks);
            let dropped = Lost::dropped(&recorder.drops, window);
            coverage.dropped = coverage.dropped.saturating_add(dropped.count);
            coverage.dropped_at_most |= dropped.at_most;
            for drop in &recorder.drops {
                let Lost { count, .. } = Lost::dropped([drop], window);
                if count > 0 {
                    let of_reason = coverage.dropped_by.entry(drop_reason(&drop.reason));
                    let calls = of_reason.or_default();
                    *calls = calls.saturating_add(count);
                }
            }
        }
        let by_incarnation: HashMap<u128, &Recorder> = recorders
            .iter()
            .map(|recorder| (recorder.origin.incarnation, recorder))
            .collect();
        let seen = heard
            .iter()
            .filter(|sidecar| by_incarnation.contains_key(&sidecar.incarnation))
            .count();
        coverage.past_sidecars = recorders.len().saturating_sub(seen) as u64;
        coverage.live = heard.iter().filter(|sidecar| sidecar.live).count() as u64;
        coverage.silent = heard.len() as u64 - coverage.live;

        heard.sort_by(|a, b| {
            (a.live, &a.name, a.incarnation).cmp(&(b.live, &b.name, b.incarnation))
        });
        for sidecar in &heard {
            let recorder = by_incarnation.get(&sidecar.incarnation).copied();
            let one = SidecarCoverage::new(sidecar, recorder, window);
            coverage.unshipped_blocks = coverage
                .unshipped_blocks
                .saturating_add(one.unshipped_blocks);
            if coverage.sidecars.len() < LISTED_SIDECARS {
                coverage.sidecars.push(one);
            } else {
                coverage.sidecars_omitted += 1;
            }
        }
        coverage
    }
}

impl SidecarCoverage {
    fn new(sidecar: &SidecarState, recorder: Option<&Recorder>, window: Window) -> Self {
        let drops = recorder
            .map(|recorder| recorder.drops.as_slice())
            .unwrap_or_default();
        let came = recorder.map_or(0, |recorder| recorder.last_sequence);
        Self {
            workload: sidecar.name.workload.clone(),
            namespace: sidecar.name.namespace.clone(),
            pod: sidecar.name.pod.clone(),
            revision: recorder
                .map(|recorder| recorder.origin.revision.clone())
                .unwrap_or_default(),
            state: if sidecar.live { "live" } else { "silent" },
            last_seen: rfc3339(sidecar.heard_ns),
            last_call: recorder
                .filter(|recorder| recorder.calls > 0)
                .map(|recorder| rfc3339(recorder.last_ns)),
            calls: recorder.map_or(0, |recorder| recorder.calls),
            dropped: Lost::dropped(drops, window).count,
            missing_blocks: recorder.map_or(0, |recorder| recorder.missing_blocks),
            unshipped_blocks: sidecar.sequence.saturating_sub(came),
        }
    }
}

pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
