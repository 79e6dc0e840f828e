//! Reading a block: its directory at once, its parts when they are asked for.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::part::{HEADER_BYTES, Kind, MAX_RAW_BYTES, Part, read_directory};
use super::record::{BodyRecord, HeadRecord, OpenRecord};
use super::{
    BlockError, BlockMeta, BlockSummary, Columns, MAX_CALLS, MAX_OPEN_CALLS, MAX_SOURCES, Source,
    columns,
};
use crate::call::{Call, CallId};

/// A sealed block whose directory has been read. Cheap to clone.
///
/// Its calls are told apart by their position, from 0.
#[derive(Debug, Clone)]
pub struct Block {
    bytes: Bytes,
    directory: Arc<Directory>,
}

#[derive(Debug)]
struct Directory {
    meta: BlockMeta,
    summary: BlockSummary,
    columns: Option<Part>,
    heads: Vec<Part>,
    bodies: Vec<Part>,
    open: Option<Part>,
    sources: Vec<Source>,
    /// Which of the sources listed the open calls.
    open_source: usize,
    /// There are parts that this version cannot read.
    unknown_parts: bool,
}

/// The verbatim heads and trailers of all calls of a block, by position.
#[derive(Debug, Clone)]
pub struct Heads {
    records: Vec<HeadRecord>,
}

impl Block {
    /// Reads the directory: magic, version, checksum, and that every part lies within the block.
    ///
    /// The parts themselves are checked when they are read, or all at once by [`Self::verify`].
    pub fn open(bytes: Bytes) -> Result<Self, BlockError> {
        let (record, parts_end) = read_directory(&bytes)?;
        let summary: BlockSummary = record.summary.unwrap_or_default().into();
        let mut directory = Directory {
            meta: record.meta.unwrap_or_default().into(),
            summary,
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
            let kind = Kind::from_code(record.kind);
            if let Some(kind) = kind {
                directory.add(Part::new(kind, start, record)?)?;
                raw_total = raw_total.saturating_add(record.raw_length);
            } else {
                directory.unknown_parts = true;
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
        directory.check()?;
        Ok(Self {
            bytes,
            directory: Arc::new(directory),
        })
    }

    /// Reads everything there is: whether every call of this block can be read.
    pub fn verify(&self) -> Result<(), BlockError> {
        self.columns()?;
        for part in &self.directory.heads {
            records::<HeadRecord>(&self.bytes, part)?;
        }
        for part in &self.directory.bodies {
            records::<BodyRecord>(&self.bytes, part)?;
        }
        self.open_calls()?;
        Ok(())
    }

    /// What the block says of itself. For a merged block: of the last of its sources, with the
    /// drops of all.
    pub fn meta(&self) -> &BlockMeta {
        &self.directory.meta
    }

    /// What lets a question pass the block by.
    pub fn summary(&self) -> &BlockSummary {
        &self.directory.summary
    }

    /// The block as it is written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many finished calls there are.
    pub fn len(&self) -> u32 {
        self.directory.summary.calls
    }

    /// Whether there is no finished call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The facts that most questions need, of all calls.
    pub fn columns(&self) -> Result<Columns, BlockError> {
        match &self.directory.columns {
            Some(part) => columns::read(part.read(&self.bytes)?, part.calls as usize),
            None => Ok(Columns {
                texts: vec![String::new()],
                ..Columns::default()
            }),
        }
    }

    /// All heads and trailers; no body is read for it.
    pub fn heads(&self) -> Result<Heads, BlockError> {
        let mut all = Vec::with_capacity(self.len() as usize);
        for part in &self.directory.heads {
            all.append(&mut records(&self.bytes, part)?);
        }
        Ok(Heads { records: all })
    }

    /// One call, whole; `None` beyond the last. Reads one frame of heads and one of bodies.
    pub fn call(&self, position: u32) -> Result<Option<Call>, BlockError> {
        let Some(head) = self.head(position)? else {
            return Ok(None);
        };
        let bodies = match find(&self.directory.bodies, position) {
            Some(part) => record(&self.bytes, part, position)?,
            None => BodyRecord::default(),
        };
        Ok(Some(head.into_call(bodies)))
    }

    /// One call with empty bodies; their sizes and digests are there.
    pub fn call_without_bodies(&self, position: u32) -> Result<Option<Call>, BlockError> {
        let head = self.head(position)?;
        Ok(head.map(|head| head.into_call(BodyRecord::default())))
    }

    /// All finished calls, whole.
    pub fn calls(&self) -> Result<Vec<Call>, BlockError> {
        let heads = self.heads()?.records;
        let mut bodies = vec![BodyRecord::default(); heads.len()];
        for part in &self.directory.bodies {
            let frame = records(&self.bytes, part)?;
            let slots = bodies.iter_mut().skip(part.first as usize);
            for (slot, record) in slots.zip(frame) {
                *slot = record;
            }
        }
        let calls = heads.into_iter().zip(bodies);
        Ok(calls.map(|(head, bodies)| head.into_call(bodies)).collect())
    }

    /// All calls that were open when the block was sealed; `None` if it does not say, and what was
    /// said before still holds.
    pub fn open_calls(&self) -> Result<Option<Vec<Call>>, BlockError> {
        let Some(part) = &self.directory.open else {
            return Ok(None);
        };
        let open: Vec<OpenRecord> = records(&self.bytes, part)?;
        Ok(Some(open.into_iter().map(OpenRecord::into_call).collect()))
    }

    /// The blocks that this one was merged from, in the order of their calls; empty for a block as
    /// a sidecar sealed it.
    pub fn sources(&self) -> &[Source] {
        &self.directory.sources
    }

    /// The ids of all finished calls, by position. `own_number` is the hub's number of this block,
    /// which counts as long as it is not merged.
    pub fn ids(&self, own_number: u64) -> impl Iterator<Item = CallId> {
        let own = Source {
            block: own_number,
            sequence: self.directory.meta.sequence,
            calls: self.len(),
        };
        let own = self.sources().is_empty().then_some(own);
        let sources = self.sources().iter().copied().chain(own);
        sources.flat_map(|source| {
            (0..source.calls).map(move |ordinal| CallId {
                block: source.block,
                ordinal,
            })
        })
    }

    /// Where the call of this id is; `None` if it is not a finished call of this block.
    pub fn position_of(&self, own_number: u64, id: CallId) -> Option<u32> {
        if self.sources().is_empty() {
            return (id.block == own_number && id.ordinal < self.len()).then_some(id.ordinal);
        }
        let mut first = 0;
        for source in self.sources() {
            if source.block == id.block {
                return (id.ordinal < source.calls).then_some(first + id.ordinal);
            }
            first += source.calls;
        }
        None
    }

    /// The id of an open call by its place in [`Self::open_calls`]: it follows the finished calls
    /// of the block that listed it.
    pub fn open_id(&self, own_number: u64, index: u32) -> CallId {
        let source = self.sources().get(self.directory.open_source);
        let (block, calls) = source.map_or((own_number, self.len()), |source| {
            (source.block, source.calls)
        });
        CallId {
            block,
            ordinal: calls.saturating_add(index),
        }
    }

    pub(super) fn has_unknown_parts(&self) -> bool {
        self.directory.unknown_parts
    }

    pub(super) fn open_source(&self) -> usize {
        self.directory.open_source
    }

    /// The records of a kind as they are written, one per call; bodies that were left out are empty.
    pub(super) fn raw_records(&self, kind: Kind) -> Result<Vec<Bytes>, BlockError> {
        let parts = match kind {
            Kind::Heads => self.directory.heads.as_slice(),
            Kind::Bodies => self.directory.bodies.as_slice(),
            Kind::Open => self.directory.open.as_slice(),
            Kind::Columns => &[],
        };
        let mut all = Vec::new();
        for part in parts {
            if kind != Kind::Open {
                all.resize(part.first as usize, Bytes::new());
            }
            let mut raw = part.read(&self.bytes)?;
            for _ in 0..part.calls {
                all.push(split_record(&mut raw, part.kind)?);
            }
        }
        if kind == Kind::Bodies {
            all.resize(self.len() as usize, Bytes::new());
        }
        Ok(all)
    }

    fn head(&self, position: u32) -> Result<Option<HeadRecord>, BlockError> {
        find(&self.directory.heads, position)
            .map(|part| record(&self.bytes, part, position))
            .transpose()
    }
}

impl Directory {
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
    fn check(&self) -> Result<(), BlockError> {
        let calls = self.summary.calls;
        if calls as usize > MAX_CALLS {
            return Err(damaged("there are too many calls"));
        }
        if self.columns.map_or(0, |part| part.calls) != calls {
            return Err(Kind::Columns.damaged("they do not describe every call"));
        }
        let heads: u64 = self.heads.iter().map(|part| u64::from(part.calls)).sum();
        if u64::from(calls) != heads {
            return Err(Kind::Heads.damaged("there is not one for every call"));
        }
        if self.bodies.last().map_or(0, Part::end_call) > u64::from(calls) {
            return Err(Kind::Bodies.damaged("there are more than calls"));
        }
        if self.open.map_or(0, |part| part.calls) as usize > MAX_OPEN_CALLS {
            return Err(Kind::Open.damaged("there are too many"));
        }
        if self.sources.is_empty() {
            return Ok(());
        }
        let merged: u64 = self
            .sources
            .iter()
            .map(|source| u64::from(source.calls))
            .sum();
        if u64::from(calls) != merged
            || self.sources.len() > MAX_SOURCES
            || self.open_source >= self.sources.len()
        {
            return Err(damaged("the merged blocks do not add up"));
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
    if !follows || part.calls == 0 {
        return Err(part.kind.damaged("the frames are not in order"));
    }
    frames.push(part);
    Ok(())
}

impl Heads {
    /// Head of the request; empty beyond the last call.
    pub fn request(&self, position: usize) -> &[u8] {
        let message = self
            .record(position)
            .and_then(|record| record.request.as_ref());
        message.map_or(&[], |message| &message.head)
    }

    /// Head of the final response; empty while there is none.
    pub fn response(&self, position: usize) -> &[u8] {
        let message = self
            .record(position)
            .and_then(|record| record.response.as_ref());
        message.map_or(&[], |message| &message.head)
    }

    /// The call with empty bodies.
    pub fn call(&self, position: usize) -> Option<Call> {
        let record = self.record(position)?;
        Some(record.clone().into_call(BodyRecord::default()))
    }

    fn record(&self, position: usize) -> Option<&HeadRecord> {
        self.records.get(position)
    }
}

/// The frame that holds the call at a position.
fn find(frames: &[Part], position: u32) -> Option<&Part> {
    let after = frames.partition_point(|part| part.first <= position);
    let part = frames.get(after.checked_sub(1)?)?;
    (u64::from(position) < part.end_call()).then_some(part)
}

/// All records of a frame.
fn records<M: prost::Message + Default>(block: &Bytes, part: &Part) -> Result<Vec<M>, BlockError> {
    let mut raw = part.read(block)?;
    let records = (0..part.calls)
        .map(|_| decode(split_record(&mut raw, part.kind)?, part.kind))
        .collect::<Result<_, _>>()?;
    if raw.has_remaining() {
        return Err(part.kind.damaged("there are bytes after the last call"));
    }
    Ok(records)
}

/// One record of a frame; those before it are only stepped over.
fn record<M: prost::Message + Default>(
    block: &Bytes,
    part: &Part,
    position: u32,
) -> Result<M, BlockError> {
    let mut raw = part.read(block)?;
    for _ in part.first..position {
        split_record(&mut raw, part.kind)?;
    }
    decode(split_record(&mut raw, part.kind)?, part.kind)
}

fn decode<M: prost::Message + Default>(record: Bytes, kind: Kind) -> Result<M, BlockError> {
    M::decode(record).map_err(|error| kind.damaged(error.to_string()))
}

fn split_record(raw: &mut Bytes, kind: Kind) -> Result<Bytes, BlockError> {
    let length = prost::decode_length_delimiter(&mut *raw)
        .map_err(|error| kind.damaged(error.to_string()))?;
    if length > raw.len() {
        return Err(kind.damaged("a call reaches beyond its frame"));
    }
    Ok(raw.split_to(length))
}

fn damaged(reason: &str) -> BlockError {
    BlockError::Damaged {
        part: "directory",
        reason: reason.to_owned(),
    }
}
