//! The trait behind which recorded blocks are kept, and the words in which a store is spoken to.

mod scope;

use async_trait::async_trait;
use bytes::Bytes;

use crate::block::{Drop, Origin};
use crate::call::CallId;
use crate::names::facts::Fact;
use crate::query::{Arrived, ArrivedQuery, FoundCall, Page, Query, Summary, SummaryQuery};
use crate::snapshot::{Member, NewSnapshot, Snapshot, SnapshotId, Unsettled};
pub use scope::{Namespaces, Scope};

/// A place where recorded blocks are kept and asked for.
///
/// Methods may take as long as a disk takes; they never block the caller's thread for it.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Keeps blocks. When this returns, they survive a crash. A block that is there already, by
    /// incarnation and sequence, is counted and not kept again.
    async fn ingest(&self, blocks: Vec<ReceivedBlock>) -> Result<Ingested, StoreError>;

    /// One call, whole; `None` where there is none or the scope does not see it.
    async fn get(&self, scope: &Scope, id: CallId) -> Result<Option<FoundCall>, StoreError>;

    /// Calls that match, a page at a time. Calls that still run are among them.
    async fn list(&self, scope: &Scope, query: &Query) -> Result<Page, StoreError>;

    /// Calls that match, counted by group.
    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError>;

    /// What matches among the blocks that came since one, and what matches and still runs: what a
    /// wait for quiet needs, at the cost of the new blocks alone.
    async fn arrived(&self, scope: &Scope, query: &ArrivedQuery) -> Result<Arrived, StoreError>;

    /// Who has recorded what, one entry per incarnation of a sidecar.
    async fn recorders(&self, scope: &Scope) -> Result<Vec<Recorder>, StoreError>;

    /// Keeps a new snapshot. What is in it is not forgotten before it expires or is deleted, as long
    /// as all of them pin half of [`Retention::max_bytes`] at most; beyond, the one that pins most
    /// gives its pins up and says so.
    async fn create_snapshot(&self, snapshot: NewSnapshot) -> Result<Snapshot, StoreError>;

    /// Has a snapshot end here: nothing that is stored later becomes part of it. One that is sealed
    /// stays as it is. `None` where there is none, or it has expired.
    async fn seal_snapshot(
        &self,
        id: &SnapshotId,
        unsettled: Unsettled,
    ) -> Result<Option<Snapshot>, StoreError>;

    /// Forgets a snapshot and lets go what it pinned. `false` where there is none.
    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<bool, StoreError>;

    /// Every snapshot that has not expired, the oldest first, whoever made it.
    async fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError>;

    /// Who recorded something in a snapshot, as far as `scope` sees it: of a sealed one as it was
    /// then.
    async fn members(&self, scope: &Scope, snapshot: &Snapshot) -> Result<Vec<Member>, StoreError>;

    /// Takes in all that is at an address at `at_ns`, as somebody saw who watches the whole cluster:
    /// it names the ends of calls of that time. It is kept as long as calls of its time are.
    async fn observe_addresses(&self, present: Vec<Fact>, at_ns: i64) -> Result<(), StoreError>;

    /// Forgets the oldest blocks until the limits hold, but for those that snapshots pin.
    async fn retain(&self, limits: &Retention) -> Result<Freed, StoreError>;

    /// How the store is doing.
    async fn health(&self) -> Health;
}

/// A block as the hub received it.
#[derive(Debug, Clone)]
pub struct ReceivedBlock {
    /// Who wrote it, as far as the hub could establish; stored beside the block, and believed before
    /// what the block itself claims.
    pub origin: Origin,
    /// The sealed block.
    pub bytes: Bytes,
}

/// What became of blocks that were given to a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Blocks that are now kept.
    pub stored: u64,
    /// Blocks that were kept already.
    pub duplicates: u64,
    /// Calls in the blocks that are now kept.
    pub calls: u64,
    /// Places of the blocks that are now kept among those that were given, from 0, ascending.
    pub places: Vec<usize>,
}

/// What one incarnation of a sidecar has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorder {
    /// Who it is.
    pub origin: Origin,
    /// Calls that are kept of it.
    pub calls: u64,
    /// When the oldest of them began: nanoseconds since the Unix epoch. Where there are none, when
    /// it last sealed a block.
    pub first_ns: i64,
    /// When the newest of them began; where there are none, as above.
    pub last_ns: i64,
    /// Highest sequence that was kept.
    pub last_sequence: u64,
    /// Sequences below the highest that never came, as far as they are not expired.
    pub missing_blocks: u64,
    /// What it says it dropped, by reason and time: the stretches nearest to each other are one where they would
    /// be too many.
    pub drops: Vec<Drop>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Calls that began before this time go: nanoseconds since the Unix epoch.
    pub before_ns: Option<i64>,
    /// Most bytes on disk.
    pub max_bytes: Option<u64>,
}

/// What [`CallStore::retain`] gave back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freed {
    /// Blocks that were forgotten.
    pub blocks: u64,
    /// Calls in them.
    pub calls: u64,
    /// Bytes given back to the disk.
    pub bytes: u64,
}

/// How a store is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it takes blocks.
    pub writable: bool,
    /// Calls kept.
    pub calls: u64,
    /// Blocks kept.
    pub blocks: u64,
    /// Bytes on disk, or in memory.
    pub bytes: u64,
    /// When the oldest call began: nanoseconds since the Unix epoch.
    pub oldest_ns: Option<i64>,
    /// When the newest call began.
    pub newest_ns: Option<i64>,
    /// What was found damaged and set aside, one line each, for people.
    pub quarantined: Vec<String>,
}

/// Why a store could not do as it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A block cannot be read: its sender is broken, or the bytes were damaged on the way.
    #[error("read block {index} of the request: {reason}")]
    BadBlock {
        /// Which of the blocks given to [`CallStore::ingest`], from 0. None of them was kept.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full, and there was nothing to forget but what snapshots pin. The blocks should come
    /// again later.
    #[error("store blocks: the disk is full")]
    Full,
    /// There are as many snapshots as a store keeps.
    #[error("keep a snapshot: there are {limit} of them")]
    TooManySnapshots {
        /// Most of them.
        limit: usize,
    },
    /// A disk operation failed. After a failed write nothing more is written until a restart.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, with the file's name.
        action: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Stored bytes are damaged; the part was set aside and the rest is served.
    #[error("read stored block {block}: {reason}")]
    Damaged {
        /// The hub's number of the block.
        block: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody waits for the answer any more, so nobody is told this.
    #[error("answer a question that was given up")]
    GivenUp,
    /// A filter failed while it was evaluated, in a way that is its writer's to mend.
    #[error("evaluate filter: {0}")]
    Filter(crate::filter::FilterError),
}
