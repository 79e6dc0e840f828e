//! Forgetting: whole segments, the oldest first.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::now_ns;
use super::writer::{WriteError, Writer};
use crate::answer::Holds;
use crate::segment::SegmentName;
use crate::store::{Freed, Retention};

/// A store that may keep so many bytes, or for so long, has at least this many segments: what is
/// forgotten at once is a small part.
const PARTS: u64 = 8;

/// Smallest limit for a segment that follows from it.
const LEAST_SEGMENT_BYTES: u64 = /* 256 KiB */ 256 * 1_024;

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
        if let Some(before_ns) = limits.before_ns {
            self.retain_by_age(before_ns, &mut freed)?;
        }
        if let Some(max_bytes) = limits.max_bytes {
            self.retain_by_bytes(max_bytes, &mut freed)?;
        }
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
        while self.disk_bytes() > max_bytes {
            let oldest = self.manifest.live.keys().next().copied();
            let Some(oldest) = oldest.filter(|_| !self.shared.index().is_empty()) else {
                break;
            };
            if oldest == self.segment.name() {
                self.rotate()?;
            }
            self.forget(oldest, freed)?;
        }
        Ok(())
    }

    /// Gives the oldest segment back to a disk that is full. `false` if there is only the one that
    /// grows.
    pub(super) fn make_room(&mut self) -> bool {
        let oldest = self.manifest.live.keys().next().copied();
        let Some(oldest) = oldest.filter(|&oldest| oldest != self.segment.name()) else {
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

    /// Forgets a segment that is not being appended to.
    fn forget(&mut self, segment: SegmentName, freed: &mut Freed) -> Result<(), WriteError> {
        let Some(live) = self.manifest.live.remove(&segment) else {
            return Ok(());
        };
        let numbers = self.blocks_in(segment);
        {
            let mut index = self.shared.index();
            for &number in &numbers {
                if let Some(block) = index.forget(number) {
                    freed.blocks += block.sources.len() as u64;
                    freed.calls += u64::from(block.summary.calls);
                }
            }
            index.relearn_names();
            self.manifest.forgotten = index.forgotten().collect();
        }
        freed.bytes += live.sealed.map_or(0, |sealed| sealed.bytes);
        self.manifest.dying.push(segment);
        self.offered.remove(&segment);
        self.manifest
            .write(&self.dir)
            .map_err(|error| self.fail("forget a segment", error))?;
        // Entries that were not removed point to a segment that is not listed, and are passed over.
        self.change_catalogue(&[], &numbers);
        self.remove_dying();
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
