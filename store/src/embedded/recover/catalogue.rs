//! Whether the catalogue can be believed, and what becomes of one that cannot.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Found, Lengths, Recovery};
use crate::catalogue::{Catalogue, Entry};
use crate::embedded::entry::Described;
use crate::embedded::retain::tree_bytes;
use crate::segment::SegmentName;

/// How long sled may take to open.
const DEADLINE: Duration = Duration::from_secs(120);

/// A catalogue is written anew where it takes more than this, and [`GROWTH`] times its entries.
const SPARE_BYTES: u64 = /* 16 MiB */ 16 * 1_024 * 1_024;

/// See [`SPARE_BYTES`].
const GROWTH: u64 = 4;

/// Entries that are written at once.
const CHUNK: usize = 1_000;

impl Recovery<'_> {
    /// Opens the catalogue and reads its entries, or sets it aside where it cannot be believed.
    pub(super) fn open_catalogue(
        &mut self,
        lengths: &Lengths,
    ) -> io::Result<(Option<Catalogue>, Vec<Found>)> {
        let dir = self.dir.join("catalogue");
        let why = match Catalogue::open(&dir, DEADLINE) {
            Ok((catalogue, entries)) => match self.read_entries(lengths, &entries) {
                Ok(known) => return Ok((self.compact(&dir, catalogue, &entries)?, known)),
                Err(why) => why,
            },
            Err(error) if error.is_full() => {
                self.note(format!("catalogue: {error}; the store works without"));
                return Ok((None, Vec::new()));
            }
            Err(error) => error.to_string(),
        };
        let aside = self.dir.join("catalogue.quarantine");
        if aside.exists() {
            // One is enough to find out what happened, and they take room.
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(&dir, &aside)?;
        self.note(format!(
            "catalogue: {why}; it was set aside as {} and built anew from the segments",
            aside.display()
        ));
        Ok((self.open_new(&dir), Vec::new()))
    }

    fn open_new(&mut self, dir: &Path) -> Option<Catalogue> {
        let opened = Catalogue::open(dir, DEADLINE);
        let refused = |error| self.note(format!("catalogue: {error}; the store works without"));
        opened.map_err(refused).ok().map(|(catalogue, _)| catalogue)
    }

    /// Writes a catalogue anew that grew far beyond what is in it, as sled's do over time.
    fn compact(
        &mut self,
        dir: &Path,
        catalogue: Catalogue,
        entries: &[Entry],
    ) -> io::Result<Option<Catalogue>> {
        let content: usize = entries.iter().map(|(_, entry)| entry.len()).sum();
        let bytes = tree_bytes(dir);
        if bytes <= SPARE_BYTES + GROWTH * content as u64 {
            return Ok(Some(catalogue));
        }
        tracing::info!(bytes, "catalogue is written anew");
        drop(catalogue);
        fs::remove_dir_all(dir)?;
        let new = self.open_new(dir);
        Ok(new.filter(|catalogue| self.put(catalogue, entries, &[])))
    }

    /// Reads the entries, and checks that each sealed segment has as many as it should.
    fn read_entries(&self, lengths: &Lengths, entries: &[Entry]) -> Result<Vec<Found>, String> {
        let mut counts: HashMap<SegmentName, u64> = HashMap::new();
        let mut known = Vec::with_capacity(entries.len());
        for entry in entries {
            let found =
                Described::read_entry(&self.segments, entry).map_err(|error| error.to_string())?;
            *counts.entry(found.1.segment).or_default() += 1;
            known.push(found);
        }
        for (name, live) in &self.manifest.live {
            let Some(sealed) = live.sealed else { continue };
            let count = counts.get(name).copied().unwrap_or(0);
            if lengths.get(name) == Some(&sealed.bytes) && count != sealed.blocks {
                return Err(format!(
                    "it knows {count} blocks of segment {name}, which has {}",
                    sealed.blocks
                ));
            }
        }
        Ok(known)
    }

    /// Makes the catalogue say what was found. `false` if it cannot.
    pub(super) fn mend_catalogue(
        &mut self,
        catalogue: &Catalogue,
        known: &HashSet<u64>,
        believed: &HashSet<SegmentName>,
        kept: &[Found],
    ) -> bool {
        let numbers: HashSet<u64> = kept.iter().map(|(it, _)| it.number).collect();
        let gone: Vec<u64> = known.difference(&numbers).copied().collect();
        let changed = kept
            .iter()
            .filter(|(_, place)| !believed.contains(&place.segment));
        let entries: Vec<Entry> = changed
            .map(|(described, place)| described.catalogue_entry(place))
            .collect();
        self.put(catalogue, &entries, &gone)
    }

    fn put(&mut self, catalogue: &Catalogue, entries: &[Entry], gone: &[u64]) -> bool {
        let put = entries
            .chunks(CHUNK)
            .try_for_each(|chunk| catalogue.change(chunk, &[]))
            .and_then(|()| catalogue.change(&[], gone))
            .and_then(|()| catalogue.flush());
        if let Err(error) = &put {
            self.note(format!("catalogue: {error}; the store works without"));
        }
        put.is_ok()
    }
}
