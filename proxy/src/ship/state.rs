//! What the tasks of the ship thread share: the queue, the key, and who waits for what.

use std::cell::{Cell, RefCell, RefMut};
use std::time::Duration;

use remora_store::block::Codec;
use tokio::sync::Notify;

use super::drops::Reason;
use super::last_word::LastWord;
use super::metrics::ShipMetrics;
use super::queue::Queue;
use super::sender::REQUEST_LIMIT;
use crate::budget::Budget;
use crate::keys::RedactionKey;
use crate::observe::Recorded;
use crate::record::Batch;
use crate::seal::Sealer;

/// Shared by tasks of one thread; a borrow never outlives an `await`.
pub(crate) struct State {
    queue: RefCell<Queue>,
    queue_limit_bytes: usize,
    sealer: RefCell<Sealer>,
    last_word: RefCell<Option<LastWord>>,
    budget: Budget,
    metrics: ShipMetrics,
    /// A key that came and is not used yet.
    new_key: RefCell<Option<RedactionKey>>,
    /// The hub has answered on the control channel, with a key or without.
    hub_known: Cell<bool>,
    /// The last attempt to ship failed.
    hub_away: Cell<bool>,
    stopping: Cell<bool>,
    /// An attempt to ship failed since the sidecar was asked to stop.
    failed_while_stopping: Cell<bool>,
    blocks_wait: Notify,
    settled: Notify,
    stop_asked: Notify,
    hub_answered: Notify,
}

impl State {
    pub(super) fn new(
        queue: Queue,
        queue_limit_bytes: usize,
        sealer: Sealer,
        last_word: Option<LastWord>,
        budget: Budget,
        metrics: ShipMetrics,
    ) -> Self {
        Self {
            queue: RefCell::new(queue),
            queue_limit_bytes,
            sealer: RefCell::new(sealer),
            last_word: RefCell::new(last_word),
            budget,
            metrics,
            new_key: RefCell::default(),
            hub_known: Cell::new(false),
            hub_away: Cell::new(false),
            stopping: Cell::new(false),
            failed_while_stopping: Cell::new(false),
            blocks_wait: Notify::new(),
            settled: Notify::new(),
            stop_asked: Notify::new(),
            hub_answered: Notify::new(),
        }
    }

    pub(super) fn queue(&self) -> RefMut<'_, Queue> {
        self.queue.borrow_mut()
    }

    pub(crate) fn metrics(&self) -> &ShipMetrics {
        &self.metrics
    }

    /// What is under way cannot be dropped, so it may take up half of the memory only.
    pub(super) fn request_limit(&self) -> usize {
        REQUEST_LIMIT.min(self.queue_limit_bytes / 2)
    }

    /// Waits until the queue holds anything.
    pub(super) async fn something_to_ship(&self) {
        while self.queue.borrow().is_empty() {
            self.blocks_wait.notified().await;
        }
    }

    /// Says that an attempt to ship is over.
    pub(super) fn attempted(&self, well: bool) {
        self.hub_away.set(!well);
        if self.stopping.get() && !well {
            self.failed_while_stopping.set(true);
        }
        self.settled.notify_waiters();
    }

    /// Waits, but not into the time in which the sidecar stops.
    pub(crate) async fn pause(&self, wait: Duration) {
        let stop = async {
            match self.stopping.get() {
                true => std::future::pending().await,
                false => self.stop_asked.notified().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop => {}
        }
    }

    /// The number of the last block.
    pub(crate) fn last_sealed(&self) -> u64 {
        self.queue.borrow().last_sealed()
    }

    /// Waits until the queue has room, if the hub is there to make some: what would be sealed at the
    /// cost of blocks that are sealed already is cheaper to lose before. While the hub is away, the
    /// newest calls are worth more than the oldest.
    pub(super) async fn room_in_queue(&self) {
        loop {
            let attempted = self.settled.notified();
            if self.hub_away.get() || self.queue.borrow().has_room() {
                return;
            }
            attempted.await;
        }
    }

    /// Waits until every block up to `sequence` was acknowledged or dropped.
    pub(crate) async fn settled(&self, sequence: u64) {
        loop {
            let changed = self.settled.notified();
            if self.queue.borrow().settled() >= sequence {
                return;
            }
            changed.await;
        }
    }

    /// Waits until nothing is left to ship, or until it is plain that the spool has to take it.
    pub(super) async fn drained(&self) {
        loop {
            let changed = self.settled.notified();
            if self.nothing_more_to_try() {
                return;
            }
            changed.await;
        }
    }

    /// Seals a block that only tells of drops, if there is a spool to keep it in.
    pub(super) fn seal_drops_for_the_spool(&self) {
        let queue = self.queue.borrow();
        let wanted = queue.has_spool() && queue.has_drops();
        drop(queue);
        if wanted {
            self.seal(Batch::default());
        }
    }

    fn nothing_more_to_try(&self) -> bool {
        let queue = self.queue.borrow();
        queue.is_empty() || (queue.has_spool() && self.failed_while_stopping.get())
    }

    /// Seals `batch` and puts it into the queue.
    pub(super) fn seal(&self, batch: Batch) {
        let mut queue = self.queue.borrow_mut();
        let mut sealer = self.sealer.borrow_mut();
        if let Some(key) = self.new_key.borrow_mut().take() {
            sealer.set_key(key);
        }
        queue.add_drops(batch.drops);
        let mut cost_bytes = 0;
        let take = |recorded: Recorded| {
            cost_bytes += recorded.cost_bytes;
            recorded.call
        };
        let calls = batch.calls.into_iter().map(take).collect();
        // While the hub takes blocks, compressing them costs more than it saves, most of all when
        // both are short of CPU; while it does not, it makes room for more of them.
        let codec = match self.hub_away.get() {
            true => Codec::Lz4,
            false => Codec::Raw,
        };
        let drops = queue.take_drops();
        let outcome = sealer.seal(calls, batch.open, drops, codec);
        self.budget.give_back(cost_bytes);
        if outcome.panicked > 0 {
            self.metrics.redaction_panics.inc_by(outcome.panicked);
            queue.count_drop(Reason::Rejected, outcome.panicked);
        }
        if let Some(last_word) = &mut *self.last_word.borrow_mut() {
            last_word.keep(&sealer.last_word());
        }
        outcome
            .blocks
            .into_iter()
            .for_each(|block| queue.push(block));
        drop(queue);
        self.blocks_wait.notify_one();
    }

    /// Nothing more will be sealed, and all that was is shipped, spooled or counted.
    pub(super) fn end_in_good_order(&self) {
        if let Some(last_word) = self.last_word.take() {
            last_word.remove();
        }
    }

    /// Seals a block that only tells of drops, if they are the last thing left to tell.
    pub(super) fn seal_last_drops(&self) {
        if self.queue.borrow().only_drops_are_left() {
            self.seal(Batch::default());
        }
    }

    /// The sidecar stops: who waits to try again tries now.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.stop_asked.notify_waiters();
    }

    /// The hub has answered; with another key than before, maybe.
    pub(crate) fn hub_answered(&self, key: Option<RedactionKey>) {
        if key.is_some() {
            *self.new_key.borrow_mut() = key;
        }
        self.hub_known.set(true);
        self.hub_answered.notify_waiters();
    }

    /// Waits until the hub was heard of, once and for at most `wait`.
    pub(super) async fn hub_known(&self, wait: Duration) {
        let heard = self.hub_answered.notified();
        if !self.hub_known.replace(true) {
            let _ = tokio::time::timeout(wait, heard).await;
        }
    }
}
