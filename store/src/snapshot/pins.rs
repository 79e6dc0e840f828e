//! Which blocks snapshots keep from being forgotten, and whose pins give way when they are too many.

use super::{Snapshot, SnapshotId};
use crate::index::{Index, Kept};
use crate::store::Namespaces;

/// The windows of snapshots that pin.
#[derive(Debug, Default)]
pub(crate) struct Pins(Vec<Pin>);

#[derive(Debug)]
struct Pin {
    id: SnapshotId,
    created_ns: i64,
    namespaces: Namespaces,
    view: super::View,
    since_ns: i64,
    until_ns: i64,
}

impl Pins {
    /// The pins of these snapshots, as far as they still have any.
    pub(crate) fn of<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Self {
        let pinning = snapshots.filter(|snapshot| snapshot.unpinned_ns.is_none());
        let pins = pinning.map(|snapshot| Pin {
            id: snapshot.id.clone(),
            created_ns: snapshot.created_ns,
            namespaces: snapshot.namespaces.clone(),
            view: snapshot.view(),
            since_ns: snapshot.since_ns,
            until_ns: snapshot.until_ns().unwrap_or(i64::MAX),
        });
        Self(pins.collect())
    }

    /// Whether any of them pins a block.
    pub(crate) fn hold<L>(&self, block: &Kept<L>) -> bool {
        self.0.iter().any(|pin| pin.holds(block))
    }

    /// Which snapshots give their pins up so that the rest pins `most_bytes` at most: the one that
    /// pins most, and so on; of equal ones the older.
    pub(crate) fn give_way<L>(mut self, index: &Index<L>, most_bytes: u64) -> Vec<SnapshotId> {
        let mut given_up = Vec::new();
        if self.0.is_empty() || index.totals().bytes <= most_bytes {
            return given_up;
        }
        loop {
            let pinned = index.blocks().filter(|block| self.hold(block));
            if pinned.map(|block| block.bytes).sum::<u64>() <= most_bytes {
                return given_up;
            }
            let weight = |pin: &Pin| {
                let blocks = index.blocks().filter(|block| pin.holds(block));
                let bytes: u64 = blocks.map(|block| block.bytes).sum();
                (bytes, std::cmp::Reverse(pin.created_ns))
            };
            let heaviest = (0..self.0.len()).max_by_key(|&place| self.0.get(place).map(weight));
            let Some(heaviest) = heaviest else {
                return given_up;
            };
            given_up.push(self.0.swap_remove(heaviest).id);
        }
    }
}

impl Pin {
    fn holds<L>(&self, block: &Kept<L>) -> bool {
        self.since_ns <= block.newest_ns()
            && block.oldest_ns() < self.until_ns
            && self.view.holds(block.number, &block.origin.workload)
            && self.namespaces.hold(&block.origin.namespace)
    }
}
