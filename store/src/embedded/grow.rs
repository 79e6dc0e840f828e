//! How the store grows: appending to the youngest segment, and beginning the next.

use std::fs;
use std::io;

use super::manifest::{LiveSegment, Sealed};
use super::random_marker;
use super::writer::{WriteError, Writer};
use crate::segment::{
    AppendError, FILE_HEADER_BYTES, Location, Record, SegmentName, SegmentWriter,
};

impl Writer {
    /// Appends records and makes them durable.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<Vec<Location>, WriteError> {
        self.check_writable()?;
        let bytes: u64 = records.iter().map(Record::stored_bytes).sum();
        let length = self.segment.length();
        if length > FILE_HEADER_BYTES && length + bytes > self.segment_bytes {
            self.rotate()?;
        }
        let places = loop {
            match self.segment.append(records) {
                Ok(places) => break places,
                Err(AppendError::Full) if self.make_room() => {}
                Err(AppendError::Full) => return Err(WriteError::Full),
                Err(AppendError::Failed(error)) => return Err(self.fail("append blocks", error)),
            }
        };
        match self.segment.sync() {
            Ok(()) => Ok(places),
            Err(error) => Err(self.fail("sync blocks", error)),
        }
    }

    /// Seals the youngest segment and begins another.
    pub(super) fn rotate(&mut self) -> Result<(), WriteError> {
        self.check_writable()?;
        self.flush_catalogue();
        loop {
            match self.begin_segment() {
                Ok(()) => return Ok(()),
                Err(error) => match AppendError::from(error) {
                    AppendError::Full if self.make_room() => {}
                    AppendError::Full => return Err(WriteError::Full),
                    AppendError::Failed(error) => {
                        return Err(self.fail("begin a segment", error));
                    }
                },
            }
        }
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let mut manifest = self.manifest.clone();
        let name = SegmentName {
            id: manifest.next_segment,
            marker: random_marker(),
        };
        if let Some(live) = manifest.live.get_mut(&self.segment.name()) {
            live.sealed = Some(self.content());
        }
        manifest.next_segment += 1;
        manifest.live.insert(name, LiveSegment::default());
        // Blocks are only ever appended to a segment that the manifest lists.
        let segment = SegmentWriter::create(&self.shared.segments, name)?;
        if let Err(error) = manifest.write(&self.dir) {
            // Best effort: an empty segment that is not listed is harmless.
            let _ = fs::remove_file(name.path(&self.shared.segments));
            return Err(error);
        }
        self.manifest = manifest;
        self.segment = segment;
        self.offer_to_merge();
        Ok(())
    }

    /// Names the segments that were sealed since, or before the store was opened.
    pub(super) fn offer_to_merge(&mut self) {
        let Some(merger) = &self.merger else { return };
        for (name, live) in &self.manifest.live {
            let settled = live.sealed.is_some() && !live.merged && live.notes.is_empty();
            if settled && self.offered.insert(*name) {
                // The thread ends only after this one.
                let _ = merger.send(*name);
            }
        }
    }

    /// What the youngest segment holds now.
    pub(super) fn content(&self) -> Sealed {
        Sealed {
            bytes: self.segment.length(),
            blocks: self.blocks_in(self.segment.name()).len() as u64,
        }
    }
}
