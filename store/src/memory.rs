//! The memory store: the same answers as the embedded one, for as long as the process lives.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::answer::{self, Holds, aside, attended, locked};
use crate::block::{Block, Columns, Origin, Source};
use crate::call::{Call, CallId};
use crate::checked::{CheckedBlock, check};
use crate::clock::now_ns;
use crate::index::{Index, Kept};
use crate::names::Names;
use crate::names::facts::Fact;
use crate::query::{
    self, Arrived, ArrivedQuery, BlockEntry, BlockSource, FoundCall, Page, Query, Summary,
    SummaryQuery,
};
use crate::running;
use crate::snapshot::shelf::{Change, Shelf};
use crate::snapshot::{Member, NewSnapshot, Snapshot, SnapshotId, Unsettled};
use crate::store::{
    CallStore, Freed, Health, Ingested, ReceivedBlock, Recorder, Retention, Scope, StoreError,
};

/// A store in memory. It survives nothing.
#[derive(Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit_bytes: u64,
    index: Mutex<Index<Block>>,
    shelf: Mutex<Shelf>,
    /// Number for the next block. Held while blocks are taken in, which happens one after the other.
    next_block: Mutex<u64>,
}

impl Memory {
    /// A store that forgets its oldest blocks beyond `limit_bytes` of blocks as they are sealed.
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit_bytes,
                index: Mutex::default(),
                shelf: Mutex::default(),
                next_block: Mutex::new(1),
            }),
        }
    }
}

impl Shared {
    fn ingest(&self, blocks: Vec<CheckedBlock>) -> Ingested {
        let mut next_block = locked(&self.next_block);
        let mut ingested = Ingested::default();
        for (place, checked) in blocks.into_iter().enumerate() {
            let (incarnation, sequence) = (checked.meta.origin.incarnation, checked.meta.sequence);
            if self.index().holds(incarnation, sequence) {
                ingested.duplicates += 1;
                continue;
            }
            ingested.stored += 1;
            ingested.places.push(place);
            ingested.calls += u64::from(checked.block.len());
            let number = *next_block;
            *next_block += 1;
            self.insert(number, checked);
        }
        let limits = Retention {
            before_ns: None,
            max_bytes: Some(self.limit_bytes),
        };
        self.retain(&limits);
        ingested
    }

    fn insert(&self, number: u64, checked: CheckedBlock) {
        let CheckedBlock { meta, block } = checked;
        let source = Source {
            block: number,
            sequence: meta.sequence,
            calls: block.len(),
        };
        {
            let mut index = self.index();
            let origin = index.share(meta.origin);
            index.insert(Kept {
                number,
                origin,
                summary: block.summary().clone().into(),
                sources: vec![source],
                drops: meta.drops,
                sealed_ns: meta.sealed_ns,
                bytes: block.bytes().len() as u64,
                place: block.clone(),
            });
        }
        running::take_in(self, number, &block);
    }

    fn retain(&self, limits: &Retention) -> Freed {
        let mut freed = Freed::default();
        let now_ns = now_ns();
        let max_bytes = limits.max_bytes.unwrap_or(u64::MAX);
        self.shelf().drop_expired(now_ns);
        let pins = self.shelf().pins(now_ns);
        let given_up = pins.give_way(&self.index(), max_bytes / 2);
        for id in given_up {
            // It is there, and nothing can be said against it.
            let _ = self.change(Change::Unpin(id));
        }
        let pins = self.shelf().pins(now_ns);
        let mut index = self.index();
        let loose = index.blocks().filter(|block| !pins.hold(block));
        let loose: Vec<(u64, i64)> = loose.map(|it| (it.number, it.newest_ns())).collect();
        for (number, newest_ns) in loose {
            let old = limits.before_ns.is_some_and(|before| newest_ns < before);
            if old || index.totals().bytes > max_bytes {
                forget(&mut index, number, &mut freed);
            }
        }
        if freed.blocks > 0 {
            index.relearn_names();
        }
        freed
    }
}

impl Shared {
    /// Changes a snapshot, while no block comes in.
    fn change(&self, change: Change) -> Result<Option<Snapshot>, StoreError> {
        let index = self.index();
        let mut shelf = self.shelf();
        let next_block = index.next_block();
        let changed = shelf.prepare(change, &index, next_block, now_ns())?;
        if let Some(shelved) = &changed {
            shelf.learn(shelved.clone(), None);
        }
        Ok(changed.map(|shelved| shelved.snapshot))
    }
}

fn forget(index: &mut Index<Block>, number: u64, freed: &mut Freed) {
    if let Some(block) = index.forget(number) {
        freed.blocks += 1;
        freed.calls += u64::from(block.summary.calls);
        freed.bytes += block.bytes;
    }
}

impl Holds for Shared {
    type Place = Block;

    fn index(&self) -> MutexGuard<'_, Index<Block>> {
        locked(&self.index)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        locked(&self.shelf)
    }
}

impl BlockSource for Shared {
    fn entries(&self) -> Arc<[BlockEntry]> {
        self.index().entries()
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        let Some(block) = self.block(number)? else {
            return Ok(None);
        };
        match block.columns() {
            Ok(columns) => Ok(Some(Arc::new(columns))),
            Err(error) => Err(StoreError::Damaged {
                block: number,
                reason: error.to_string(),
            }),
        }
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let index = self.index();
        Ok(index.holder(number).map(|kept| kept.place.clone()))
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        self.index().open_calls()
    }

    fn names(&self) -> Arc<Names> {
        self.index().names()
    }
}

impl Memory {
    async fn change(&self, change: Change) -> Result<Option<Snapshot>, StoreError> {
        aside(&self.shared, |shared| shared.change(change)).await
    }
}

#[async_trait]
impl CallStore for Memory {
    async fn ingest(&self, blocks: Vec<ReceivedBlock>) -> Result<Ingested, StoreError> {
        aside(&self.shared, |shared| Ok(shared.ingest(check(blocks)?))).await
    }

    async fn get(&self, scope: &Scope, id: CallId) -> Result<Option<FoundCall>, StoreError> {
        answer::get(&self.shared, scope, id).await
    }

    async fn list(&self, scope: &Scope, query: &Query) -> Result<Page, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            query::list(shared, &scope, &query)
        })
        .await
    }

    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            query::summarize(shared, &scope, &query)
        })
        .await
    }

    async fn arrived(&self, scope: &Scope, query: &ArrivedQuery) -> Result<Arrived, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            answer::arrived(shared, &scope, &query)
        })
        .await
    }

    async fn create_snapshot(&self, snapshot: NewSnapshot) -> Result<Snapshot, StoreError> {
        let made = self.change(Change::Create(snapshot)).await?;
        Ok(made.expect("a change that creates a snapshot gives it"))
    }

    async fn seal_snapshot(
        &self,
        id: &SnapshotId,
        unsettled: Unsettled,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.change(Change::Seal(id.clone(), unsettled)).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        let gone = self.change(Change::Delete(id.clone())).await?;
        Ok(gone.is_some())
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        Ok(self.shared.shelf().live(now_ns()))
    }

    async fn members(&self, scope: &Scope, snapshot: &Snapshot) -> Result<Vec<Member>, StoreError> {
        answer::members_of(&self.shared, scope, snapshot).await
    }

    async fn recorders(&self, scope: &Scope) -> Result<Vec<Recorder>, StoreError> {
        answer::recorders(&self.shared, scope).await
    }

    async fn observe_addresses(&self, present: Vec<Fact>, at_ns: i64) -> Result<(), StoreError> {
        aside(&self.shared, move |shared| {
            shared.index().observe(&present, at_ns);
            Ok(())
        })
        .await
    }

    async fn retain(&self, limits: &Retention) -> Result<Freed, StoreError> {
        let limits = *limits;
        aside(&self.shared, move |shared| Ok(shared.retain(&limits))).await
    }

    async fn health(&self) -> Health {
        let health = aside(&self.shared, |shared| Ok(answer::health(&shared.index()))).await;
        health.unwrap_or_default()
    }
}
