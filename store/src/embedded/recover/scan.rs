//! Which segments are read through, and what is said of those that lack something.

use std::collections::{HashMap, HashSet};
use std::io;

use super::{Found, Lengths, Recovery};
use crate::embedded::entry::Described;
use crate::segment::{RECORD_HEADER_BYTES, RecordKind, ScanEnd, SegmentName, scan};
use crate::snapshot::record;

impl Recovery<'_> {
    /// Segments that need not be read through.
    pub(super) fn believed(&self, lengths: &Lengths, known: &[Found]) -> HashSet<SegmentName> {
        let mut counts: HashMap<SegmentName, u64> = HashMap::new();
        for (_, place) in known {
            *counts.entry(place.segment).or_default() += 1;
        }
        let as_sealed = self.manifest.live.iter().filter(|(name, live)| {
            live.sealed.is_some_and(|sealed| {
                lengths.get(name) == Some(&sealed.bytes)
                    && counts.get(name).copied().unwrap_or(0) == sealed.blocks
            })
        });
        as_sealed.map(|(name, _)| *name).collect()
    }

    /// Reads through each segment that is not believed.
    pub(super) fn scan_segments(
        &mut self,
        believed: &HashSet<SegmentName>,
    ) -> io::Result<(Vec<Found>, HashMap<SegmentName, ScanEnd>)> {
        let names = self.manifest.live.keys().copied();
        let doubted: Vec<_> = names.filter(|name| !believed.contains(name)).collect();
        let mut all = Vec::new();
        let mut ends = HashMap::new();
        for name in doubted {
            let mut unreadable = Vec::new();
            let before = all.len();
            let end = scan(&self.segments, name, |place, record| {
                if record.kind == RecordKind::SNAPSHOT {
                    match record::decode(&record.body) {
                        Ok(shelved) => self.shelf.learn(shelved, Some(name.id)),
                        Err(why) => unreadable.push(format!("a snapshot: {why}")),
                    }
                }
                if record.kind != RecordKind::BLOCK {
                    return Ok(());
                }
                match Described::read(&record) {
                    Ok(described) => all.push((described, place)),
                    Err(why) => unreadable.push(format!("block {}: {why}", record.number)),
                }
                Ok(())
            })?;
            self.tell(name, &end, unreadable, all.len() - before);
            ends.insert(name, end);
        }
        Ok((all, ends))
    }

    /// Says what a segment that was read through lacks.
    fn tell(&mut self, name: SegmentName, end: &ScanEnd, unreadable: Vec<String>, found: usize) {
        let damages = end.damages.iter().map(|damage| {
            let bytes = damage.to - damage.from;
            format!("{bytes} bytes at {}: {}", damage.from, damage.why)
        });
        let mut lasting: Vec<String> = damages.chain(unreadable).collect();
        let sealed = self.manifest.live.get(&name).and_then(|live| live.sealed);
        if let Some(sealed) = sealed
            && (found as u64) < sealed.blocks
        {
            lasting.push(format!("it had {} blocks, {found} are left", sealed.blocks));
        }
        for damage in lasting {
            let note = format!("segment {name}: {damage}");
            if let Some(live) = self.manifest.live.get_mut(&name) {
                live.note(note.clone());
            }
            if !self.notes.contains(&note) {
                self.note(note);
            }
        }
        if end.torn_bytes > 0 {
            self.note(format!(
                "segment {name}: the last {} bytes are a part of a record and were cut off",
                end.torn_bytes
            ));
        }
        let damaged: u64 = end.damages.iter().map(|it| it.to - it.from).sum();
        let bytes = damaged + end.torn_bytes;
        if bytes > 0 {
            self.lost_numbers += 1 + bytes / RECORD_HEADER_BYTES;
        }
    }

    /// Says which blocks the catalogue knows that their segments no longer hold.
    pub(super) fn compare(&mut self, doubted: &[Found], scanned: &[Found]) {
        let scanned: HashSet<u64> = scanned.iter().map(|(it, _)| it.number).collect();
        let lost: Vec<u64> = doubted
            .iter()
            .filter(|(_, place)| self.manifest.live.contains_key(&place.segment))
            .map(|(described, _)| described.number)
            .filter(|number| !scanned.contains(number))
            .collect();
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            let count = lost.len();
            self.note(format!(
                "{count} blocks between {first} and {last} are not in their segment any more"
            ));
        }
    }
}
