//! Sealed blocks between the data plane and the hub: in memory first, then in the spool; when both
//! are full the oldest go, and are counted.
//!
//! Owns what waits, what is under way, and what was lost. Talks to nobody but the spool's files.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use remora_store::block::{Block, Drop};
use remora_store::spool::{Evicted, Spool, Ticket};

use super::Finished;
use super::drops::{Drops, Reason};
use super::metrics::ShipMetrics;
use crate::budget::Budget;
use crate::record::wall_clock_ns;
use crate::seal::Sealed;

/// Blocks on their way in one request, all of one incarnation.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) incarnation: u128,
    pub(super) blocks: Vec<Bytes>,
    from_spool: Vec<Spooled>,
}

/// What has to be known of a block of the spool once the hub has answered.
#[derive(Debug)]
struct Spooled {
    ticket: Ticket,
    /// Its sequence if it is of this run; those of an earlier run settle nothing here.
    own_sequence: Option<u64>,
    calls: u64,
    drops: Vec<Drop>,
}

/// Blocks that are not acknowledged yet.
#[derive(Debug)]
pub(super) struct Queue {
    incarnation: u128,
    memory: VecDeque<Sealed>,
    /// So many blocks at the front of the memory are under way, and must not be dropped: the hub
    /// may be storing them.
    under_way: usize,
    /// So many at the front were under way without an answer. The hub may have stored them, so they
    /// must not be told as dropped before it was asked again.
    doubtful: usize,
    memory_bytes: usize,
    limit_bytes: usize,
    spool: Option<Spool>,
    budget: Budget,
    drops: Drops,
    /// Sequences of this run that are neither acknowledged nor dropped.
    unsettled: BTreeSet<u64>,
    last_sealed: u64,
    metrics: ShipMetrics,
}

impl Queue {
    pub(super) fn new(
        incarnation: u128,
        limit_bytes: usize,
        spool: Option<Spool>,
        budget: Budget,
        metrics: ShipMetrics,
    ) -> Self {
        let queue = Self {
            incarnation,
            memory: VecDeque::new(),
            under_way: 0,
            doubtful: 0,
            memory_bytes: 0,
            limit_bytes,
            spool,
            budget,
            drops: Drops::default(),
            unsettled: BTreeSet::new(),
            last_sealed: 0,
            metrics,
        };
        queue.show();
        queue
    }

    /// The number of the block that was sealed last; 0 before the first.
    pub(super) fn last_sealed(&self) -> u64 {
        self.last_sealed
    }

    /// The number up to which every block was acknowledged or dropped.
    pub(super) fn settled(&self) -> u64 {
        match self.unsettled.first() {
            Some(first) => first.saturating_sub(1),
            None => self.last_sealed,
        }
    }

    /// Whether every block was acknowledged or dropped, and all drops are told.
    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty()
            && self.drops.is_empty()
            && self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// Drops that a block has to tell of, if it is the last thing left to ship.
    pub(super) fn only_drops_are_left(&self) -> bool {
        !self.drops.is_empty()
            && self.memory.is_empty()
            && self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// Whether there are drops that no block has told of yet.
    pub(super) fn has_drops(&self) -> bool {
        !self.drops.is_empty()
    }

    pub(super) fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Whether a block can come that no other has to go for, as far as that is known before it is
    /// sealed. There is always room with a spool.
    pub(super) fn has_room(&self) -> bool {
        self.spool.is_some() || self.memory_bytes <= self.limit_bytes / 4 * 3
    }

    /// Drops that no block has told of yet, for the next one.
    pub(super) fn take_drops(&mut self) -> Vec<Drop> {
        self.drops.take()
    }

    /// Drops that were counted before the shipper had the calls.
    pub(super) fn add_drops(&mut self, drops: Vec<Drop>) {
        drops.into_iter().for_each(|drop| self.drops.add(drop));
    }

    /// Counts calls that are lost here.
    pub(super) fn count_drop(&mut self, reason: Reason, calls: u64) {
        self.drops.count(reason, calls, wall_clock_ns());
        self.metrics.dropped(reason.word(), calls);
    }

    /// Takes in a sealed block; at the cost of the oldest ones, if need be.
    pub(super) fn push(&mut self, block: Sealed) {
        self.last_sealed = block.sequence;
        self.unsettled.insert(block.sequence);
        self.metrics.blocks_sealed.inc();
        while self.memory_bytes + block.bytes.len() > self.limit_bytes && self.evict_oldest() {}
        while !self.budget.try_take(block.bytes.len()) {
            if !self.evict_oldest() {
                self.lose_or_spool(block, Reason::Budget);
                self.show();
                return;
            }
        }
        self.memory_bytes += block.bytes.len();
        self.memory.push_back(block);
        self.show();
    }

    /// Moves the oldest block that the hub cannot have out of memory; false if there is none.
    fn evict_oldest(&mut self) -> bool {
        let Some(oldest) = self.memory.remove(self.under_way.max(self.doubtful)) else {
            return false;
        };
        self.leave_memory(&oldest);
        self.lose_or_spool(oldest, Reason::Queue);
        true
    }

    fn lose_or_spool(&mut self, block: Sealed, reason: Reason) {
        let Some(spool) = &mut self.spool else {
            self.lose(block.calls, block.drops, Some(block.sequence), reason);
            return;
        };
        let appended = spool.append(block.sequence, &block.bytes);
        if let Some(failure) = appended.failure {
            tracing::warn!(error = %failure, "spool cannot take a block");
        }
        self.evicted(appended.evicted);
    }

    /// Counts blocks that the spool lost.
    pub(super) fn evicted(&mut self, evicted: Vec<Evicted>) {
        for lost in evicted {
            // The sequences of an earlier run mean nothing here.
            let sequence = (!lost.recovered).then_some(lost.sequence);
            self.lose(lost.calls, lost.drops, sequence, Reason::Spool);
        }
    }

    fn lose(&mut self, calls: u64, drops: Vec<Drop>, sequence: Option<u64>, reason: Reason) {
        if let Some(sequence) = sequence {
            self.unsettled.remove(&sequence);
        }
        self.add_drops(drops);
        self.count_drop(reason, calls);
    }

    fn leave_memory(&mut self, block: &Sealed) {
        self.memory_bytes -= block.bytes.len();
        self.budget.give_back(block.bytes.len());
    }

    /// The oldest blocks, as many as fit into `max_bytes` and no more than `max_blocks`; `None` if
    /// nothing waits. They are under way until one of [`Queue::acknowledge`], [`Queue::reject`],
    /// [`Queue::give_back`] and [`Queue::give_back_doubtful`] says what became of them.
    pub(super) fn shipment(&mut self, max_bytes: usize, max_blocks: usize) -> Option<Shipment> {
        debug_assert_eq!(self.under_way, 0, "one shipment is under way at a time");
        if let Some(shipment) = self.shipment_from_spool(max_bytes, max_blocks) {
            return Some(shipment);
        }
        let mut room = max_bytes;
        let mut blocks = Vec::new();
        for block in self.memory.iter().take(max_blocks) {
            let needed = block.bytes.len() + FRAME_BYTES;
            if !blocks.is_empty() && needed > room {
                break;
            }
            room = room.saturating_sub(needed);
            blocks.push(block.bytes.clone());
        }
        self.under_way = blocks.len();
        (!blocks.is_empty()).then_some(Shipment {
            incarnation: self.incarnation,
            blocks,
            from_spool: Vec::new(),
        })
    }

    fn shipment_from_spool(&mut self, max_bytes: usize, max_blocks: usize) -> Option<Shipment> {
        let max_bytes = if max_blocks == 1 { 1 } else { max_bytes };
        let taken = match self.spool.as_mut()?.take(max_bytes) {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "spool cannot be read");
                return None;
            }
        };
        self.evicted(taken.damaged);
        let mut shipment: Option<Shipment> = None;
        for spooled in taken.blocks {
            let Ok(block) = Block::open(spooled.block.clone()) else {
                // The spool checks what it gives; were this wrong, the hub would say so.
                continue;
            };
            let incarnation = block.meta().origin.incarnation;
            let shipment = shipment.get_or_insert_with(|| Shipment {
                incarnation,
                blocks: Vec::new(),
                from_spool: Vec::new(),
            });
            if incarnation != shipment.incarnation || shipment.blocks.len() == max_blocks {
                break;
            }
            shipment.blocks.push(spooled.block);
            shipment.from_spool.push(Spooled {
                ticket: spooled.ticket,
                own_sequence: (incarnation == self.incarnation).then_some(spooled.sequence),
                calls: block.summary().calls.into(),
                drops: block.meta().drops.clone(),
            });
        }
        shipment
    }

    /// The hub has all blocks of the shipment.
    pub(super) fn acknowledge(&mut self, shipment: &Shipment) {
        self.metrics
            .blocks_shipped
            .inc_by(shipment.blocks.len() as u64);
        let bytes: usize = shipment.blocks.iter().map(Bytes::len).sum();
        self.metrics.shipped_bytes.inc_by(bytes as u64);
        for spooled in &shipment.from_spool {
            self.metrics.calls_shipped.inc_by(spooled.calls);
            self.leave_spool(spooled);
        }
        self.doubtful = self.doubtful.saturating_sub(self.under_way);
        for _ in 0..std::mem::take(&mut self.under_way) {
            if let Some(block) = self.memory.pop_front() {
                self.leave_memory(&block);
                self.unsettled.remove(&block.sequence);
                self.metrics.calls_shipped.inc_by(block.calls);
            }
        }
        self.put_back_spool();
        self.show();
    }

    /// The hub will never take block `index` of the shipment, and kept none of the others. Gives how
    /// many calls are lost.
    pub(super) fn reject(&mut self, shipment: &Shipment, index: usize) -> u64 {
        self.under_way = 0;
        let mut lost_calls = 0;
        if let Some(spooled) = shipment.from_spool.get(index) {
            self.leave_spool(spooled);
            let drops = spooled.drops.clone();
            lost_calls = spooled.calls;
            self.lose(spooled.calls, drops, None, Reason::Rejected);
        } else if shipment.from_spool.is_empty()
            && let Some(block) = self.memory.remove(index)
        {
            if index < self.doubtful {
                self.doubtful -= 1;
            }
            self.leave_memory(&block);
            lost_calls = block.calls;
            self.lose(
                block.calls,
                block.drops,
                Some(block.sequence),
                Reason::Rejected,
            );
        }
        self.put_back_spool();
        self.show();
        lost_calls
    }

    /// The hub did not store the shipment: it goes again.
    pub(super) fn give_back(&mut self) {
        self.under_way = 0;
        self.put_back_spool();
    }

    /// Nobody knows what became of the shipment: it goes again.
    pub(super) fn give_back_doubtful(&mut self) {
        self.doubtful = self.doubtful.max(self.under_way);
        self.give_back();
    }

    fn leave_spool(&mut self, spooled: &Spooled) {
        if let Some(sequence) = spooled.own_sequence {
            self.unsettled.remove(&sequence);
        }
        if let Some(spool) = &mut self.spool {
            spool.acknowledge(spooled.ticket);
        }
    }

    fn put_back_spool(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.give_back();
        }
    }

    /// Moves everything to the spool, because the sidecar stops.
    pub(super) fn retire(&mut self) -> Finished {
        self.give_back();
        self.doubtful = 0;
        let lost_before = self.lost();
        while self.evict_oldest() {}
        self.show();
        Finished {
            spooled_blocks: self.spool.as_ref().map_or(0, Spool::blocks),
            lost_calls: self.lost() - lost_before,
            ..Finished::default()
        }
    }

    /// Calls that were lost here, for whatever reason.
    pub(super) fn lost(&self) -> u64 {
        Reason::ALL
            .iter()
            .map(|reason| self.metrics.calls_dropped(reason.word()))
            .sum()
    }

    fn show(&self) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics
            .queue_bytes
            .set(gauge(self.memory_bytes as u64));
        let spooled = self.spool.as_ref().map_or(0, Spool::bytes);
        self.metrics.spool_bytes.set(gauge(spooled));
    }
}

/// Bytes that a block takes up in a request beside its own: its length.
pub(super) const FRAME_BYTES: usize = 4;

#[cfg(test)]
mod tests;
