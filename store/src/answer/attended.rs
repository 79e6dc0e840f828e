//! Questions on threads that may wait for a disk, for as long as somebody waits for the answer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use tokio::task::spawn_blocking;

use super::Holds;
use crate::block::{Block, Columns, Origin};
use crate::call::{Call, CallId};
use crate::index::Index;
use crate::names::Names;
use crate::query::{BlockEntry, BlockSource};
use crate::snapshot::shelf::Shelf;
use crate::store::StoreError;

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

/// Answers a question that may take long, as [`aside`] does, and ends it early once nobody waits for the
/// answer any more.
pub(crate) async fn attended<S, T>(
    store: &Arc<S>,
    question: impl FnOnce(&Attended<'_, S>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError>
where
    S: Send + Sync + 'static,
    T: Send + 'static,
{
    let gone = Gone::default();
    let seen = Arc::clone(&gone.0);
    aside(store, move |store| {
        question(&Attended { store, gone: &seen })
    })
    .await
}

/// Says so when it is dropped, as all of a question is that nobody waits for.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A store as one asker sees it: once he is gone it gives no more blocks.
pub(crate) struct Attended<'s, S> {
    store: &'s S,
    gone: &'s AtomicBool,
}

impl<S> Attended<'_, S> {
    fn unless_gone(&self) -> Result<&S, StoreError> {
        match self.gone.load(Ordering::Relaxed) {
            true => Err(StoreError::GivenUp),
            false => Ok(self.store),
        }
    }
}

impl<S: BlockSource> BlockSource for Attended<'_, S> {
    fn entries(&self) -> Arc<[BlockEntry]> {
        self.store.entries()
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        self.unless_gone()?.columns(number)
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        self.unless_gone()?.block(number)
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        self.store.open_calls()
    }

    fn names(&self) -> Arc<Names> {
        self.store.names()
    }
}

impl<S: Holds> Holds for Attended<'_, S> {
    type Place = S::Place;

    fn index(&self) -> MutexGuard<'_, Index<Self::Place>> {
        self.store.index()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.store.shelf()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::mpsc;

    use super::*;

    /// Longer than anything here takes, even on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Tells of each block that is read.
    struct Told(mpsc::UnboundedSender<u64>);

    impl BlockSource for Told {
        fn entries(&self) -> Arc<[BlockEntry]> {
            Arc::default()
        }

        fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
            let _ = self.0.send(number);
            Ok(None)
        }

        fn block(&self, _: u64) -> Result<Option<Block>, StoreError> {
            Ok(None)
        }

        fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
            Vec::new()
        }

        fn names(&self) -> Arc<Names> {
            Arc::default()
        }
    }

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_any_more_reads_no_more_blocks() {
        let (sender, mut read) = mpsc::unbounded_channel();
        let (ended, mut end) = mpsc::unbounded_channel();
        let store = Arc::new(Told(sender));
        let question = move |store: &Attended<'_, Told>| {
            let began = Instant::now();
            let mut answer = Ok(());
            // Without an end of its own.
            while answer.is_ok() && began.elapsed() < PATIENCE {
                answer = store.columns(1).map(|_| ());
            }
            let _ = ended.send(matches!(answer, Err(StoreError::GivenUp)));
            answer
        };
        let asking = tokio::spawn(async move { attended(&store, question).await });
        read.recv().await.unwrap();
        asking.abort();
        assert_eq!(end.recv().await, Some(true));
    }
}
