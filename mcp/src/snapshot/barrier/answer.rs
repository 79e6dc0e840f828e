//! What a caller is told when a wait is over: the counts of what is stored, and what may be missing.

use std::collections::BTreeSet;
use std::time::Duration;

use remora_store::query::SummaryQuery;
use remora_store::snapshot::View;
use remora_store::store::Scope;

use super::course::Course;
use super::{Progress, Reason, Settled};
use crate::api::query::TIME_BUDGET;
use crate::control::SidecarName;
use crate::coverage::{Coverage, UNDECIDED_BECAUSE};
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::snapshot::{find, shown, under_way};
use crate::tools::recorder_status::blind_spots;

/// Most sidecars that are named as blind spots.
const NAMED_SIDECARS: usize = 10;

impl Course<'_> {
    /// Seals the snapshot where it has settled and that was asked for, and counts what is stored.
    pub(super) async fn end(mut self, caller: &Scope, reason: Reason) -> Result<Settled, ApiError> {
        let lost = match reason {
            Reason::Sealed => Vec::new(),
            _ => self.lost_runs().await?,
        };
        if reason == Reason::Idle && self.wait.seal {
            let unsettled = self.under_way(&lost).await?;
            let store = &self.app.store;
            let sealed = store.seal_snapshot(&self.snapshot.id, unsettled).await?;
            let Some(sealed) = sealed else {
                let found = find(self.app, caller, self.snapshot.id.as_str()).await;
                return Err(found.err().unwrap_or_else(gone));
            };
            tracing::info!(snapshot = %sealed.id, "snapshot sealed");
            self.snapshot = sealed;
        }
        let progress = self.so_far();
        let counted = self.count().await?;
        let mut blind_spots = self.blind_spots(caller, reason, progress).await?;
        blind_spots.extend(gone_ones(&lost));
        blind_spots.extend(counted.cut_short);
        blind_spots.extend(counted.undecided);
        Ok(Settled {
            reason,
            inbound: counted.inbound,
            outbound: counted.outbound,
            progress,
            blind_spots,
            snapshot: self.snapshot,
        })
    }

    /// The ended calls that match and are stored.
    async fn count(&self) -> Result<Counted, ApiError> {
        let view = self.snapshot.view();
        let query = SummaryQuery {
            filter: self.wait.filter.clone(),
            since_ns: Some(self.snapshot.since_ns),
            until_ns: self.snapshot.until_ns(),
            group_by: Vec::new(),
            probes: false,
            view: View {
                before_block: view.before_block.or(Some(u64::MAX)),
                ..view
            },
            limit: 2,
            time_budget: TIME_BUDGET,
        };
        let summary = {
            let _turn = self.app.query_turns.acquire().await;
            self.app.store.summarize(&self.scope, &query).await?
        };
        let of_leg = |leg: &str| {
            let groups = summary.groups.iter().filter(|group| group.leg == leg);
            groups.map(|group| group.calls).sum()
        };
        Ok(Counted {
            inbound: of_leg("inbound"),
            outbound: of_leg("outbound"),
            cut_short: summary
                .scanned_until_ns
                .map(|_| "there was no time to count all calls: calls is too low".to_owned()),
            undecided: (summary.undecided > 0).then(|| {
                format!(
                    "{} calls might match: {UNDECIDED_BECAUSE}",
                    summary.undecided
                )
            }),
        })
    }

    /// Whether no sidecar of the snapshot is there, and none was that told it had shipped everything.
    fn nobody_records(&self) -> bool {
        let control = &self.app.control;
        self.nobody_handed_over()
            && self.unanswered.is_empty()
            && !control.said_goodbye_since(self.snapshot.since_ns, |name| self.takes_in(name))
    }

    async fn blind_spots(
        &self,
        caller: &Scope,
        reason: Reason,
        progress: Progress,
    ) -> Result<Vec<String>, ApiError> {
        let mut spots: Vec<String> = self
            .unanswered
            .iter()
            .take(NAMED_SIDECARS)
            .map(|it| {
                format!(
                    "the sidecar of {} did not answer the flush within {}: what it observed last may be missing",
                    place(&it.name),
                    span(it.within)
                )
            })
            .collect();
        let more = self.unanswered.len().saturating_sub(NAMED_SIDECARS);
        if more > 0 {
            spots.push(format!("{more} more sidecars did not answer the flush"));
        }
        if reason != Reason::Sealed && self.nobody_records() {
            spots.push("no sidecar of this snapshot is connected to the hub".to_owned());
        }
        let running = self.running.len() as u64;
        let streams = running.saturating_sub(progress.in_flight);
        if streams > 0 {
            spots.push(format!(
                "{streams} calls that had run for over {} were not waited for",
                span(self.app.waits.stream_after)
            ));
        }
        let sight = Sight::of_snapshot(caller, &self.snapshot);
        if let (Reason::Sealed, Some(unsettled)) = (reason, &sight.sealed) {
            spots.extend(under_way::blind_spots(unsettled));
        }
        let coverage = Coverage::of(self.app, &sight.scope, sight.window).await?;
        spots.extend(blind_spots(&coverage));
        Ok(spots)
    }
}

/// Whose sidecars are gone without a goodbye.
fn gone_ones(lost: &[SidecarName]) -> Option<String> {
    let workloads: BTreeSet<&str> = lost.iter().map(|it| it.workload.as_str()).collect();
    let named: Vec<String> = workloads
        .iter()
        .take(NAMED_SIDECARS)
        .map(|it| shown(it))
        .collect();
    let more = match workloads.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more workloads"),
    };
    (!named.is_empty()).then(|| {
        format!(
            "sidecars of {}{more} are gone without a goodbye: what they observed last may be missing",
            named.join(", ")
        )
    })
}

struct Counted {
    inbound: u64,
    outbound: u64,
    cut_short: Option<String>,
    undecided: Option<String>,
}

fn gone() -> ApiError {
    ApiError::not_found(
        "unknown_snapshot",
        "the snapshot went while it was waited for",
    )
    .field("snapshot")
}

/// `orders in shop`, or with its pod `orders (orders-1) in shop`.
fn place(name: &SidecarName) -> String {
    let (workload, namespace) = (shown(&name.workload), shown(&name.namespace));
    match name.pod.as_str() {
        "" => format!("{workload} in {namespace}"),
        pod => format!("{workload} ({}) in {namespace}", shown(pod)),
    }
}

/// `2 s`, or `250 ms` where it is no whole number of seconds.
fn span(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}
