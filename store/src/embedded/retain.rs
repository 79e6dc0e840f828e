//! Forgetting: whole segments, the oldest first. Blocks that snapshots pin move out of a segment that
//! goes, into one of their own in its place.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::entry::Described;
use super::merge::{MergeError, Rewritten};
use super::random_marker;
use super::writer::{WriteError, Writer};
use crate::answer::Holds;
use crate::clock::now_ns;
use crate::index::Kept;
use crate::segment::{Location, SegmentName, SegmentWriter, read_record};
use crate::store::{Freed, Retention};

/// A store that may keep so many bytes, or for so long, has at least this many segments: what is
/// forgotten at once is a small part.
const PARTS: u64 = 8;

/// Smallest limit for a segment that follows from it.
const LEAST_SEGMENT_BYTES: u64 = /* 256 KiB */ 256 * 1_024;

/// A block of a segment that is looked at.
type Inside = Arc<Kept<Location>>;

/// Which calls a segment holds.
#[derive(Debug, Clone, Copy)]
struct Span {
    oldest_ns: i64,
    newest_ns: i64,
}

impl Writer {
    pub(super) fn retain(&mut self, limits: &Retention) -> Result<Freed, WriteError> {
        self.check_writable()?;
        let mut freed = Freed::default();
        self.tidy_snapshots()?;
        if let Some(max_bytes) = limits.max_bytes {
            self.limit_pins(max_bytes / 2)?;
        }
        if let Some(before_ns) = limits.before_ns {
            self.retain_by_age(before_ns, &mut freed)?;
        }
        if let Some(max_bytes) = limits.max_bytes {
            self.retain_by_bytes(max_bytes, &mut freed)?;
        }
        // Control records may have lain in what is gone.
        self.tidy_snapshots()?;
        Ok(freed)
    }

    fn retain_by_age(&mut self, before_ns: i64, freed: &mut Freed) -> Result<(), WriteError> {
        let spans = self.spans();
        let active = self.segment.name();
        if let Some(span) = spans.get(&active) {
            let now_ns = now_ns();
            let kept_ns = now_ns.saturating_sub(before_ns).max(0);
            let covered_ns = now_ns.saturating_sub(span.oldest_ns);
            if span.newest_ns < before_ns || covered_ns > kept_ns / PARTS as i64 {
                self.rotate()?;
            }
        }
        for (segment, span) in spans {
            if span.newest_ns < before_ns {
                self.forget(segment, freed)?;
            }
        }
        Ok(())
    }

    fn retain_by_bytes(&mut self, max_bytes: u64, freed: &mut Freed) -> Result<(), WriteError> {
        let part = (max_bytes / PARTS).max(LEAST_SEGMENT_BYTES);
        self.segment_bytes = self.segment_bytes.min(part);
        let names: Vec<SegmentName> = self.manifest.live.keys().copied().collect();
        for oldest in names {
            if self.disk_bytes() <= max_bytes || self.shared.index().is_empty() {
                break;
            }
            if oldest == self.segment.name() {
                self.rotate()?;
            }
            self.forget(oldest, freed)?;
        }
        Ok(())
    }

    /// Gives the oldest segment in which nothing is pinned back to a disk that is full: there is no
    /// room to move what is. `false` if there is none, or only the one that grows.
    pub(super) fn make_room(&mut self) -> bool {
        let pins = self.shared.shelf().pins(now_ns());
        let pinned: HashSet<SegmentName> = {
            let index = self.shared.index();
            let pinned = index.blocks().filter(|block| pins.hold(block));
            pinned.map(|block| block.place.segment).collect()
        };
        let mut loose = self.manifest.live.keys().copied();
        let growing = self.segment.name();
        let oldest = loose.find(|name| *name != growing && !pinned.contains(name));
        let Some(oldest) = oldest else {
            return false;
        };
        // Before the manifest, which needs room itself.
        if fs::remove_file(oldest.path(&self.shared.segments)).is_err() {
            return false;
        }
        let mut freed = Freed::default();
        let forgotten = self.forget(oldest, &mut freed);
        tracing::warn!(
            blocks = freed.blocks,
            calls = freed.calls,
            "disk full, oldest segment forgotten"
        );
        forgotten.is_ok()
    }

    /// Forgets a segment that is not being appended to, but for what is pinned in it.
    fn forget(&mut self, segment: SegmentName, freed: &mut Freed) -> Result<(), WriteError> {
        let Some(live) = self.manifest.live.get(&segment) else {
            return Ok(());
        };
        let bytes = live.sealed.map_or(0, |sealed| sealed.bytes);
        let pins = self.shared.shelf().pins(now_ns());
        let (pinned, loose): (Vec<Inside>, Vec<Inside>) = {
            let index = self.shared.index();
            let inside = index.blocks().filter(|it| it.place.segment == segment);
            inside.cloned().partition(|block| pins.hold(block))
        };
        if pinned.is_empty() {
            return self.forget_whole(segment, &loose, bytes, freed);
        }
        if loose.is_empty() {
            return Ok(());
        }
        match self.move_pinned(segment, &pinned) {
            Ok(moved) => self.forget_all_but(moved, &loose, bytes, freed),
            Err(error) => {
                // It is tried again with the next round.
                tracing::warn!(%segment, %error, "pinned blocks not moved");
                Ok(())
            }
        }
    }

    fn forget_whole(
        &mut self,
        segment: SegmentName,
        blocks: &[Inside],
        bytes: u64,
        freed: &mut Freed,
    ) -> Result<(), WriteError> {
        self.manifest.live.remove(&segment);
        self.forget_blocks(segment, blocks, freed);
        freed.bytes += bytes;
        self.manifest.dying.push(segment);
        self.manifest
            .write(&self.dir)
            .map_err(|error| self.fail("forget a segment", error))?;
        // Entries that were not removed point to a segment that is not listed, and are passed over.
        let numbers: Vec<u64> = blocks.iter().map(|block| block.number).collect();
        self.change_catalogue(&[], &numbers);
        self.remove_dying();
        Ok(())
    }

    fn forget_blocks(&mut self, segment: SegmentName, blocks: &[Inside], freed: &mut Freed) {
        {
            let mut index = self.shared.index();
            for block in blocks {
                if let Some(block) = index.forget(block.number) {
                    freed.blocks += block.sources.len() as u64;
                    freed.calls += u64::from(block.summary.calls);
                }
            }
            index.relearn_names();
            self.manifest.forgotten = index.forgotten().collect();
        }
        self.shared.shelf().leave(segment.id);
        self.list_snapshots();
        self.offered.remove(&segment);
    }

    /// Writes the pinned blocks of a segment into a file that is no segment yet.
    fn move_pinned(&self, old: SegmentName, pinned: &[Inside]) -> Result<Rewritten, MergeError> {
        let new = SegmentName {
            id: old.id,
            marker: random_marker(),
        };
        let segments = &self.shared.segments;
        let copy = || -> Result<Rewritten, MergeError> {
            let mut segment = SegmentWriter::create_unfinished(segments, new)?;
            let mut blocks = Vec::with_capacity(pinned.len());
            for block in pinned {
                let record = read_record(segments, &block.place)?;
                let described = Described::read(&record).map_err(|_| MergeError::Damaged)?;
                let places = segment.append(&[record])?;
                blocks.extend(places.into_iter().map(|place| (described.clone(), place)));
            }
            segment.sync()?;
            Ok(Rewritten {
                old,
                old_blocks: pinned.iter().map(|block| block.number).collect(),
                new,
                blocks,
                bytes: segment.length(),
            })
        };
        copy().inspect_err(|_| {
            // Best effort: it is removed at the next open as well.
            let _ = fs::remove_file(new.unfinished_path(segments));
        })
    }

    /// Serves what was moved out of a segment, and forgets the rest of it.
    fn forget_all_but(
        &mut self,
        moved: Rewritten,
        loose: &[Inside],
        bytes: u64,
        freed: &mut Freed,
    ) -> Result<(), WriteError> {
        let numbers: Vec<u64> = loose.iter().map(|block| block.number).collect();
        freed.bytes += bytes.saturating_sub(moved.bytes);
        self.forget_blocks(moved.old, loose, freed);
        self.list_rewritten(moved.old, moved.new)?;
        self.change_catalogue(&[], &numbers);
        self.serve_rewritten(moved);
        Ok(())
    }

    /// Removes the files of segments that are not needed any more.
    pub(super) fn remove_dying(&mut self) {
        let segments = &self.shared.segments;
        self.manifest
            .dying
            .retain(|name| match fs::remove_file(name.path(segments)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(segment = %name, %error, "segment not removed");
                    true
                }
                _ => false,
            });
    }

    /// Bytes of all files of the store.
    pub(super) fn disk_bytes(&self) -> u64 {
        tree_bytes(&self.dir)
    }

    fn spans(&self) -> BTreeMap<SegmentName, Span> {
        let mut spans: BTreeMap<SegmentName, Span> = BTreeMap::new();
        for block in self.shared.index().blocks() {
            let (oldest_ns, newest_ns) = (block.oldest_ns(), block.newest_ns());
            spans
                .entry(block.place.segment)
                .and_modify(|span| {
                    span.oldest_ns = span.oldest_ns.min(oldest_ns);
                    span.newest_ns = span.newest_ns.max(newest_ns);
                })
                .or_insert(Span {
                    oldest_ns,
                    newest_ns,
                });
        }
        spans
    }
}

/// Bytes of the files below a directory; files that go meanwhile count nothing.
pub(super) fn tree_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => tree_bytes(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}
