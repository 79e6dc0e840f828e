//! The course of one wait: sidecars hand over, and what comes in is looked at until no more does.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use remora_store::block::Origin;
use remora_store::filter::Filter;
use remora_store::query::{Arrived, ArrivedQuery};
use remora_store::snapshot::{MEMBERS_LIMIT, Snapshot, UNDER_WAY_LIMIT, UnderWay, Unsettled};
use remora_store::store::Scope;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Progress, Reason, Wait};
use crate::api::query::TIME_BUDGET;
use crate::app::App;
use crate::clock::now_ns;
use crate::control::SidecarName;
use crate::coverage::{Coverage, Window};
use crate::error::ApiError;
use crate::traffic::earlier::UNREAD;

/// Shortest time from one look at the store to the next, however much comes in.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// One waiting.
pub(super) struct Course<'a> {
    pub(super) app: &'a App,
    /// What its caller sees of the snapshot.
    pub(super) scope: Scope,
    pub(super) snapshot: Snapshot,
    pub(super) wait: &'a Wait,
    progress: &'a watch::Sender<Progress>,
    deadline: Instant,
    /// Calls that matched so far; of a merged block some may be counted again.
    calls: u64,
    /// The calls that match and run.
    pub(super) running: Vec<UnderWay>,
    next_block: u64,
    last_arrival: Instant,
    last_look: Instant,
    /// Sidecars that did not hand over, by incarnation: they are not waited for again. And those whose place others
    /// have taken.
    silent: HashSet<u128>,
    pub(super) unanswered: Vec<Unanswered>,
    /// Sidecars that have handed over, by incarnation.
    handed_over: HashSet<u128>,
}

/// A sidecar that did not hand over.
pub(super) struct Unanswered {
    pub(super) name: SidecarName,
    /// How long it had.
    pub(super) within: Duration,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        app: &'a App,
        caller: &Scope,
        snapshot: Snapshot,
        wait: &'a Wait,
        progress: &'a watch::Sender<Progress>,
    ) -> Self {
        let now = Instant::now();
        let silent = app.control.replaced_before(snapshot.since_ns);
        Self {
            app,
            scope: caller.within(&snapshot.namespaces),
            snapshot,
            wait,
            progress,
            deadline: now + wait.patience,
            calls: 0,
            running: Vec::new(),
            next_block: 0,
            last_arrival: now,
            last_look: now,
            silent,
            unanswered: Vec::new(),
            handed_over: HashSet::new(),
        }
    }

    pub(super) async fn settle(&mut self) -> Result<Reason, ApiError> {
        let mut news = self.app.arrivals.subscribe();
        let in_time = self.flush().await;
        news.mark_unchanged();
        self.look().await?;
        if !in_time {
            return Ok(Reason::Timeout);
        }
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
                if behind {
                    self.look().await?;
                }
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
        let streams_before = now_ns().saturating_sub(nanoseconds(self.app.waits.stream_after));
        let young = self
            .running
            .iter()
            .filter(|it| it.since_ns > streams_before);
        young.count() as u64
    }

    fn is_quiet(&self) -> bool {
        self.calls >= self.wait.min_calls
            && self.last_arrival.elapsed() >= self.wait.idle
            && self.in_flight() == 0
    }

    /// Has the sidecars hand over once more; whether nothing came of it.
    async fn is_quiet_to_the_end(&mut self) -> Result<bool, ApiError> {
        let (calls, quiet_since) = (self.calls, self.last_arrival);
        let in_time = self.flush().await;
        self.look().await?;
        let quiet = in_time && self.calls == calls && self.in_flight() == 0;
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
        let began = self.running.iter().map(|it| it.since_ns);
        let youngest_ns = began.max().unwrap_or(0);
        let age_ns = now_ns().saturating_sub(youngest_ns).max(0).unsigned_abs();
        let stream_after = self.app.waits.stream_after;
        let left = stream_after.saturating_sub(Duration::from_nanos(age_ns));
        idle.max(Instant::now() + left + Duration::from_millis(1))
    }

    /// Whether a sidecar's records are part of the snapshot.
    pub(super) fn takes_in(&self, name: &SidecarName) -> bool {
        self.scope.sees(&name.namespace) && self.snapshot.view().sees(&name.workload)
    }

    /// Has the sidecars hand over. False where they had less time for it than is due to them, because
    /// the caller waits no longer, and one did not.
    async fn flush(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let within = self.app.waits.flush.min(left);
        let flushed = self
            .app
            .control
            .flush_in(|name| self.takes_in(name), &self.silent, within)
            .await;
        let answered = flushed.answered.iter().map(|(it, _)| *it);
        self.handed_over = answered.collect();
        let had_their_time = within == self.app.waits.flush || Instant::now() < self.deadline;
        let in_time = flushed.unanswered.is_empty() || had_their_time;
        for (incarnation, name) in flushed.unanswered {
            self.silent.insert(incarnation);
            self.unanswered.push(Unanswered { name, within });
        }
        self.tell();
        in_time
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let arrived = self
            .arrived(self.wait.filter.clone(), self.next_block)
            .await?;
        self.last_look = Instant::now();
        if arrived.calls > 0 {
            self.last_arrival = self.last_look;
        }
        self.calls += arrived.calls;
        self.running = arrived.running;
        self.next_block = arrived.next_block;
        self.tell();
        Ok(())
    }

    async fn arrived(&self, filter: Filter, from_block: u64) -> Result<Arrived, ApiError> {
        let query = ArrivedQuery {
            filter,
            since_ns: self.snapshot.since_ns,
            view: self.snapshot.view(),
            from_block,
            time_budget: TIME_BUDGET,
        };
        // The semaphore is never closed; whoever waits has no hurry.
        let _turn = self.app.query_turns.acquire().await;
        Ok(self.app.store.arrived(&self.scope, &query).await?)
    }

    /// What is under way now, whatever was waited for.
    pub(super) async fn under_way(&self, lost: &[SidecarName]) -> Result<Unsettled, ApiError> {
        let running = self
            .arrived(Filter::default(), self.next_block)
            .await?
            .running;
        let unanswered = self.unanswered.iter().map(|it| &it.name);
        let silent = unanswered.chain(lost);
        let window = Window {
            since_ns: Some(self.snapshot.since_ns),
            until_ns: None,
        };
        let coverage = Coverage::of(self.app, &self.scope, window).await?;
        let view = self.snapshot.view();
        let mut blindness = coverage.blindness;
        blindness.beside.retain(|it| view.sees(&it.workload));
        blindness.beside.truncate(MEMBERS_LIMIT);
        Ok(Unsettled {
            unread: self.unread_before().await?,
            blindness: Some(blindness),
            ..Unsettled::of(
                running,
                silent.map(|it| (it.namespace.as_str(), it.workload.as_str())),
            )
        })
    }

    /// Connections that were there before the snapshot began and are still, with what nobody reads.
    async fn unread_before(&self) -> Result<Vec<UnderWay>, ApiError> {
        let query = ArrivedQuery {
            filter: Filter::parse(UNREAD).map_err(ApiError::bad_filter)?,
            since_ns: i64::MIN,
            view: self.snapshot.view(),
            from_block: self.next_block,
            time_budget: TIME_BUDGET,
        };
        let arrived = {
            let _turn = self.app.query_turns.acquire().await;
            self.app.store.arrived(&self.scope, &query).await?
        };
        let mut unread = arrived.running;
        unread.retain(|it| it.since_ns < self.snapshot.since_ns);
        unread.sort_by_key(|it| (it.since_ns, it.run));
        unread.truncate(UNDER_WAY_LIMIT);
        Ok(unread)
    }

    /// The runs of sidecars that are neither there nor said that they had shipped everything: what they observed
    /// last may have gone with them. Those that recorded something in the snapshot, and those of which nothing
    /// came since, if they were heard of at all.
    pub(super) async fn lost_runs(&self) -> Result<Vec<SidecarName>, ApiError> {
        let control = &self.app.control;
        let since_ns = self.snapshot.since_ns;
        let recorders = self.app.store.recorders(&self.scope).await?;
        let recorded = recorders.into_iter().filter(|it| it.last_ns >= since_ns);
        let recorded = recorded.map(|it| {
            let Origin {
                incarnation,
                namespace,
                workload,
                pod,
                ..
            } = it.origin;
            let name = SidecarName {
                namespace,
                workload,
                pod,
            };
            (incarnation, name)
        });
        let mut runs: BTreeMap<u128, SidecarName> = recorded.collect();
        runs.extend(control.silent_since(since_ns));
        runs.retain(|run, name| {
            self.takes_in(name)
                && !self.handed_over.contains(run)
                && !self.silent.contains(run)
                && !control.has_ended(*run)
        });
        Ok(runs.into_values().collect())
    }

    /// Whether no sidecar has handed over.
    pub(super) fn nobody_handed_over(&self) -> bool {
        self.handed_over.is_empty()
    }

    /// How far it has come.
    pub(super) fn so_far(&self) -> Progress {
        let flushed = self.handed_over.len() as u64;
        Progress {
            calls: self.calls,
            in_flight: self.in_flight(),
            flushed,
            sidecars: flushed + self.unanswered.len() as u64,
        }
    }

    fn tell(&self) {
        self.progress.send_replace(self.so_far());
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
