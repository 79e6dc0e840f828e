//! The memory store: the same answers as the embedded one, for as long as the process lives.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::answer::{self, Holds, aside, locked};
use crate::block::{Block, Columns, Origin, Source};
use crate::call::{Call, CallId};
use crate::checked::{CheckedBlock, check};
use crate::index::{Index, Kept};
use crate::names::Names;
use crate::query::{self, BlockEntry, BlockSource, FoundCall, Page, Query, Summary, SummaryQuery};
use crate::running;
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
        let mut index = self.index();
        if let Some(before_ns) = limits.before_ns {
            let old = index.blocks().filter(|block| block.newest_ns() < before_ns);
            let old: Vec<u64> = old.map(|block| block.number).collect();
            for number in old {
                forget(&mut index, number, &mut freed);
            }
        }
        let max_bytes = limits.max_bytes.unwrap_or(u64::MAX);
        while index.totals().bytes > max_bytes {
            let oldest = index.blocks().next().map(|block| block.number);
            let Some(oldest) = oldest else { break };
            forget(&mut index, oldest, &mut freed);
        }
        if freed.blocks > 0 {
            index.relearn_names();
        }
        freed
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

#[async_trait]
impl CallStore for Memory {
    async fn ingest(&self, blocks: Vec<ReceivedBlock>) -> Result<Ingested, StoreError> {
        aside(&self.shared, |shared| Ok(shared.ingest(check(blocks)?))).await
    }

    async fn get(&self, scope: &Scope, id: CallId) -> Result<Option<FoundCall>, StoreError> {
        let scope = scope.clone();
        aside(&self.shared, move |shared| answer::get(shared, &scope, id)).await
    }

    async fn list(&self, scope: &Scope, query: &Query) -> Result<Page, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        aside(&self.shared, move |shared| {
            query::list(shared, &scope, &query)
        })
        .await
    }

    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        aside(&self.shared, move |shared| {
            query::summarize(shared, &scope, &query)
        })
        .await
    }

    async fn recorders(&self, scope: &Scope) -> Result<Vec<Recorder>, StoreError> {
        let scope = scope.clone();
        aside(&self.shared, move |shared| {
            Ok(shared.index().recorders(&scope))
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
