//! Waiting until a window has settled: a barrier, and not a sleep.
//!
//! The sidecars of the snapshot hand over what they observed; then no call that matches may arrive
//! for a while, and none may run; then they hand over once more, and if nothing came of it, that was
//! all. Whoever waits is woken by what comes in, and asks the store about new blocks alone.

use std::collections::HashSet;
use std::time::Duration;

use remora_store::filter::Filter;
use remora_store::query::{ArrivedQuery, SummaryQuery};
use remora_store::snapshot::{Snapshot, View};
use remora_store::store::Scope;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::sight::Sight;
use super::{check_whole, shown};
use crate::api::query::TIME_BUDGET;
use crate::app::{App, drained};
use crate::clock::now_ns;
use crate::control::SidecarName;
use crate::coverage::Coverage;
use crate::error::ApiError;
use crate::tools::recorder_status::blind_spots;

/// Most callers that wait at a time.
pub const WAITERS: usize = 32;
/// How long a sidecar may take to hand over before it is a blind spot.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// A call that has run for so long is a stream, and not waited for.
const STREAM_AFTER: Duration = Duration::from_secs(5);
/// Shortest time from one look at the store to the next, however much comes in.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Most sidecars that are named as blind spots.
const NAMED_SIDECARS: usize = 10;

/// What is waited for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// Which calls.
    pub filter: Filter,
    /// How long none of them may arrive.
    pub idle: Duration,
    /// How many of them there have to be.
    pub min_calls: u64,
    /// How long is waited at most.
    pub patience: Duration,
    /// Whether the snapshot is sealed once it has settled.
    pub seal: bool,
}

/// How far the waiting has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Calls that matched so far.
    pub calls: u64,
    /// Calls that match and run, without streams.
    pub in_flight: u64,
    /// Sidecars that have handed over.
    pub flushed: u64,
    /// Sidecars that were asked to.
    pub sidecars: u64,
}

impl Progress {
    /// `412 calls, 3 in flight, 2/2 sidecars flushed`
    pub fn message(&self) -> String {
        format!(
            "{} calls, {} in flight, {}/{} sidecars flushed",
            self.calls, self.in_flight, self.flushed, self.sidecars
        )
    }
}

/// Why the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing that matches came for as long as was asked for.
    Idle,
    /// The time was over first.
    Timeout,
    /// The hub stops.
    Draining,
    /// The snapshot had been sealed before.
    Sealed,
}

impl Reason {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Timeout => "timeout",
            Self::Draining => "draining",
            Self::Sealed => "sealed",
        }
    }

    /// Whether the window had settled.
    pub fn settled(self) -> bool {
        matches!(self, Self::Idle | Self::Sealed)
    }
}

/// What came of the waiting. The numbers are those of what is stored: of a snapshot that is sealed
/// they stay so.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Why it ended.
    pub reason: Reason,
    /// The snapshot as it is now.
    pub snapshot: Snapshot,
    /// Ended calls that match, recorded beside their callees.
    pub inbound: u64,
    /// Ended calls that match, recorded beside their callers.
    pub outbound: u64,
    /// How far it came.
    pub progress: Progress,
    /// What may be missing, in sentences.
    pub blind_spots: Vec<String>,
}

/// Waits until what matches in a snapshot has settled.
///
/// # Errors
///
/// Too many wait, the caller does not see all of the snapshot, it goes meanwhile, or the store fails.
pub async fn wait(
    app: &App,
    caller: &Scope,
    snapshot: Snapshot,
    wait: &Wait,
    progress: &watch::Sender<Progress>,
) -> Result<Settled, ApiError> {
    check_whole(caller, &snapshot)?;
    let Ok(_place) = app.waiters.try_acquire() else {
        let message = format!("{WAITERS} callers wait already");
        return Err(ApiError::unavailable("busy", message, 2));
    };
    let mut barrier = Barrier::new(app, snapshot, wait, progress);
    let reason = match barrier.snapshot.seal {
        Some(_) => Reason::Sealed,
        None => tokio::select! {
            reason = barrier.settle() => reason?,
            () = drained(app.draining.clone()) => Reason::Draining,
        },
    };
    barrier.end(caller, reason).await
}

/// One waiting.
struct Barrier<'a> {
    app: &'a App,
    snapshot: Snapshot,
    wait: &'a Wait,
    progress: &'a watch::Sender<Progress>,
    deadline: Instant,
    /// Calls that matched so far; of a merged block some may be counted again.
    calls: u64,
    /// When each call that matches and runs began.
    running_since_ns: Vec<i64>,
    next_block: u64,
    last_arrival: Instant,
    last_look: Instant,
    /// Sidecars that did not hand over, by incarnation: they are not waited for again.
    silent: HashSet<u128>,
    unanswered: Vec<SidecarName>,
    flushed: u64,
}

impl<'a> Barrier<'a> {
    fn new(
        app: &'a App,
        snapshot: Snapshot,
        wait: &'a Wait,
        progress: &'a watch::Sender<Progress>,
    ) -> Self {
        let now = Instant::now();
        Self {
            app,
            snapshot,
            wait,
            progress,
            deadline: now + wait.patience,
            calls: 0,
            running_since_ns: Vec::new(),
            next_block: 0,
            last_arrival: now,
            last_look: now,
            silent: HashSet::new(),
            unanswered: Vec::new(),
            flushed: 0,
        }
    }

    async fn settle(&mut self) -> Result<Reason, ApiError> {
        let mut news = self.app.arrivals.subscribe();
        self.flush().await;
        news.mark_unchanged();
        self.look().await?;
        self.last_arrival = Instant::now();
        let mut behind = false;
        loop {
            if !behind && self.is_quiet() {
                news.mark_unchanged();
                if self.is_quiet_to_the_end().await? {
                    return Ok(Reason::Idle);
                }
            }
            if Instant::now() >= self.deadline {
                return Ok(Reason::Timeout);
            }
            let moment = match behind {
                true => self.last_look + LOOK_INTERVAL,
                false => self.next_moment(),
            };
            tokio::select! {
                // The sender lives as long as the hub.
                _ = news.changed(), if !behind => behind = true,
                () = sleep_until(moment.min(self.deadline)) => {}
            }
            if behind && Instant::now() >= self.last_look + LOOK_INTERVAL {
                behind = false;
                self.look().await?;
            }
        }
    }

    fn in_flight(&self) -> u64 {
        let streams_before = now_ns().saturating_sub(STREAM_AFTER.as_nanos() as i64);
        let young = self.running_since_ns.iter();
        young.filter(|since| **since > streams_before).count() as u64
    }

    fn is_quiet(&self) -> bool {
        self.calls >= self.wait.min_calls
            && self.last_arrival.elapsed() >= self.wait.idle
            && self.in_flight() == 0
    }

    /// Has the sidecars hand over once more; whether nothing came of it.
    async fn is_quiet_to_the_end(&mut self) -> Result<bool, ApiError> {
        let (calls, quiet_since) = (self.calls, self.last_arrival);
        self.flush().await;
        self.look().await?;
        let quiet = self.calls == calls && self.in_flight() == 0;
        if !quiet && self.last_arrival == quiet_since {
            // Something runs that was not known of.
            self.last_arrival = Instant::now();
        }
        Ok(quiet)
    }

    /// When it may be quiet, if nothing comes in.
    fn next_moment(&self) -> Instant {
        if self.calls < self.wait.min_calls {
            return self.deadline;
        }
        let idle = self.last_arrival + self.wait.idle;
        if self.in_flight() == 0 {
            return idle;
        }
        let youngest_ns = self.running_since_ns.iter().max().copied().unwrap_or(0);
        let age_ns = now_ns().saturating_sub(youngest_ns).max(0).unsigned_abs();
        let left = STREAM_AFTER.saturating_sub(Duration::from_nanos(age_ns));
        idle.max(Instant::now() + left + Duration::from_millis(1))
    }

    async fn flush(&mut self) {
        let scope = self.snapshot.scope.clone();
        let view = self.snapshot.view();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let flushed = self
            .app
            .control
            .flush_in(
                |name| scope.sees(&name.namespace) && view.sees(&name.workload),
                &self.silent,
                FLUSH_PATIENCE.min(left),
            )
            .await;
        self.flushed = flushed.answered.len() as u64;
        for (incarnation, name) in flushed.unanswered {
            self.silent.insert(incarnation);
            self.unanswered.push(name);
        }
        self.tell();
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let query = ArrivedQuery {
            filter: self.wait.filter.clone(),
            since_ns: self.snapshot.since_ns,
            view: self.snapshot.view(),
            from_block: self.next_block,
            time_budget: TIME_BUDGET,
        };
        let arrived = {
            // The semaphore is never closed; whoever waits has no hurry.
            let _turn = self.app.query_turns.acquire().await;
            self.app.store.arrived(&self.snapshot.scope, &query).await?
        };
        self.last_look = Instant::now();
        if arrived.calls > 0 {
            self.last_arrival = self.last_look;
        }
        self.calls += arrived.calls;
        self.running_since_ns = arrived.running_since_ns;
        self.next_block = arrived.next_block;
        self.tell();
        Ok(())
    }

    fn so_far(&self) -> Progress {
        Progress {
            calls: self.calls,
            in_flight: self.in_flight(),
            flushed: self.flushed,
            sidecars: self.flushed + self.unanswered.len() as u64,
        }
    }

    fn tell(&self) {
        self.progress.send_replace(self.so_far());
    }

    async fn end(mut self, caller: &Scope, reason: Reason) -> Result<Settled, ApiError> {
        if reason == Reason::Idle && self.wait.seal {
            let sealed = self.app.store.seal_snapshot(&self.snapshot.id).await?;
            let Some(sealed) = sealed else {
                return Err(super::find(self.app, caller, self.snapshot.id.as_str())
                    .await
                    .err()
                    .unwrap_or_else(gone));
            };
            tracing::info!(snapshot = %sealed.id, "snapshot sealed");
            self.snapshot = sealed;
        }
        let counted = self.count().await?;
        let mut blind_spots = self.blind_spots(caller).await?;
        blind_spots.extend(counted.cut_short);
        Ok(Settled {
            reason,
            inbound: counted.inbound,
            outbound: counted.outbound,
            progress: self.so_far(),
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
            self.app
                .store
                .summarize(&self.snapshot.scope, &query)
                .await?
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
        })
    }

    async fn blind_spots(&self, caller: &Scope) -> Result<Vec<String>, ApiError> {
        let mut spots: Vec<String> = self
            .unanswered
            .iter()
            .take(NAMED_SIDECARS)
            .map(|name| {
                format!(
                    "the sidecar of {} did not answer the flush within {} s: what it observed last may be missing",
                    place(name),
                    FLUSH_PATIENCE.as_secs()
                )
            })
            .collect();
        let more = self.unanswered.len().saturating_sub(NAMED_SIDECARS);
        if more > 0 {
            spots.push(format!("{more} more sidecars did not answer"));
        }
        if self.flushed == 0 && self.unanswered.is_empty() && self.snapshot.seal.is_none() {
            spots.push("no sidecar of this snapshot is connected to the hub".to_owned());
        }
        let streams = (self.running_since_ns.len() as u64).saturating_sub(self.in_flight());
        if streams > 0 {
            spots.push(format!(
                "{streams} calls that had run for over {} s were not waited for",
                STREAM_AFTER.as_secs()
            ));
        }
        let sight = Sight::of_snapshot(caller, &self.snapshot);
        let coverage = Coverage::of(self.app, &sight.scope, sight.window).await?;
        spots.extend(blind_spots(&coverage));
        Ok(spots)
    }
}

struct Counted {
    inbound: u64,
    outbound: u64,
    cut_short: Option<String>,
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
