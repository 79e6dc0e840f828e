//! Answering what a [`CallStore`](crate::store::CallStore) is asked, over an index and blocks.
//!
//! Shared by the embedded and the memory store, which differ in where the blocks are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::{Block, Columns, Origin};
use crate::call::{Call, CallId};
use crate::index::Index;
use crate::names::Names;
use crate::query::{
    Arrived, ArrivedQuery, BlockEntry, BlockSource, FoundCall, SummaryQuery, found, running,
    summarize,
};
use crate::running;
use crate::snapshot::shelf::{Shelf, members};
use crate::snapshot::{Member, Snapshot};
use crate::store::{Health, Recorder, Scope, StoreError};

mod attended;

pub(crate) use attended::{aside, attended};

/// How often a question is tried while segments are rewritten.
const TRIES: u32 = 4;

/// A store with an index in memory.
pub(crate) trait Holds: BlockSource {
    /// Where a block is.
    type Place;

    /// The index. It is not held while a block is read.
    fn index(&self) -> MutexGuard<'_, Index<Self::Place>>;

    /// The snapshots. Where both are held, the index was taken first.
    fn shelf(&self) -> MutexGuard<'_, Shelf>;
}

/// Answers a question about many blocks, once more if blocks took the place of others meanwhile.
pub(crate) fn steadily<S: Holds, T>(
    store: &S,
    question: impl Fn(&S) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tries = 0;
    loop {
        let before = store.index().replacements();
        let answer = question(store)?;
        tries += 1;
        if store.index().replacements() == before || tries == TRIES {
            return Ok(answer);
        }
    }
}

/// One call, whole, if the scope sees it.
pub(crate) async fn get<S: Holds + Send + Sync + 'static>(
    store: &Arc<S>,
    scope: &Scope,
    id: CallId,
) -> Result<Option<FoundCall>, StoreError> {
    let scope = scope.clone();
    aside(store, move |store| {
        steadily(store, |store| get_once(store, &scope, id))
    })
    .await
}

fn get_once<S: Holds>(
    store: &S,
    scope: &Scope,
    id: CallId,
) -> Result<Option<FoundCall>, StoreError> {
    let Some((number, origin)) = holder(store, id.block) else {
        return Ok(None);
    };
    if !scope.sees(&origin.namespace) {
        return Ok(None);
    }
    let names = store.names().seen_by(scope);
    let running = store.open_calls();
    if let Some((id, origin, call)) = running.into_iter().find(|(open, ..)| *open == id) {
        return Ok(Some(found(
            scope,
            &names,
            id,
            (&origin, &Arc::default()),
            call,
        )));
    }
    if let Some((call, key)) = finished(store, number, id)? {
        return Ok(Some(found(scope, &names, id, (&origin, &key), call)));
    }
    // It ran when its id was told, and has ended since.
    let Some(id) = running::final_record(store, id) else {
        return Ok(None);
    };
    let Some((number, origin)) = holder(store, id.block) else {
        return Ok(None);
    };
    let ended = finished(store, number, id)?;
    Ok(ended.map(|(call, key)| found(scope, &names, id, (&origin, &key), call)))
}

/// The block in which the calls of `number` are, and who recorded it.
fn holder<S: Holds>(store: &S, number: u64) -> Option<(u64, Arc<Origin>)> {
    let index = store.index();
    let kept = index.holder(number)?;
    Some((kept.number, kept.origin.clone()))
}

/// A call that has ended, and the key of its block.
fn finished<S: Holds>(
    store: &S,
    number: u64,
    id: CallId,
) -> Result<Option<(Call, Arc<str>)>, StoreError> {
    let Some(block) = store.block(number)? else {
        return Ok(None);
    };
    let Some(position) = block.position_of(number, id) else {
        return Ok(None);
    };
    let key = &block.meta().redaction_key;
    match block.call(position) {
        Ok(call) => Ok(call.map(|call| (call, key.as_str().into()))),
        Err(error) => Err(StoreError::Damaged {
            block: number,
            reason: error.to_string(),
        }),
    }
}

/// What matches among the blocks that came since one, and what matches and still runs.
pub(crate) fn arrived<S: Holds>(
    store: &S,
    scope: &Scope,
    query: &ArrivedQuery,
) -> Result<Arrived, StoreError> {
    // Before the blocks, so that a call which ends in between is not in neither.
    let running = running(store, scope, query)?;
    let (entries, next_block) = {
        let index = store.index();
        let next_block = index.next_block();
        (
            index.entries_among(query.from_block..next_block),
            next_block,
        )
    };
    let mut calls = 0;
    if !entries.is_empty() {
        let young = Among {
            store,
            entries: entries.into(),
        };
        let counted = SummaryQuery {
            filter: query.filter.clone(),
            since_ns: Some(query.since_ns),
            until_ns: None,
            group_by: Vec::new(),
            probes: false,
            view: query.view.clone(),
            limit: usize::MAX,
            time_budget: query.time_budget,
        };
        let groups = summarize(&young, scope, &counted)?.groups;
        calls = groups.iter().map(|group| group.calls).sum();
    }
    Ok(Arrived {
        calls,
        running,
        next_block,
    })
}

/// Some of a store's blocks, and none of what runs.
struct Among<'s, S> {
    store: &'s S,
    entries: Arc<[BlockEntry]>,
}

impl<S: Holds> BlockSource for Among<'_, S> {
    fn entries(&self) -> Arc<[BlockEntry]> {
        self.entries.clone()
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        self.store.columns(number)
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        self.store.block(number)
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        Vec::new()
    }

    fn names(&self) -> Arc<Names> {
        self.store.names()
    }
}

/// Who recorded something in a snapshot.
pub(crate) async fn members_of<S: Holds + Send + Sync + 'static>(
    store: &Arc<S>,
    scope: &Scope,
    snapshot: &Snapshot,
) -> Result<Vec<Member>, StoreError> {
    let (scope, snapshot) = (scope.clone(), snapshot.clone());
    aside(store, move |store| {
        Ok(members(&snapshot, &store.index(), &scope))
    })
    .await
}

/// Who has recorded anything.
pub(crate) async fn recorders<S: Holds + Send + Sync + 'static>(
    store: &Arc<S>,
    scope: &Scope,
) -> Result<Vec<Recorder>, StoreError> {
    let scope = scope.clone();
    aside(store, move |store| Ok(store.index().recorders(&scope))).await
}

/// What an index knows of how its store is doing.
pub(crate) fn health<L>(index: &Index<L>) -> Health {
    let totals = index.totals();
    let times = index.time_range();
    Health {
        writable: true,
        calls: totals.calls,
        blocks: totals.blocks,
        bytes: totals.bytes,
        oldest_ns: times.map(|(oldest_ns, _)| oldest_ns),
        newest_ns: times.map(|(_, newest_ns)| newest_ns),
        quarantined: Vec::new(),
    }
}

/// Locks something that stays whole whatever panics.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
