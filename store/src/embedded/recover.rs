//! Opening a store: what the manifest, the segments and the catalogue say is held against each other.
//!
//! A segment is read through unless the manifest says that it was sealed, its file is as long as
//! then, and the catalogue has as many blocks in it. Whatever does not fit is said, and what can be
//! read is served.

mod catalogue;
mod files;
mod scan;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::entry::Described;
use super::manifest::{LiveSegment, Manifest, ManifestError, Sealed};
use super::random_marker;
use crate::catalogue::Catalogue;
use crate::clock::now_ns;
use crate::index::Index;
use crate::segment::{Location, ScanEnd, SegmentName, SegmentWriter, is_full};
use crate::snapshot::record;
use crate::snapshot::shelf::Shelf;

/// An opened store.
pub(super) struct Recovered {
    pub(super) manifest: Manifest,
    pub(super) index: Index<Location>,
    pub(super) shelf: Shelf,
    /// `None` if it could not be made: the store works without.
    pub(super) catalogue: Option<Catalogue>,
    pub(super) segment: SegmentWriter,
    /// Segments that were not read through.
    pub(super) believed: Vec<SegmentName>,
    /// What was found damaged, one line each.
    pub(super) notes: Vec<String>,
}

/// Where a block was found.
type Found = (Described, Location);

/// Lengths of the segments' files.
type Lengths = BTreeMap<SegmentName, u64>;

struct Recovery<'a> {
    dir: &'a Path,
    segments: PathBuf,
    manifest: Manifest,
    notes: Vec<String>,
    /// Segments that are gone, and what is said of them as long as their neighbours are kept.
    gone: Vec<(SegmentName, String)>,
    /// Numbers that may have been told to somebody and must not be given again.
    lost_numbers: u64,
    shelf: Shelf,
}

/// Opens the store in `dir`, whose lock is held; makes one where there is none.
pub(super) fn recover(dir: &Path) -> io::Result<Recovered> {
    let segments = dir.join("segments");
    fs::create_dir_all(&segments)?;
    let mut recovery = Recovery {
        dir,
        segments,
        manifest: Manifest::default(),
        notes: Vec::new(),
        gone: Vec::new(),
        lost_numbers: 0,
        shelf: Shelf::default(),
    };
    recovery.read_manifest()?;
    let lengths = recovery.match_files()?;
    let (catalogue, known) = recovery.open_catalogue(&lengths)?;
    recovery.finish(&lengths, catalogue, known)
}

impl Recovery<'_> {
    fn note(&mut self, note: String) {
        tracing::error!(damage = note, "stored data is damaged");
        self.notes.push(note);
    }

    fn read_manifest(&mut self) -> io::Result<()> {
        match Manifest::read(self.dir) {
            Ok(Some(manifest)) => self.manifest = manifest,
            Ok(None) => {}
            Err(ManifestError::Io(error)) => return Err(error),
            Err(error) => {
                Manifest::quarantine(self.dir)?;
                self.note(format!("{error}; what is stored was read through instead"));
            }
        }
        let live = self.manifest.live.values();
        self.notes = live
            .flat_map(|live| live.notes.clone())
            .chain(self.notes.drain(..))
            .collect();
        Ok(())
    }

    fn finish(
        mut self,
        lengths: &Lengths,
        catalogue: Option<Catalogue>,
        known: Vec<Found>,
    ) -> io::Result<Recovered> {
        let believed = match &catalogue {
            Some(_) => self.believed(lengths, &known),
            None => HashSet::new(),
        };
        let known_numbers: HashSet<u64> = known.iter().map(|(it, _)| it.number).collect();
        let (mut found, doubted): (Vec<Found>, Vec<Found>) = known
            .into_iter()
            .partition(|(_, place)| believed.contains(&place.segment));
        self.learn_listed_snapshots();
        let (scanned, ends) = self.scan_segments(&believed)?;
        self.shelf.drop_expired(now_ns());
        self.compare(&doubted, &scanned);
        found.extend(scanned);

        let mut index = Index::default();
        for (&incarnation, &sequence) in &self.manifest.forgotten {
            index.set_forgotten(incarnation, sequence);
        }
        let kept = fill(&mut index, found);
        self.set_next_numbers(&kept);
        let catalogue = catalogue
            .filter(|catalogue| self.mend_catalogue(catalogue, &known_numbers, &believed, &kept));
        let segment = self.resume(lengths, &ends, &kept)?;
        self.remember_gone();
        let records = self.shelf.records();
        self.manifest.snapshots = records
            .map(|(shelved, at)| (at.unwrap_or(0), record::encode(shelved)))
            .collect();
        self.save_manifest()?;
        let mut believed: Vec<SegmentName> = believed.into_iter().collect();
        believed.sort();
        Ok(Recovered {
            manifest: self.manifest,
            index,
            shelf: self.shelf,
            catalogue,
            segment,
            believed,
            notes: self.notes,
        })
    }

    /// Takes in the snapshots of which the manifest knows.
    fn learn_listed_snapshots(&mut self) {
        for (segment, bytes) in std::mem::take(&mut self.manifest.snapshots) {
            let live = self.manifest.live.keys().any(|name| name.id == segment);
            match record::decode(&bytes) {
                Ok(shelved) => self.shelf.learn(shelved, live.then_some(segment)),
                Err(why) => self.note(format!("the manifest lists a snapshot: {why}")),
            }
        }
    }

    fn set_next_numbers(&mut self, kept: &[Found]) {
        let numbers = kept.iter().flat_map(|(described, _)| {
            let sources = described.sources.iter().map(|source| source.block);
            sources.chain([described.number])
        });
        let highest = numbers.max().unwrap_or(0);
        let next = self.manifest.next_block.max(highest + 1);
        self.manifest.next_block = next + self.lost_numbers;
        let youngest = self.manifest.live.keys().next_back();
        let highest = youngest.map_or(0, |name| name.id);
        self.manifest.next_segment = self.manifest.next_segment.max(highest + 1);
    }

    /// Opens the youngest segment for appending, and takes note of what the others hold.
    fn resume(
        &mut self,
        lengths: &Lengths,
        ends: &HashMap<SegmentName, ScanEnd>,
        kept: &[Found],
    ) -> io::Result<SegmentWriter> {
        let mut counts: HashMap<SegmentName, u64> = HashMap::new();
        for (_, place) in kept {
            *counts.entry(place.segment).or_default() += 1;
        }
        for (name, live) in &mut self.manifest.live {
            live.sealed = Some(Sealed {
                bytes: lengths.get(name).copied().unwrap_or(0),
                blocks: counts.get(name).copied().unwrap_or(0),
            });
        }
        let youngest = self.manifest.live.iter_mut().next_back();
        let Some((name, live)) = youngest.filter(|(_, live)| !live.merged) else {
            return self.begin();
        };
        live.sealed = None;
        let length = lengths.get(name).copied().unwrap_or(0);
        let end = ends.get(name).map_or(length, |end| end.end);
        SegmentWriter::resume(&self.segments, *name, end)
    }

    /// Writes the manifest. On a full disk the old one has to do: it lists what is there.
    fn save_manifest(&self) -> io::Result<()> {
        match self.manifest.write(self.dir) {
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "manifest not written");
                Ok(())
            }
            written => written,
        }
    }

    fn begin(&mut self) -> io::Result<SegmentWriter> {
        let name = SegmentName {
            id: self.manifest.next_segment,
            marker: random_marker(),
        };
        self.manifest.next_segment += 1;
        self.manifest.live.insert(name, LiveSegment::default());
        SegmentWriter::create(&self.segments, name)
    }
}

/// Puts blocks into the index, each sequence once: those that were merged win over their sources,
/// older records over younger ones. Gives those that are kept.
fn fill(index: &mut Index<Location>, mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|(described, _)| (described.sources.len() == 1, described.number));
    found.retain(|(described, place)| {
        let incarnation = described.meta.origin.incarnation;
        let mut sources = described.sources.iter();
        if sources.any(|source| index.holds(incarnation, source.sequence)) {
            return false;
        }
        let kept = described.clone().keep(index, *place);
        index.insert(kept);
        true
    });
    found
}
