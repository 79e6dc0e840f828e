//! Reading a block: its directory at once, its parts when they are asked for.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::index::{Index, find};
use super::part::{Kind, Part};
use super::record::{BodyRecord, HeadRecord, OpenRecord};
use super::{BlockError, BlockMeta, BlockSummary, Columns, Source, columns};
use crate::call::{Call, CallId};

/// A sealed block whose directory has been read. Cheap to clone.
///
/// Its calls are told apart by their position, from 0.
#[derive(Debug, Clone)]
pub struct Block {
    bytes: Bytes,
    index: Arc<Index>,
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
        let index = Arc::new(Index::read(&bytes)?);
        Ok(Self { bytes, index })
    }

    /// Reads everything there is: whether every call of this block can be read.
    pub fn verify(&self) -> Result<(), BlockError> {
        self.columns()?;
        for part in &self.index.heads {
            records::<HeadRecord>(&self.bytes, part)?;
        }
        for part in &self.index.bodies {
            records::<BodyRecord>(&self.bytes, part)?;
        }
        self.open_calls()?;
        Ok(())
    }

    /// What the block says of itself. For a merged block: of the last of its sources, with the
    /// drops of all.
    pub fn meta(&self) -> &BlockMeta {
        &self.index.meta
    }

    /// What lets a question pass the block by.
    pub fn summary(&self) -> &BlockSummary {
        &self.index.summary
    }

    /// The block as it is written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many finished calls there are.
    pub fn len(&self) -> u32 {
        self.index.summary.calls
    }

    /// Whether there is no finished call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The facts that most questions need, of all calls.
    pub fn columns(&self) -> Result<Columns, BlockError> {
        match &self.index.columns {
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
        for part in &self.index.heads {
            all.append(&mut records(&self.bytes, part)?);
        }
        Ok(Heads { records: all })
    }

    /// One call, whole; `None` beyond the last. Reads one frame of heads and one of bodies.
    pub fn call(&self, position: u32) -> Result<Option<Call>, BlockError> {
        let Some(head) = self.head(position)? else {
            return Ok(None);
        };
        let bodies = match find(&self.index.bodies, position) {
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
        for part in &self.index.bodies {
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
        let Some(part) = &self.index.open else {
            return Ok(None);
        };
        let open: Vec<OpenRecord> = records(&self.bytes, part)?;
        Ok(Some(open.into_iter().map(OpenRecord::into_call).collect()))
    }

    /// The blocks that this one was merged from, in the order of their calls; empty for a block as
    /// a sidecar sealed it.
    pub fn sources(&self) -> &[Source] {
        &self.index.sources
    }

    /// The ids of all finished calls, by position. `own_number` is the hub's number of this block,
    /// which counts as long as it is not merged.
    pub fn ids(&self, own_number: u64) -> impl Iterator<Item = CallId> {
        let own = Source {
            block: own_number,
            sequence: self.index.meta.sequence,
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
        let source = self.sources().get(self.index.open_source);
        let (block, calls) = source.map_or((own_number, self.len()), |source| {
            (source.block, source.calls)
        });
        CallId {
            block,
            ordinal: calls.saturating_add(index),
        }
    }

    pub(super) fn has_unknown_parts(&self) -> bool {
        self.index.unknown_parts
    }

    pub(super) fn open_source(&self) -> usize {
        self.index.open_source
    }

    /// The records of a kind as they are written, one per call; bodies that were left out are empty.
    pub(super) fn raw_records(&self, kind: Kind) -> Result<Vec<Bytes>, BlockError> {
        let parts = match kind {
            Kind::Heads => self.index.heads.as_slice(),
            Kind::Bodies => self.index.bodies.as_slice(),
            Kind::Open => self.index.open.as_slice(),
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
        find(&self.index.heads, position)
            .map(|part| record(&self.bytes, part, position))
            .transpose()
    }
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
