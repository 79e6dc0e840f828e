//! A store that a test can fill up, break and hold.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use remora_store::call::CallId;
use remora_store::memory::Memory;
use remora_store::names::facts::Fact;
use remora_store::query::{Arrived, ArrivedQuery, FoundCall, Page, Query, Summary, SummaryQuery};
use remora_store::snapshot::{Member, NewSnapshot, Snapshot, SnapshotId, Unsettled};
use remora_store::store::{
    CallStore, Freed, Health, Ingested, ReceivedBlock, Recorder, Retention, Scope, StoreError,
};
use tokio::sync::Semaphore;

/// What goes wrong with the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no room on the disk.
    Full,
    /// The disk gives errors.
    Broken,
    /// Taking blocks in lasts until the test lets it go on.
    Held,
    /// So does looking for calls.
    Searching,
}

/// A memory store with a trouble.
pub(crate) struct TroubledStore {
    store: Memory,
    trouble: Mutex<Option<Trouble>>,
    /// Closed when held blocks may go on.
    pub(crate) gate: Semaphore,
    /// Has a permit for every request that waits at the gate, or did.
    pub(crate) at_gate: Semaphore,
    /// Has a permit for every search that was given up.
    pub(crate) given_up: Arc<Semaphore>,
}

/// Notes that a search was given up, unless it is disarmed.
struct GivenUp(Option<Arc<Semaphore>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(given_up) = self.0.take() {
            given_up.add_permits(1);
        }
    }
}

impl TroubledStore {
    pub(crate) fn new(trouble: Trouble) -> Self {
        Self {
            store: Memory::new(u64::MAX),
            trouble: Mutex::new(Some(trouble)),
            gate: Semaphore::new(0),
            at_gate: Semaphore::new(0),
            given_up: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn mend(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap()
    }

    fn fail(&self) -> Result<(), StoreError> {
        match self.trouble() {
            Some(Trouble::Full) => Err(StoreError::Full),
            Some(Trouble::Broken) => Err(StoreError::Io {
                action: "append to /secret/path/1.seg".to_owned(),
                source: std::io::Error::other("bad sector"),
            }),
            Some(Trouble::Held | Trouble::Searching) | None => Ok(()),
        }
    }
}

#[async_trait]
impl CallStore for TroubledStore {
    async fn ingest(&self, blocks: Vec<ReceivedBlock>) -> Result<Ingested, StoreError> {
        self.fail()?;
        if self.trouble() == Some(Trouble::Held) {
            self.at_gate.add_permits(1);
            // An error means that the gate was opened for good.
            let _ = self.gate.acquire().await;
        }
        self.store.ingest(blocks).await
    }

    async fn get(&self, scope: &Scope, id: CallId) -> Result<Option<FoundCall>, StoreError> {
        self.store.get(scope, id).await
    }

    async fn list(&self, scope: &Scope, query: &Query) -> Result<Page, StoreError> {
        if self.trouble() == Some(Trouble::Broken) {
            self.fail()?;
        }
        if self.trouble() == Some(Trouble::Searching) {
            let mut given_up = GivenUp(Some(Arc::clone(&self.given_up)));
            self.at_gate.add_permits(1);
            let _ = self.gate.acquire().await;
            given_up.0 = None;
        }
        self.store.list(scope, query).await
    }

    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError> {
        self.store.summarize(scope, query).await
    }

    async fn recorders(&self, scope: &Scope) -> Result<Vec<Recorder>, StoreError> {
        self.store.recorders(scope).await
    }

    async fn arrived(&self, scope: &Scope, query: &ArrivedQuery) -> Result<Arrived, StoreError> {
        self.store.arrived(scope, query).await
    }

    async fn observe_addresses(&self, present: Vec<Fact>, at_ns: i64) -> Result<(), StoreError> {
        self.store.observe_addresses(present, at_ns).await
    }

    async fn create_snapshot(&self, snapshot: NewSnapshot) -> Result<Snapshot, StoreError> {
        self.fail()?;
        self.store.create_snapshot(snapshot).await
    }

    async fn seal_snapshot(
        &self,
        id: &SnapshotId,
        unsettled: Unsettled,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.fail()?;
        self.store.seal_snapshot(id, unsettled).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        self.fail()?;
        self.store.delete_snapshot(id).await
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        self.store.snapshots().await
    }

    async fn members(&self, scope: &Scope, snapshot: &Snapshot) -> Result<Vec<Member>, StoreError> {
        self.store.members(scope, snapshot).await
    }

    async fn retain(&self, limits: &Retention) -> Result<Freed, StoreError> {
        self.store.retain(limits).await
    }

    async fn health(&self) -> Health {
        Health {
            writable: !matches!(self.trouble(), Some(Trouble::Full | Trouble::Broken)),
            ..self.store.health().await
        }
    }
}
