//! The account of calls that were lost on the way: by reason and time, until a block tells the hub.

use remora_store::block::Drop;

/// Why calls were dropped, in the words that blocks carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The capture budget had no room for a sealed block.
    Budget,
    /// The hub was away, memory was full, and there is no spool.
    Queue,
    /// The hub was away, and the spool was full or failed.
    Spool,
    /// The hub refused the block for good, or it could not be made fit to leave.
    Rejected,
}

impl Reason {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Budget, Self::Queue, Self::Spool, Self::Rejected];

    pub(super) fn word(self) -> &'static str {
        match self {
            Reason::Budget => "budget",
            Reason::Queue => "queue",
            Reason::Spool => "spool",
            Reason::Rejected => "rejected",
        }
    }
}

/// Drops that no block has told of yet.
#[derive(Debug, Default)]
pub(super) struct Drops(Vec<Drop>);

impl Drops {
    /// Counts `calls` that were dropped at `now_ns`.
    pub(super) fn count(&mut self, reason: Reason, calls: u64, now_ns: i64) {
        self.add(Drop {
            reason: reason.word().to_owned(),
            calls,
            since_ns: now_ns,
            until_ns: now_ns,
        });
    }

    /// Takes over drops that were counted elsewhere, or whose block was lost itself.
    pub(super) fn add(&mut self, drop: Drop) {
        if drop.calls == 0 {
            return;
        }
        match self.0.iter_mut().find(|known| known.reason == drop.reason) {
            Some(known) => {
                known.calls += drop.calls;
                known.since_ns = known.since_ns.min(drop.since_ns);
                known.until_ns = known.until_ns.max(drop.until_ns);
            }
            None => self.0.push(drop),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands them over to a block.
    pub(super) fn take(&mut self) -> Vec<Drop> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_one_reason_are_one_line() {
        let mut drops = Drops::default();
        drops.count(Reason::Queue, 2, 20);
        drops.count(Reason::Spool, 1, 30);
        drops.count(Reason::Queue, 3, 10);
        drops.count(Reason::Queue, 0, 99);
        let told = drops.take();
        assert_eq!(told.len(), 2);
        assert_eq!(
            (told[0].calls, told[0].since_ns, told[0].until_ns),
            (5, 10, 20)
        );
        assert!(drops.is_empty());
    }
}
