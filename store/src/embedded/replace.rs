//! Putting a rewritten segment in the place of the old one.

use std::collections::HashSet;
use std::fs::{self, File};

use super::manifest::{LiveSegment, Sealed};
use super::merge::Rewritten;
use super::writer::{WriteError, Writer};
use crate::answer::Holds;
use crate::catalogue::Entry;
use crate::segment::{SegmentName, is_full};

impl Writer {
    /// Serves a rewritten segment instead of the old one, if that still is what was rewritten.
    pub(super) fn replace(&mut self, rewritten: Rewritten) {
        let (old, new) = (rewritten.old, rewritten.new);
        self.offered.remove(&old);
        if !self.is_current(&rewritten) {
            self.remove_unfinished(new);
            return;
        }
        // A failed write is told by whoever wants to write next, and a full disk to whoever needs room.
        if self.list_rewritten(old, new).is_ok() {
            self.serve_rewritten(rewritten);
        }
    }

    fn remove_unfinished(&self, new: SegmentName) {
        // Best effort: it is removed at the next open as well.
        let _ = fs::remove_file(new.unfinished_path(&self.shared.segments));
    }

    fn is_current(&self, rewritten: &Rewritten) -> bool {
        let live = self.manifest.live.get(&rewritten.old);
        self.check_writable().is_ok()
            && live.is_some_and(|live| live.sealed.is_some() && live.notes.is_empty())
            && self.blocks_in(rewritten.old) == rewritten.old_blocks
    }

    /// From here on the new segment counts, whatever happens; but for a disk too full to say so, where all stays as
    /// it was.
    pub(super) fn list_rewritten(
        &mut self,
        old: SegmentName,
        new: SegmentName,
    ) -> Result<(), WriteError> {
        let mut manifest = self.manifest.clone();
        manifest.live.remove(&old);
        let live = LiveSegment {
            merged: true,
            ..LiveSegment::default()
        };
        manifest.live.insert(new, live);
        manifest.dying.push(old);
        if let Err(error) = manifest.write(&self.dir) {
            if is_full(&error) {
                tracing::warn!(segment = %old, %error, "disk full, segment not replaced");
                self.remove_unfinished(new);
                return Err(WriteError::Full);
            }
            return Err(self.fail("replace a segment", error));
        }
        self.manifest = manifest;
        let segments = &self.shared.segments;
        fs::rename(new.unfinished_path(segments), new.path(segments))
            .and_then(|()| File::open(segments)?.sync_all())
            .map_err(|error| self.fail("replace a segment", error))
    }

    pub(super) fn serve_rewritten(&mut self, rewritten: Rewritten) {
        let entries: Vec<Entry> = rewritten
            .blocks
            .iter()
            .map(|(described, place)| described.catalogue_entry(place))
            .collect();
        let numbers: HashSet<u64> = entries.iter().map(|(number, _)| *number).collect();
        let merged_away = rewritten.old_blocks.iter().copied();
        let gone: Vec<u64> = merged_away.filter(|it| !numbers.contains(it)).collect();
        let blocks = rewritten.blocks.len() as u64;
        {
            let mut index = self.shared.index();
            for (described, place) in rewritten.blocks {
                let kept = described.keep(&mut index, place);
                index.replace(kept);
            }
        }
        self.change_catalogue(&entries, &gone);
        self.flush_catalogue();
        if let Some(live) = self.manifest.live.get_mut(&rewritten.new) {
            live.sealed = Some(Sealed {
                bytes: rewritten.bytes,
                blocks,
            });
        }
        self.remove_dying();
        self.save_manifest();
    }
}
