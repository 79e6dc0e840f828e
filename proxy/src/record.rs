//! The recorder of a data-plane thread: it batches finished calls and knows which are open.
//!
//! Owns when a batch leaves, what is said of open calls, and the count of what was lost on the way
//! to the shipper. What a call is made of is the observers' business, what happens to a batch
//! afterwards the shipper's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use remora_store::block;
use remora_store::call::Call;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::budget::Budget;
use crate::metrics::RecordMetrics;
use crate::observe::{ConnectionFacts, Limits, Recorded};
use crate::record::open::OpenList;
use crate::tap::Tap;

pub(crate) use open::kept_bytes;

mod open;

/// Calls after which a batch leaves.
const BATCH_CALLS: usize = 512;

/// Captured bytes after which a batch leaves.
const BATCH_BYTES: usize = 256 * 1024;

/// How long a finished call waits for others before its batch leaves.
const BATCH_INTERVAL: Duration = Duration::from_millis(250);

/// What a data-plane thread hands to the shipper.
#[derive(Debug, Default)]
pub struct Batch {
    /// Calls that have ended, in the order in which they did.
    pub calls: Vec<Recorded>,
    /// Every call that is open now; `None` where that is as it was said last.
    pub open: Option<Vec<Call>>,
    /// What was lost since the last batch.
    pub drops: Vec<block::Drop>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.open.is_none() && self.drops.is_empty()
    }
}

/// Takes batches away without waiting; gives one back if there is no room for it.
pub type Sink = Box<dyn Fn(Batch) -> Result<(), Batch> + Send>;

/// Asks the data plane to hand over everything it has observed; it answers when that is done.
pub type Flushes = mpsc::Receiver<oneshot::Sender<()>>;

/// Where the recorder's batches go.
pub struct Outlet {
    /// Takes the batches.
    pub sink: Sink,
    /// Asks for them before they are due.
    pub flushes: Flushes,
}

/// Collects the calls of all connections of a thread.
pub(crate) struct Recorder {
    limits: Limits,
    budget: Budget,
    sink: Sink,
    metrics: RecordMetrics,
    taps: RefCell<BTreeMap<u64, Weak<Tap>>>,
    pending: RefCell<Pending>,
    open: RefCell<OpenList>,
    drops: RefCell<Vec<block::Drop>>,
    /// Something was observed since the last look, and the timer knows.
    noticed: Cell<bool>,
    activity: Notify,
}

#[derive(Default)]
struct Pending {
    calls: Vec<Recorded>,
    cost_bytes: usize,
}

impl Recorder {
    /// A recorder that hands its batches to `sink`.
    pub(crate) fn new(
        limits: Limits,
        budget: Budget,
        sink: Sink,
        metrics: RecordMetrics,
    ) -> Rc<Self> {
        Rc::new(Self {
            limits,
            budget,
            sink,
            metrics,
            taps: RefCell::default(),
            pending: RefCell::default(),
            open: RefCell::default(),
            drops: RefCell::default(),
            noticed: Cell::new(false),
            activity: Notify::new(),
        })
    }

    /// Counts a connection that is not watched because observers crash.
    pub(crate) fn leave_unwatched(&self) {
        self.count_drop("crash", 1);
    }

    /// Begins to watch a connection.
    pub(crate) fn watch(self: &Rc<Self>, facts: ConnectionFacts, accepted: Instant) -> Rc<Tap> {
        let id = facts.id;
        let tap = Rc::new(Tap::new(
            Rc::clone(self),
            facts,
            accepted,
            self.limits,
            self.budget.clone(),
        ));
        self.taps.borrow_mut().insert(id, Rc::downgrade(&tap));
        tap
    }

    /// Forgets a connection that is over.
    pub(crate) fn forget(&self, id: u64) {
        self.taps.borrow_mut().remove(&id);
    }

    /// Counts what goes wrong while watching.
    pub(crate) fn metrics(&self) -> &RecordMetrics {
        &self.metrics
    }

    /// Takes the calls that `observe` finds to have ended.
    pub(crate) fn collect<R>(&self, observe: impl FnOnce(&mut Vec<Recorded>) -> R) -> R {
        let mut pending = self.pending.borrow_mut();
        let before = pending.calls.len();
        let result = observe(&mut pending.calls);
        let cost_bytes: usize = pending
            .calls
            .iter()
            .skip(before)
            .map(|recorded| recorded.cost_bytes)
            .sum();
        pending.cost_bytes += cost_bytes;
        let full = pending.calls.len() >= BATCH_CALLS || pending.cost_bytes >= BATCH_BYTES;
        drop(pending);
        if full {
            self.send(None);
        }
        self.notice();
        result
    }

    /// Makes sure that somebody looks after an interval.
    fn notice(&self) {
        if !self.noticed.replace(true) {
            self.activity.notify_one();
        }
    }

    /// Sends batches as they fall due and answers requests to flush, for ever.
    pub(crate) async fn run(&self, mut flushes: Flushes) {
        let mut due: Option<Instant> = None;
        loop {
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(answer) = flushes.recv() => {
                    self.flush();
                    // Whoever asked may have given up meanwhile.
                    let _ = answer.send(());
                }
                () = self.activity.notified() => {
                    let soon = Instant::now() + BATCH_INTERVAL;
                    due = Some(due.map_or(soon, |at| at.min(soon)));
                }
                () = timer => due = self.tick(),
            }
        }
    }

    /// Sends what is pending, and what changed among the open calls; says when to look again.
    fn tick(&self) -> Option<Instant> {
        self.noticed.set(false);
        let now = Instant::now();
        let mut open = self.open.borrow_mut();
        let changed = open.look(&self.live_taps(), now);
        let due = open.due();
        drop(open);
        self.send(changed);
        due
    }

    /// Sends everything that was observed, and every open call however young.
    pub(crate) fn flush(&self) {
        let calls = self
            .open
            .borrow_mut()
            .all(&self.live_taps(), Instant::now());
        self.send(calls);
    }

    /// Ends every connection's record, because the sidecar stops, and sends them.
    pub(crate) fn finish(&self) {
        for tap in self.live_taps() {
            tap.stopped();
        }
        self.flush();
        // What was refused just now is told now or never, and there may be room for that much.
        self.flush();
    }

    fn live_taps(&self) -> Vec<Rc<Tap>> {
        self.taps
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    fn send(&self, open: Option<Vec<Call>>) {
        let pending = self.pending.take();
        let batch = Batch {
            calls: pending.calls,
            open,
            drops: self.drops.take(),
        };
        if batch.is_empty() {
            return;
        }
        self.metrics.calls.inc_by(batch.calls.len() as u64);
        if let Err(refused) = (self.sink)(batch) {
            self.lose(refused);
        }
    }

    /// The shipper has no room: traffic goes on, the records are counted and gone.
    fn lose(&self, refused: Batch) {
        for recorded in &refused.calls {
            self.budget.give_back(recorded.cost_bytes);
        }
        *self.drops.borrow_mut() = refused.drops;
        self.count_drop("queue", refused.calls.len() as u64);
        if refused.open.is_some() {
            self.open.borrow_mut().forget();
        }
        self.notice();
    }

    /// Counts calls that were not kept; the next batch tells the hub.
    pub(crate) fn count_drop(&self, reason: &'static str, calls: u64) {
        if calls == 0 {
            return;
        }
        self.metrics.dropped(reason, calls);
        let now_ns = wall_clock_ns();
        let mut drops = self.drops.borrow_mut();
        match drops.iter_mut().find(|drop| drop.reason == reason) {
            Some(drop) => {
                drop.calls += calls;
                drop.until_ns = now_ns;
            }
            None => drops.push(block::Drop {
                reason: reason.to_owned(),
                calls,
                since_ns: now_ns,
                until_ns: now_ns,
            }),
        }
        self.notice();
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn wall_clock_ns() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
