//! The order of calls in an answer.

use super::{Cursor, Order};
use crate::call::CallId;

/// The place of a call in an answer: the lowest comes first, whatever the order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    time: i64,
    block: u64,
    ordinal: u32,
}

impl Order {
    /// The rank of a call that began at `time_ns`.
    pub(crate) fn rank(self, time_ns: i64, id: CallId) -> Rank {
        // Inverting all bits of a number turns its order around, and never overflows.
        match self {
            Self::Oldest => Rank {
                time: time_ns,
                block: id.block,
                ordinal: id.ordinal,
            },
            Self::Newest => Rank {
                time: !time_ns,
                block: !id.block,
                ordinal: !id.ordinal,
            },
        }
    }

    /// The lowest rank that a call of this time can have.
    pub(crate) fn first_rank(self, time_ns: i64) -> Rank {
        self.rank(time_ns, self.first_id())
    }

    /// Where everything before a time was listed, and nothing of that time itself.
    pub(crate) fn cursor_before(self, time_ns: i64) -> Cursor {
        Cursor {
            time_ns,
            id: self.first_id(),
        }
    }

    /// An id that no call has, before those of all calls of the same time.
    fn first_id(self) -> CallId {
        match self {
            Self::Oldest => CallId {
                block: 0,
                ordinal: 0,
            },
            Self::Newest => CallId {
                block: u64::MAX,
                ordinal: u32::MAX,
            },
        }
    }

    pub(crate) fn cursor_at(self, rank: Rank) -> Cursor {
        let Rank {
            time,
            block,
            ordinal,
        } = rank;
        match self {
            Self::Oldest => Cursor {
                time_ns: time,
                id: CallId { block, ordinal },
            },
            Self::Newest => Cursor {
                time_ns: !time,
                id: CallId {
                    block: !block,
                    ordinal: !ordinal,
                },
            },
        }
    }
}

impl Rank {
    /// Time of the call with this rank.
    pub(crate) fn time_ns(self, order: Order) -> i64 {
        order.cursor_at(self).time_ns
    }
}
