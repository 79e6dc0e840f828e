//! Which segments there are: the manifest's list, and the files.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::{Lengths, Recovery};
use crate::embedded::manifest::LiveSegment;
use crate::segment::{FILE_HEADER_BYTES, SegmentName};

impl Recovery<'_> {
    /// Brings the list of segments and the files together.
    pub(super) fn match_files(&mut self) -> io::Result<Lengths> {
        self.finish_merges()?;
        let mut lengths = BTreeMap::new();
        for entry in fs::read_dir(&self.segments)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else {
                continue;
            };
            let length = entry.metadata()?.len();
            let listed = self.manifest.live.contains_key(&name);
            // Blocks are appended only after a segment is listed: a crash came between.
            let unused = !listed && length <= FILE_HEADER_BYTES;
            if unused || self.manifest.dying.contains(&name) {
                fs::remove_file(entry.path())?;
                continue;
            }
            lengths.insert(name, length);
        }
        self.manifest.dying.clear();
        self.drop_missing(&lengths);
        self.adopt_unlisted(&lengths);
        Ok(lengths)
    }

    /// Puts rewritten segments in their place if the manifest lists them already; the others are
    /// not whole, or not needed, and what they were made from is still there.
    fn finish_merges(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.segments)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.and_then(SegmentName::parse_unfinished) else {
                continue;
            };
            if self.manifest.live.contains_key(&name) {
                fs::rename(&path, name.path(&self.segments))?;
            } else {
                fs::remove_file(&path)?;
            }
        }
        fs::File::open(&self.segments)?.sync_all()
    }

    fn drop_missing(&mut self, lengths: &Lengths) {
        let live = std::mem::take(&mut self.manifest.live);
        let (live, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = live
            .into_iter()
            .partition(|(name, _)| lengths.contains_key(name));
        self.manifest.live = live;
        for (name, segment) in gone {
            let blocks = segment.sealed.map(|sealed| sealed.blocks);
            let blocks = blocks.map_or_else(|| "unknown".to_owned(), |blocks| blocks.to_string());
            let note = format!("segment {name}: the file is gone, and with it blocks: {blocks}");
            self.gone.push((name, note.clone()));
            self.note(note);
        }
    }

    fn adopt_unlisted(&mut self, lengths: &Lengths) {
        let any_listed = !self.manifest.live.is_empty();
        for name in lengths.keys() {
            if self.manifest.live.contains_key(name) {
                continue;
            }
            self.manifest.live.insert(*name, LiveSegment::default());
            if any_listed {
                self.note(format!(
                    "segment {name}: the manifest does not list it; it was read through"
                ));
            }
        }
    }

    /// Has what is gone said by the segment that came next, for as long as that is kept.
    pub(super) fn remember_gone(&mut self) {
        for (name, note) in std::mem::take(&mut self.gone) {
            let next = self
                .manifest
                .live
                .range(name..)
                .next()
                .map(|(name, _)| *name);
            let next = next.or_else(|| self.manifest.live.keys().next_back().copied());
            if let Some(live) = next.and_then(|next| self.manifest.live.get_mut(&next)) {
                live.note(note);
            }
        }
    }
}
