//! The manifest: which segments there are, and what each sealed one must hold.
//!
//! It is small, replaced as a whole by rename, and what segments and catalogue are held against at
//! open: a file that is missing, or a catalogue that lost entries, shows here however quietly it did
//! so.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use prost::Message;

use crate::segment::{SegmentId, SegmentName};

const FILE: &str = "manifest";

/// First bytes of the file; the last one is the version. A CRC32 of the rest follows.
const HEADER: &[u8; 8] = b"remman\0\x01";

/// Notes kept of one segment's damage.
const NOTES_LIMIT: usize = 100;

/// What the store should find when it is opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Manifest {
    /// Number for the next block: none below it is given again, even if its block is lost.
    pub(super) next_block: u64,
    /// Number for the next segment.
    pub(super) next_segment: SegmentId,
    /// Segments that are served. The last one is being appended to.
    pub(super) live: BTreeMap<SegmentName, LiveSegment>,
    /// Segments whose files are to be removed: forgotten, rewritten, or written in part.
    pub(super) dying: Vec<SegmentName>,
    /// Highest sequence that was forgotten, by incarnation: nothing up to it counts as missing.
    pub(super) forgotten: BTreeMap<u128, u64>,
    /// The control records of the snapshots, each with the segment in which it lies; 0 for none.
    /// Those that came since this was written are in segments that it does not call sealed.
    pub(super) snapshots: Vec<(SegmentId, Vec<u8>)>,
}

/// What is known of a segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LiveSegment {
    /// What it held when it was sealed, or the store was closed; `None` while it grows, and until
    /// the catalogue knows it.
    pub(super) sealed: Option<Sealed>,
    /// Its blocks were merged: there is nothing to gain from doing that again.
    pub(super) merged: bool,
    /// Damage in it that was told already, and is told again at each open.
    pub(super) notes: Vec<String>,
}

/// What a segment must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Length of the file.
    pub(super) bytes: u64,
    /// Readable blocks.
    pub(super) blocks: u64,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestError {
    /// The disk's error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not those that were written.
    #[error("the manifest is damaged")]
    Damaged,
}

impl LiveSegment {
    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_LIMIT && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl Manifest {
    /// Reads the manifest of a store; `None` where there is none yet.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, ManifestError> {
        let bytes = match fs::read(dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let body = bytes
            .strip_prefix(HEADER)
            .and_then(<[u8]>::split_first_chunk)
            .filter(|(crc, body)| crc32fast::hash(body) == u32::from_le_bytes(**crc))
            .ok_or(ManifestError::Damaged)?
            .1;
        let record = ManifestRecord::decode(body).map_err(|_| ManifestError::Damaged)?;
        Ok(Some(record.into()))
    }

    /// Replaces the manifest. When this returns, the new one survives a crash; before, the old one.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let body = ManifestRecord::from(self).encode_to_vec();
        let new = dir.join("manifest.new");
        let mut file = File::create(&new)?;
        file.write_all(HEADER)?;
        file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&new, dir.join(FILE))?;
        File::open(dir)?.sync_all()
    }

    /// Sets the file of a damaged manifest aside.
    pub(super) fn quarantine(dir: &Path) -> io::Result<()> {
        fs::rename(dir.join(FILE), dir.join("manifest.quarantine"))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ManifestRecord {
    #[prost(uint64, tag = "1")]
    next_block: u64,
    #[prost(uint64, tag = "2")]
    next_segment: u64,
    #[prost(message, repeated, tag = "3")]
    live: Vec<SegmentRecord>,
    #[prost(message, repeated, tag = "4")]
    dying: Vec<SegmentRecord>,
    #[prost(message, repeated, tag = "5")]
    forgotten: Vec<ForgottenRecord>,
    #[prost(message, repeated, tag = "6")]
    snapshots: Vec<SnapshotAt>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotAt {
    #[prost(uint64, tag = "1")]
    segment: u64,
    #[prost(bytes = "vec", tag = "2")]
    record: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SegmentRecord {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(fixed64, tag = "2")]
    marker: u64,
    #[prost(message, optional, tag = "3")]
    sealed: Option<SealedRecord>,
    #[prost(string, repeated, tag = "4")]
    notes: Vec<String>,
    #[prost(bool, tag = "5")]
    merged: bool,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SealedRecord {
    #[prost(uint64, tag = "1")]
    bytes: u64,
    #[prost(uint64, tag = "2")]
    blocks: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ForgottenRecord {
    #[prost(fixed64, tag = "1")]
    incarnation_high: u64,
    #[prost(fixed64, tag = "2")]
    incarnation_low: u64,
    #[prost(uint64, tag = "3")]
    sequence: u64,
}

impl SegmentRecord {
    fn of(name: &SegmentName) -> Self {
        Self {
            id: name.id,
            marker: u64::from_be_bytes(name.marker),
            ..Self::default()
        }
    }

    fn name(&self) -> SegmentName {
        SegmentName {
            id: self.id,
            marker: self.marker.to_be_bytes(),
        }
    }
}

impl From<&Manifest> for ManifestRecord {
    fn from(manifest: &Manifest) -> Self {
        let live = manifest.live.iter().map(|(name, segment)| SegmentRecord {
            sealed: segment.sealed.map(|sealed| SealedRecord {
                bytes: sealed.bytes,
                blocks: sealed.blocks,
            }),
            notes: segment.notes.clone(),
            merged: segment.merged,
            ..SegmentRecord::of(name)
        });
        let forgotten = manifest.forgotten.iter();
        Self {
            next_block: manifest.next_block,
            next_segment: manifest.next_segment,
            live: live.collect(),
            dying: manifest.dying.iter().map(SegmentRecord::of).collect(),
            forgotten: forgotten
                .map(|(incarnation, &sequence)| ForgottenRecord {
                    incarnation_high: (incarnation >> 64) as u64,
                    incarnation_low: *incarnation as u64,
                    sequence,
                })
                .collect(),
            snapshots: manifest
                .snapshots
                .iter()
                .map(|(segment, record)| SnapshotAt {
                    segment: *segment,
                    record: record.clone(),
                })
                .collect(),
        }
    }
}

impl From<ManifestRecord> for Manifest {
    fn from(record: ManifestRecord) -> Self {
        let live = record.live.iter().map(|segment| {
            let live = LiveSegment {
                sealed: segment.sealed.map(|sealed| Sealed {
                    bytes: sealed.bytes,
                    blocks: sealed.blocks,
                }),
                notes: segment.notes.clone(),
                merged: segment.merged,
            };
            (segment.name(), live)
        });
        let forgotten = record.forgotten.iter().map(|entry| {
            let high = u128::from(entry.incarnation_high) << 64;
            (high | u128::from(entry.incarnation_low), entry.sequence)
        });
        Self {
            next_block: record.next_block,
            next_segment: record.next_segment,
            live: live.collect(),
            dying: record.dying.iter().map(SegmentRecord::name).collect(),
            forgotten: forgotten.collect(),
            snapshots: record
                .snapshots
                .into_iter()
                .map(|at| (at.segment, at.record))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let name = |id| SegmentName {
            id,
            marker: [id as u8; 8],
        };
        let sealed = LiveSegment {
            sealed: Some(Sealed {
                bytes: 700,
                blocks: 3,
            }),
            notes: vec!["block 9 is damaged".to_owned()],
            merged: true,
        };
        Manifest {
            next_block: 12,
            next_segment: 6,
            live: BTreeMap::from([(name(4), sealed), (name(5), LiveSegment::default())]),
            dying: vec![name(3)],
            forgotten: BTreeMap::from([(u128::MAX - 5, 17)]),
            snapshots: vec![(4, b"a snapshot".to_vec())],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        manifest().write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest()));
    }

    #[test]
    fn no_damaged_manifest_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        manifest().write(dir.path()).unwrap();
        let file = dir.path().join(FILE);
        let whole = fs::read(&file).unwrap();
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            for damaged in [&flipped, &whole[..place]] {
                fs::write(&file, damaged).unwrap();
                let read = Manifest::read(dir.path());
                assert!(matches!(read, Err(ManifestError::Damaged)), "byte {place}");
            }
        }
    }
}
