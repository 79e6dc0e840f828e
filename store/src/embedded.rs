//! The embedded store: blocks in append-only segments, and a catalogue over them.
//!
//! A directory holds `segments/`, `catalogue/`, `manifest` and `lock`. The segments are the truth;
//! catalogue and manifest make opening fast, and damage visible. One writer thread changes what is on
//! disk; questions read segments directly.

mod cache;
mod check;
mod entry;
mod grow;
mod manifest;
mod merge;
mod recover;
mod replace;
mod retain;
mod shared;
mod shelve;
mod writer;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::answer::{self, Holds, aside, attended, steadily};
use crate::call::CallId;
use crate::checked::check;
use crate::clock::now_ns;
use crate::lock::{DirectoryLock, LockError};
use crate::names::facts::Fact;
use crate::names::journal::Journal;
use crate::query::{self, Arrived, ArrivedQuery, FoundCall, Page, Query, Summary, SummaryQuery};
use crate::segment::Marker;
use crate::snapshot::shelf::Change;
use crate::snapshot::{Member, NewSnapshot, Snapshot, SnapshotId, Unsettled};
use crate::store::{
    CallStore, Freed, Health, Ingested, ReceivedBlock, Recorder, Retention, Scope, StoreError,
};
use check::Checker;
use merge::Merger;
use shared::Shared;
use writer::{IngestJob, Job, Reply, Writer};

/// Requests that may wait for the writer thread, each of some megabytes; more wait with their senders.
const WAITING_JOBS: usize = 16;

/// How a store is laid out.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that would grow beyond this is sealed and the next one begun. Bytes, default
    /// 64 MiB. What is forgotten is forgotten by whole segments; a retention by bytes makes new ones
    /// smaller where an eighth of it is less.
    pub segment_bytes: u64,
    /// Memory for what was read and unpacked lately. Bytes, default 64 MiB.
    pub cache_bytes: usize,
    /// Whether sealed segments are rewritten in the background with few large blocks in the place of
    /// many small ones. Default yes.
    pub merge: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: /* 64 MiB */ 64 * 1_024 * 1_024,
            cache_bytes: /* 64 MiB */ 64 * 1_024 * 1_024,
            merge: true,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds the directory.
    #[error("another process uses the data directory {}: stop it, or take another one", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk's error.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, with the file's name.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The embedded store.
///
/// Dropping it finishes what it was given, writes down where it ended, and releases the directory;
/// that takes as long as the disk does.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    /// `None` only while dropped.
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Embedded {
    /// Opens the store in a directory, which is made where there is none. Reads what is needed to
    /// answer; blocks that turn out damaged are said in [`Health::quarantined`].
    ///
    /// Takes as long as the disk does, and waits a moment for a process that is just leaving the
    /// directory: not for the thread of an async runtime.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            action: format!("open the data directory {}", dir.display()),
            source,
        };
        fs::create_dir_all(dir).map_err(io)?;
        let lock = DirectoryLock::take(dir).map_err(|error| match error {
            LockError::Held => OpenError::Locked {
                dir: dir.to_owned(),
            },
            LockError::Io(source) => io(source),
        })?;
        let mut recovered = recover::recover(dir).map_err(io)?;
        let (journal, facts, damage) = Journal::open(dir).map_err(io)?;
        recovered.index.remember(facts);
        recovered.notes.extend(damage);
        let shared = Arc::new(Shared::new(
            dir,
            recovered.index,
            recovered.shelf,
            journal,
            recovered.notes,
            options.cache_bytes,
        ));
        shared.list_running();
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
        shared.report_damage_to(jobs.downgrade());
        let (merger, segments) = std::sync::mpsc::channel();
        let writer = Writer {
            shared: shared.clone(),
            dir: dir.to_owned(),
            segment_bytes: options.segment_bytes,
            manifest: recovered.manifest,
            segment: recovered.segment,
            catalogue: recovered.catalogue,
            failure: None,
            merger: options.merge.then_some(merger),
            offered: HashSet::new(),
            _lock: lock,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let merger = Merger {
            shared: shared.clone(),
            writer: jobs.downgrade(),
            stop: stop.clone(),
        };
        let checker = Checker {
            shared: shared.clone(),
            writer: jobs.downgrade(),
            stop: stop.clone(),
        };
        let believed = recovered.believed;
        let threads = vec![
            start("store-writer", move || writer.run(waiting)).map_err(io)?,
            start("store-merger", move || merger.run(segments)).map_err(io)?,
            start("store-checker", move || checker.run(believed)).map_err(io)?,
        ];
        Ok(Self {
            shared,
            jobs: Some(jobs),
            threads,
            stop,
        })
    }

    /// Has the writer thread do a job.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(writer_gone)?;
        jobs.send(job(reply)).await.map_err(|_| writer_gone())?;
        answer.await.map_err(|_| writer_gone())?
    }
}

fn writer_gone() -> StoreError {
    StoreError::Io {
        action: "write blocks".to_owned(),
        source: io::Error::other("the store's writer has stopped; restart the hub"),
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

#[async_trait]
impl CallStore for Embedded {
    async fn ingest(&self, blocks: Vec<ReceivedBlock>) -> Result<Ingested, StoreError> {
        let blocks = aside(&self.shared, |_| check(blocks)).await?;
        self.ask(|reply| Job::Ingest(IngestJob { blocks, reply }))
            .await
    }

    async fn get(&self, scope: &Scope, id: CallId) -> Result<Option<FoundCall>, StoreError> {
        answer::get(&self.shared, scope, id).await
    }

    async fn list(&self, scope: &Scope, query: &Query) -> Result<Page, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            steadily(shared, |shared| query::list(shared, &scope, &query))
        })
        .await
    }

    async fn summarize(&self, scope: &Scope, query: &SummaryQuery) -> Result<Summary, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            steadily(shared, |shared| query::summarize(shared, &scope, &query))
        })
        .await
    }

    async fn arrived(&self, scope: &Scope, query: &ArrivedQuery) -> Result<Arrived, StoreError> {
        let (scope, query) = (scope.clone(), query.clone());
        attended(&self.shared, move |shared| {
            steadily(shared, |shared| answer::arrived(shared, &scope, &query))
        })
        .await
    }

    async fn create_snapshot(&self, snapshot: NewSnapshot) -> Result<Snapshot, StoreError> {
        let made = self
            .ask(|reply| Job::Snapshot(Change::Create(snapshot), reply))
            .await?;
        Ok(made.expect("a change that creates a snapshot gives it"))
    }

    async fn seal_snapshot(
        &self,
        id: &SnapshotId,
        unsettled: Unsettled,
    ) -> Result<Option<Snapshot>, StoreError> {
        let id = id.clone();
        self.ask(|reply| Job::Snapshot(Change::Seal(id, unsettled), reply))
            .await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        let id = id.clone();
        let gone = self
            .ask(|reply| Job::Snapshot(Change::Delete(id), reply))
            .await?;
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
        aside(&self.shared, move |shared| shared.observe(&present, at_ns)).await
    }

    async fn retain(&self, limits: &Retention) -> Result<Freed, StoreError> {
        let limits = *limits;
        self.ask(|reply| Job::Retain(limits, reply)).await
    }

    async fn health(&self) -> Health {
        let health = aside(&self.shared, |shared| Ok(shared.health())).await;
        health.unwrap_or_default()
    }
}

fn random_marker() -> Marker {
    rand::random()
}

#[cfg(test)]
mod tests;
