//! A store that a test can fill up, break and hold.

use std::sync::Mutex;

use async_trait::async_trait;
use remora_store::call::CallId;
use remora_store::memory::Memory;
use remora_store::query::{FoundCall, Page, Query, Summary, SummaryQuery};
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
}

/// A memory store with a trouble.
pub(crate) struct TroubledStore {
    store: Memory,
    trouble: Mutex<Option<Trouble>>,
    /// Closed when held blocks may go on.
    pub(crate) gate: Semaphore,
    /// Has a permit for every request that waits at the gate, or did.
    pub(crate) at_gate: Semaphore,
}

impl TroubledStore {
    pub(crate) fn new(trouble: Trouble) -> Self {
        Self {
            store: Memory::new(u64::MAX),
            trouble: Mutex::new(Some(trouble)),
            gate: Semaphore::new(0),
            at_gate: Semaphore::new(0),
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
            Some(Trouble::Held) | None => Ok(()),
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
        self.store.list(scope, query).await
    }

    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError> {
        self.store.summarize(scope, query).await
    }

    async fn recorders(&self, scope: &Scope) -> Result<Vec<Recorder>, StoreError> {
        self.store.recorders(scope).await
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
