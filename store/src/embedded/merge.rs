//! Rewriting sealed segments: small blocks become few large ones, which pack far better.
//!
//! The work is done on a thread of its own, into a file that is no segment yet. The writer thread
//! then puts it in the old one's place; a crash at any moment leaves one of the two.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use tokio::sync::mpsc::WeakSender;

use super::entry::{Described, block_record};
use super::random_marker;
use super::shared::Shared;
use super::writer::Job;
use crate::answer::Holds;
use crate::block::{self, Block, BlockError, BlockMeta, Origin};
use crate::clock::now_ns;
use crate::index::Kept;
use crate::segment::{
    AppendError, Location, ReadError, Record, RecordKind, SegmentName, SegmentWriter, read_record,
    scan,
};

/// Most calls in a merged block: a question reads the columns of all of them.
const CALLS: u64 = 512;

/// Most bytes of blocks that are merged into one.
const BYTES: u64 = /* 1 MiB */ 1_024 * 1_024;

/// Most blocks that are merged into one: their list is a part of the entry in the catalogue.
const SOURCES: usize = 200;

/// A segment that was written anew.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// The segment that it is to replace.
    pub(super) old: SegmentName,
    /// Numbers of the blocks that were in it.
    pub(super) old_blocks: Vec<u64>,
    /// The new one, of which the file is unfinished by name only.
    pub(super) new: SegmentName,
    /// What it holds.
    pub(super) blocks: Vec<(Described, Location)>,
    /// Length of its file.
    pub(super) bytes: u64,
}

/// Why a segment was left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error("the store is being closed")]
    Stopped,
    #[error("a part of it is damaged")]
    Damaged,
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The thread that rewrites segments.
#[derive(Debug)]
pub(super) struct Merger {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: WeakSender<Job>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Merger {
    /// Rewrites the segments that are named, until nobody is left to name one.
    pub(super) fn run(self, segments: Receiver<SegmentName>) {
        for old in segments {
            let job = match self.rewrite(old) {
                Ok(rewritten) => Job::Replace(rewritten),
                Err(MergeError::Stopped) => return,
                Err(error) => {
                    tracing::warn!(segment = %old, %error, "segment not rewritten");
                    continue;
                }
            };
            if let Some(writer) = self.writer.upgrade() {
                // If the store was closed, what was written is removed at the next open.
                let _ = writer.blocking_send(job);
            }
        }
    }

    /// Writes a segment anew, into a file that is no segment yet.
    pub(super) fn rewrite(&self, old: SegmentName) -> Result<Rewritten, MergeError> {
        let new = SegmentName {
            id: old.id,
            marker: random_marker(),
        };
        let mut segment = SegmentWriter::create_unfinished(&self.shared.segments, new)?;
        let rewritten = self.fill(old, &mut segment);
        if rewritten.is_err() {
            // Best effort: it is removed at the next open as well.
            let _ = fs::remove_file(new.unfinished_path(&self.shared.segments));
        }
        rewritten
    }

    fn fill(&self, old: SegmentName, segment: &mut SegmentWriter) -> Result<Rewritten, MergeError> {
        self.copy_other_records(old, segment)?;
        let kept = self.blocks_of(old);
        let old_blocks = kept.iter().map(|kept| kept.number).collect();
        let mut blocks = Vec::new();
        for run in runs(kept) {
            blocks.extend(self.merge_run(&run, segment)?);
        }
        segment.sync()?;
        Ok(Rewritten {
            old,
            old_blocks,
            new: segment.name(),
            blocks,
            bytes: segment.length(),
        })
    }

    /// What is no block goes along as it is.
    fn copy_other_records(
        &self,
        old: SegmentName,
        segment: &mut SegmentWriter,
    ) -> Result<(), MergeError> {
        let mut others = Vec::new();
        let end = scan(&self.shared.segments, old, |_, record| {
            if record.kind != RecordKind::BLOCK {
                others.push(record);
            }
            Ok(())
        })?;
        if !end.damages.is_empty() || end.torn_bytes > 0 {
            return Err(MergeError::Damaged);
        }
        segment.append(&others)?;
        Ok(())
    }

    fn blocks_of(&self, segment: SegmentName) -> Vec<Arc<Kept<Location>>> {
        let index = self.shared.index();
        let inside = index.blocks().filter(|it| it.place.segment == segment);
        inside.cloned().collect()
    }

    /// Merges blocks that follow each other into as few as may be.
    fn merge_run(
        &self,
        run: &[Arc<Kept<Location>>],
        segment: &mut SegmentWriter,
    ) -> Result<Vec<(Described, Location)>, MergeError> {
        let mut written = Vec::new();
        let boundaries = self.shared.shelf().boundaries();
        let mut group: Vec<(u64, Block)> = Vec::new();
        let mut size = Size::default();
        for kept in run {
            if self.stop.load(Ordering::Relaxed) {
                return Err(MergeError::Stopped);
            }
            let record = read_record(&self.shared.segments, &kept.place)?;
            let block = Block::open(record.body)?;
            let same_key = group
                .last()
                .is_none_or(|(_, last)| last.meta().redaction_key == block.meta().redaction_key);
            // A sealed snapshot holds a block or does not.
            let parted = group.first().is_some_and(|(first, _)| {
                let mut sides = boundaries.iter().map(|it| (first < it, kept.number < *it));
                sides.any(|(first, kept)| first != kept)
            });
            if !same_key || parted || !size.fits(kept) {
                written.extend(write_group(&mut group, &kept.origin, segment)?);
                size = Size::default();
            }
            size.add(kept);
            group.push((kept.number, block));
        }
        if let Some(last) = run.last() {
            written.extend(write_group(&mut group, &last.origin, segment)?);
        }
        Ok(written)
    }
}

/// How much was gathered for one block.
#[derive(Debug, Default)]
struct Size {
    calls: u64,
    bytes: u64,
    sources: usize,
}

impl Size {
    fn fits(&self, kept: &Kept<Location>) -> bool {
        self.sources == 0
            || self.calls + u64::from(kept.summary.calls) <= CALLS
                && self.bytes + kept.bytes <= BYTES
                && self.sources + kept.sources.len() <= SOURCES
    }

    fn add(&mut self, kept: &Kept<Location>) {
        self.calls += u64::from(kept.summary.calls);
        self.bytes += kept.bytes;
        self.sources += kept.sources.len();
    }
}

/// Blocks of one recorder each, in the order of their sequences.
fn runs(kept: Vec<Arc<Kept<Location>>>) -> Vec<Vec<Arc<Kept<Location>>>> {
    let mut by_origin: HashMap<Arc<Origin>, Vec<Arc<Kept<Location>>>> = HashMap::new();
    for kept in kept {
        by_origin.entry(kept.origin.clone()).or_default().push(kept);
    }
    let mut runs: Vec<_> = by_origin.into_values().collect();
    for run in &mut runs {
        run.sort_by_key(|kept| kept.last_sequence());
    }
    // The oldest first, as they came.
    runs.sort_by_key(|run| run.first().map(|kept| kept.number));
    runs
}

/// Merges a group and appends it; the group is empty then. A block that cannot be merged, such as
/// one with parts that are not known here, is kept as it is.
fn write_group(
    group: &mut Vec<(u64, Block)>,
    origin: &Arc<Origin>,
    segment: &mut SegmentWriter,
) -> Result<Vec<(Described, Location)>, MergeError> {
    let group = std::mem::take(group);
    let merged = match group.first() {
        None => return Ok(Vec::new()),
        Some((number, _)) => (*number, block::merge(&group)),
    };
    let blocks = match merged {
        (number, Ok(bytes)) => vec![(number, Block::open(bytes)?)],
        (_, Err(BlockError::Unmergeable(_))) => group,
        (_, Err(error)) => return Err(error.into()),
    };
    let described = blocks.iter().map(|(number, block)| {
        let meta = BlockMeta {
            origin: (**origin).clone(),
            ..block.meta().clone()
        };
        Described::of(*number, meta, block)
    });
    let described: Vec<Described> = described.collect();
    let records: Vec<Record> = described
        .iter()
        .zip(&blocks)
        .map(|(it, (_, block))| block_record(it.number, now_ns(), &it.meta, block.bytes().clone()))
        .collect();
    let places = segment.append(&records)?;
    Ok(described.into_iter().zip(places).collect())
}
