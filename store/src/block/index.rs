//! The directory of a block in memory: where its parts lie, and that they can be all there is.

use bytes::Bytes;

use super::part::{HEADER_BYTES, Kind, MAX_RAW_BYTES, Part, read_directory};
use super::summary::{MAX_STATUSES, MAX_WORDS};
use super::{
    BlockError, BlockMeta, BlockSummary, MAX_CALLS, MAX_DROPS, MAX_OPEN_CALLS, MAX_SERVES,
    MAX_SOURCES, Source,
};

/// Largest directory of a block that is not merged: what it says of itself stays in memory.
const MAX_SEALED_DIRECTORY_BYTES: usize = 128 * 1024;
/// Most calls in one frame; their messages are many times larger in memory than on the wire.
const MAX_FRAME_CALLS: u32 = 4_096;

#[derive(Debug)]
pub(super) struct Index {
    pub(super) meta: BlockMeta,
    pub(super) summary: BlockSummary,
    pub(super) columns: Option<Part>,
    /// Frames that follow each other without gaps.
    pub(super) heads: Vec<Part>,
    /// Frames in the order of their calls; calls between them have no bodies.
    pub(super) bodies: Vec<Part>,
    pub(super) open: Option<Part>,
    pub(super) sources: Vec<Source>,
    /// Which of the sources listed the open calls.
    pub(super) open_source: usize,
    /// There are parts that this version cannot read.
    pub(super) unknown_parts: bool,
}

impl Index {
    /// Reads the directory, and checks that the parts are within bounds, own every byte between
    /// header and directory, and cover the calls that the summary counts.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, BlockError> {
        let (record, parts_end) = read_directory(bytes)?;
        let mut index = Self {
            meta: record.meta.unwrap_or_default().into(),
            summary: record.summary.unwrap_or_default().into(),
            columns: None,
            heads: Vec::new(),
            bodies: Vec::new(),
            open: None,
            sources: record.sources.into_iter().map(Into::into).collect(),
            open_source: record.open_source as usize,
            unknown_parts: false,
        };
        let mut start = HEADER_BYTES;
        let mut raw_total = 0_u64;
        for record in &record.parts {
            if let Some(kind) = Kind::from_code(record.kind) {
                index.add(Part::new(kind, start, record)?)?;
                raw_total = raw_total.saturating_add(record.raw_length);
            } else {
                index.unknown_parts = true;
            }
            start = usize::try_from(record.length)
                .ok()
                .and_then(|length| start.checked_add(length))
                .filter(|&end| end <= parts_end)
                .ok_or_else(|| damaged("a part reaches beyond the block"))?;
        }
        if start != parts_end {
            return Err(damaged("there are bytes that no part owns"));
        }
        if raw_total > MAX_RAW_BYTES {
            return Err(damaged("the parts are too large together"));
        }
        if index.sources.is_empty() && bytes.len() - parts_end > MAX_SEALED_DIRECTORY_BYTES {
            return Err(damaged("it is too large"));
        }
        index.check_calls()?;
        index.check_lists()?;
        Ok(index)
    }

    fn add(&mut self, part: Part) -> Result<(), BlockError> {
        let slot = match part.kind {
            Kind::Columns => &mut self.columns,
            Kind::Open => &mut self.open,
            Kind::Heads => return add_frame(&mut self.heads, part),
            Kind::Bodies => return add_frame(&mut self.bodies, part),
        };
        match slot.replace(part) {
            None => Ok(()),
            Some(_) => Err(part.kind.damaged("there are two of them")),
        }
    }

    /// That the parts cover the calls that the summary counts.
    fn check_calls(&self) -> Result<(), BlockError> {
        let calls = self.summary.calls;
        if calls as usize > MAX_CALLS {
            return Err(damaged("there are too many calls"));
        }
        if self.columns.map_or(0, |part| part.calls) != calls {
            return Err(Kind::Columns.damaged("they do not describe every call"));
        }
        if self.heads.last().map_or(0, Part::end_call) != u64::from(calls) {
            return Err(Kind::Heads.damaged("there is not one for every call"));
        }
        if self.bodies.last().map_or(0, Part::end_call) > u64::from(calls) {
            return Err(Kind::Bodies.damaged("there are more than calls"));
        }
        if self.open.map_or(0, |part| part.calls) as usize > MAX_OPEN_CALLS {
            return Err(Kind::Open.damaged("there are too many"));
        }
        let merged: u64 = self
            .sources
            .iter()
            .map(|source| u64::from(source.calls))
            .sum();
        if !self.sources.is_empty()
            && (merged != u64::from(calls) || self.open_source >= self.sources.len())
        {
            return Err(damaged("the merged blocks do not add up"));
        }
        Ok(())
    }

    /// That no list is longer than a writer makes it.
    fn check_lists(&self) -> Result<(), BlockError> {
        let summary = &self.summary;
        let words = [&summary.methods, &summary.hosts, &summary.routes];
        let statuses = summary.status_codes.as_ref().map_or(0, Vec::len);
        let most_words = words.into_iter().flatten().map(Vec::len).max().unwrap_or(0);
        for (list, length, most) in [
            ("sources", self.sources.len(), MAX_SOURCES),
            ("drops", self.meta.drops.len(), MAX_DROPS),
            ("addresses", self.meta.origin.serves.len(), MAX_SERVES),
            ("words", most_words, MAX_WORDS),
            ("statuses", statuses, MAX_STATUSES),
        ] {
            if length > most {
                return Err(damaged(&format!("{length} {list} are too many")));
            }
        }
        Ok(())
    }
}

/// Frames lie in the order of their calls, and do not overlap; those of heads have no gaps.
fn add_frame(frames: &mut Vec<Part>, part: Part) -> Result<(), BlockError> {
    let end = frames.last().map_or(0, Part::end_call);
    let first = u64::from(part.first);
    let follows = match part.kind {
        Kind::Heads => first == end,
        _ => first >= end,
    };
    if !follows || !(1..=MAX_FRAME_CALLS).contains(&part.calls) {
        return Err(part.kind.damaged("the frames are not in order"));
    }
    frames.push(part);
    Ok(())
}

/// The frame that holds the call at a position.
pub(super) fn find(frames: &[Part], position: u32) -> Option<&Part> {
    let after = frames.partition_point(|part| part.first <= position);
    let part = frames.get(after.checked_sub(1)?)?;
    (u64::from(position) < part.end_call()).then_some(part)
}

fn damaged(reason: &str) -> BlockError {
    BlockError::Damaged {
        part: "directory",
        reason: reason.to_owned(),
    }
}
