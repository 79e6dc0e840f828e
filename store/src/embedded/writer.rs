//! The writer thread: the only one that changes what is on disk.
//!
//! Blocks of all requests that wait are appended together and share one `fdatasync`: append, sync,
//! catalogue, index, answer. After a write that failed nothing more is written, since nobody knows
//! what the disk holds; questions are answered as before.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::entry::{Described, block_record};
use super::manifest::Manifest;
use super::merge::Rewritten;
use super::shared::Shared;
use super::shelve::ChangeError;
use crate::answer::Holds;
use crate::catalogue::{Catalogue, CatalogueError, Entry};
use crate::checked::CheckedBlock;
use crate::clock::now_ns;
use crate::lock::DirectoryLock;
use crate::running;
use crate::segment::{Record, SegmentName, SegmentWriter};
use crate::snapshot::Snapshot;
use crate::snapshot::shelf::Change;
use crate::store::{Freed, Ingested, Retention, StoreError};

/// Requests are gathered into one commit up to this many bytes.
const GROUP_BYTES: usize = /* 16 MiB */ 16 * 1_024 * 1_024;

/// Something to do on disk.
#[derive(Debug)]
pub(super) enum Job {
    /// Keep blocks.
    Ingest(IngestJob),
    /// Forget the oldest blocks until limits hold.
    Retain(Retention, Reply<Freed>),
    /// Change a snapshot.
    Snapshot(Change, Reply<Option<Snapshot>>),
    /// A block was found damaged, and why.
    Damaged(u64, String),
    /// A segment was written anew.
    Replace(Rewritten),
    /// Have the disk fail, or work again.
    #[cfg(test)]
    Fault(Option<crate::segment::Fault>),
}

/// Blocks that wait to be kept.
#[derive(Debug)]
pub(super) struct IngestJob {
    pub(super) blocks: Vec<CheckedBlock>,
    pub(super) reply: Reply<Ingested>,
}

/// Where an answer goes. Nobody may wait for it any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Why nothing was written.
#[derive(Debug, Clone)]
pub(super) enum WriteError {
    /// The disk is full, and there is nothing left to forget.
    Full,
    /// The disk failed, now or before.
    Failed(Arc<Failure>),
}

/// A disk operation that failed.
#[derive(Debug)]
pub(super) struct Failure {
    action: String,
    source: io::Error,
}

impl WriteError {
    pub(super) fn to_store_error(&self) -> StoreError {
        match self {
            Self::Full => StoreError::Full,
            Self::Failed(failure) => StoreError::Io {
                action: failure.action.clone(),
                source: io::Error::new(failure.source.kind(), failure.source.to_string()),
            },
        }
    }
}

/// State of the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: PathBuf,
    /// A segment that would grow beyond this is sealed.
    pub(super) segment_bytes: u64,
    pub(super) manifest: Manifest,
    /// The youngest segment.
    pub(super) segment: SegmentWriter,
    /// `None` after it failed: it is built anew when the store is opened again.
    pub(super) catalogue: Option<Catalogue>,
    /// The write that failed, after which there is none.
    pub(super) failure: Option<Arc<Failure>>,
    /// Where segments are named that may be rewritten, unless none is to be.
    pub(super) merger: Option<std::sync::mpsc::Sender<SegmentName>>,
    /// Those that were named.
    pub(super) offered: HashSet<SegmentName>,
    pub(super) _lock: DirectoryLock,
}

/// What one commit adds.
#[derive(Default)]
struct Commit {
    records: Vec<Record>,
    blocks: Vec<(Described, CheckedBlock)>,
}

impl Writer {
    /// Does jobs until there is nobody left to send one, then closes the store.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        self.offer_to_merge();
        while let Some(job) = jobs.blocking_recv() {
            let mut group = Vec::new();
            let mut group_bytes = 0;
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Ingest(ingest) => {
                        let blocks = ingest.blocks.iter();
                        group_bytes += blocks.map(|it| it.block.bytes().len()).sum::<usize>();
                        group.push(ingest);
                        if group_bytes < GROUP_BYTES {
                            next = jobs.try_recv().ok();
                        }
                    }
                    other => {
                        self.commit(std::mem::take(&mut group));
                        self.maintain(other);
                    }
                }
            }
            self.commit(group);
        }
        self.close();
    }

    fn maintain(&mut self, job: Job) {
        match job {
            Job::Ingest(ingest) => self.commit(vec![ingest]),
            Job::Retain(limits, reply) => {
                let freed = self.retain(&limits);
                let _ = reply.send(freed.map_err(|error| error.to_store_error()));
            }
            Job::Snapshot(change, reply) => {
                let changed = self.change_snapshot(change);
                let _ = reply.send(changed.map_err(ChangeError::into_store_error));
            }
            Job::Damaged(number, why) => self.set_aside(number, &why),
            Job::Replace(rewritten) => self.replace(rewritten),
            #[cfg(test)]
            Job::Fault(fault) => self.segment.fault = fault,
        }
    }

    /// Keeps the blocks of requests, and answers them.
    fn commit(&mut self, group: Vec<IngestJob>) {
        let mut commit = Commit::default();
        let mut answers = Vec::with_capacity(group.len());
        let mut new = HashSet::new();
        for job in group {
            let mut counted = Ingested::default();
            for (place, checked) in job.blocks.into_iter().enumerate() {
                let key = (checked.meta.origin.incarnation, checked.meta.sequence);
                if self.shared.index().holds(key.0, key.1) || !new.insert(key) {
                    counted.duplicates += 1;
                    continue;
                }
                counted.stored += 1;
                counted.places.push(place);
                counted.calls += u64::from(checked.block.len());
                self.add(&mut commit, checked);
            }
            answers.push((job.reply, counted));
        }
        let written = self.write(commit);
        for (reply, counted) in answers {
            let answer = written.as_ref().map(|()| counted);
            let _ = reply.send(answer.map_err(WriteError::to_store_error));
        }
    }

    fn add(&mut self, commit: &mut Commit, checked: CheckedBlock) {
        let number = self.manifest.next_block;
        self.manifest.next_block += 1;
        let bytes = checked.block.bytes().clone();
        commit
            .records
            .push(block_record(number, now_ns(), &checked.meta, bytes));
        let described = Described::of(number, checked.meta.clone(), &checked.block);
        commit.blocks.push((described, checked));
    }

    fn write(&mut self, commit: Commit) -> Result<(), WriteError> {
        if commit.records.is_empty() {
            return Ok(());
        }
        let places = self.append(&commit.records)?;
        let described = commit.blocks.iter().map(|(described, _)| described);
        let entries: Vec<Entry> = described
            .zip(&places)
            .map(|(described, place)| described.catalogue_entry(place))
            .collect();
        self.change_catalogue(&entries, &[]);
        let mut blocks = Vec::with_capacity(places.len());
        {
            let mut index = self.shared.index();
            for ((described, checked), place) in commit.blocks.into_iter().zip(places) {
                blocks.push((described.number, checked.block));
                let kept = described.keep(&mut index, place);
                index.insert(kept);
            }
        }
        for (number, block) in blocks {
            running::take_in(&*self.shared, number, &block);
        }
        Ok(())
    }

    /// Numbers of the blocks whose bytes lie in a segment.
    pub(super) fn blocks_in(&self, segment: SegmentName) -> Vec<u64> {
        let index = self.shared.index();
        let inside = index.blocks().filter(|it| it.place.segment == segment);
        inside.map(|block| block.number).collect()
    }

    /// Takes a damaged block out of the answers, and says so from now on.
    fn set_aside(&mut self, number: u64, why: &str) {
        let Some(block) = self.shared.index().remove(number) else {
            return;
        };
        let segment = block.place.segment;
        let calls = block.summary.calls;
        let note = format!("segment {segment}: block {number} with {calls} calls: {why}");
        if let Some(live) = self.manifest.live.get_mut(&segment) {
            live.note(note.clone());
            if let Some(sealed) = &mut live.sealed {
                sealed.blocks = sealed.blocks.saturating_sub(1);
            }
        }
        self.shared.note(note);
        self.change_catalogue(&[], &[number]);
        self.flush_catalogue();
        self.save_manifest();
    }

    /// Changes the catalogue; without it the store works on, and reads its segments at the next open.
    pub(super) fn change_catalogue(&mut self, put: &[Entry], remove: &[u64]) {
        self.with_catalogue(|catalogue| catalogue.change(put, remove));
    }

    pub(super) fn flush_catalogue(&mut self) {
        self.with_catalogue(Catalogue::flush);
    }

    fn with_catalogue(&mut self, work: impl FnOnce(&Catalogue) -> Result<(), CatalogueError>) {
        if let Some(catalogue) = &self.catalogue
            && let Err(error) = work(catalogue)
        {
            self.shared.note(format!(
                "catalogue: {error}; it is built anew when the store is opened again"
            ));
            self.catalogue = None;
        }
    }

    /// Writes the manifest where it may also be written later: what it says is found out otherwise.
    pub(super) fn save_manifest(&mut self) {
        if self.failure.is_none()
            && let Err(error) = self.manifest.write(&self.dir)
        {
            tracing::warn!(%error, "manifest not written");
        }
    }

    /// Refuses to write after a write failed.
    pub(super) fn check_writable(&self) -> Result<(), WriteError> {
        let failure = self.failure.clone();
        failure.map_or(Ok(()), |failure| Err(WriteError::Failed(failure)))
    }

    pub(super) fn fail(&mut self, action: &str, source: io::Error) -> WriteError {
        let action = format!("{action} in {}", self.dir.display());
        tracing::error!(action, error = %source, "disk failed, no more blocks are taken");
        self.shared.poison();
        let failure = Arc::new(Failure { action, source });
        self.failure = Some(failure.clone());
        WriteError::Failed(failure)
    }

    fn close(mut self) {
        self.flush_catalogue();
        if self.failure.is_none() {
            let content = self.content();
            if let Some(live) = self.manifest.live.get_mut(&self.segment.name()) {
                live.sealed = Some(content);
            }
            self.save_manifest();
        }
    }
}
