//! Answering what a [`CallStore`](crate::store::CallStore) is asked, over an index and blocks.
//!
//! Shared by the embedded and the memory store, which differ in where the blocks are.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

use crate::block::Origin;
use crate::call::{Call, CallId};
use crate::index::Index;
use crate::query::{BlockSource, FoundCall, found};
use crate::running;
use crate::store::{Health, Scope, StoreError};

/// How often a question is tried while segments are rewritten.
const TRIES: u32 = 4;

/// A store with an index in memory.
pub(crate) trait Holds: BlockSource {
    /// Where a block is.
    type Place;

    /// The index. It is not held while a block is read.
    fn index(&self) -> MutexGuard<'_, Index<Self::Place>>;
}

/// Answers a question on a thread that may wait for a disk, and be busy.
pub(crate) async fn aside<S, T>(
    store: &Arc<S>,
    question: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError>
where
    S: Send + Sync + 'static,
    T: Send + 'static,
{
    let store = store.clone();
    let answered = spawn_blocking(move || question(&store)).await;
    answered.unwrap_or_else(|error| {
        Err(StoreError::Io {
            action: "answer a question".to_owned(),
            source: io::Error::other(error),
        })
    })
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
pub(crate) fn get<S: Holds>(
    store: &S,
    scope: &Scope,
    id: CallId,
) -> Result<Option<FoundCall>, StoreError> {
    steadily(store, |store| get_once(store, scope, id))
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
    let running = store.open_calls();
    if let Some((id, origin, call)) = running.into_iter().find(|(open, ..)| *open == id) {
        return Ok(Some(found(&store.names(), id, &origin, call)));
    }
    if let Some(call) = finished(store, number, id)? {
        return Ok(Some(found(&store.names(), id, &origin, call)));
    }
    // It ran when its id was told, and has ended since.
    let Some(id) = running::final_record(store, id) else {
        return Ok(None);
    };
    let Some((number, origin)) = holder(store, id.block) else {
        return Ok(None);
    };
    let call = finished(store, number, id)?;
    Ok(call.map(|call| found(&store.names(), id, &origin, call)))
}

/// The block in which the calls of `number` are, and who recorded it.
fn holder<S: Holds>(store: &S, number: u64) -> Option<(u64, Arc<Origin>)> {
    let index = store.index();
    let kept = index.holder(number)?;
    Some((kept.number, kept.origin.clone()))
}

fn finished<S: Holds>(store: &S, number: u64, id: CallId) -> Result<Option<Call>, StoreError> {
    let Some(block) = store.block(number)? else {
        return Ok(None);
    };
    let Some(position) = block.position_of(number, id) else {
        return Ok(None);
    };
    block.call(position).map_err(|error| StoreError::Damaged {
        block: number,
        reason: error.to_string(),
    })
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
