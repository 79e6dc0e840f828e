//! A block's entry in the catalogue, and what is stored beside it in its segment.

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::block::{Block, BlockMeta, BlockSummary, Source};
use crate::catalogue::{ENTRY_LIMIT_BYTES, Entry};
use crate::index::{Index, Kept};
use crate::segment::{Location, Record, RecordKind, SegmentName, read_record};

/// A block with all that its entry is made of.
#[derive(Debug, Clone)]
pub(super) struct Described {
    /// The hub's number.
    pub(super) number: u64,
    /// What it says of itself, with the origin that the hub believes.
    pub(super) meta: BlockMeta,
    /// What is in it.
    pub(super) summary: BlockSummary,
    /// The blocks it was merged from, or itself.
    pub(super) sources: Vec<Source>,
}

/// Bytes that are no block of ours, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(String);

impl Described {
    /// Describes a block under the number that it has, or is to have.
    pub(super) fn of(number: u64, meta: BlockMeta, block: &Block) -> Self {
        let mut sources = block.sources().to_vec();
        if sources.is_empty() {
            sources.push(Source {
                block: number,
                sequence: meta.sequence,
                calls: block.len(),
            });
        }
        Self {
            number,
            meta,
            summary: block.summary().clone(),
            sources,
        }
    }

    /// Reads what a record of a segment says; the block's parts are not looked into.
    pub(super) fn read(record: &Record) -> Result<Self, Unreadable> {
        let unreadable = |error: crate::block::BlockError| Unreadable(error.to_string());
        let meta = BlockMeta::decode(&record.meta).map_err(unreadable)?;
        let block = Block::open(record.body.clone()).map_err(unreadable)?;
        Ok(Self::of(record.number, meta, &block))
    }

    /// The entry that the index holds.
    pub(super) fn keep(self, index: &mut Index<Location>, place: Location) -> Kept<Location> {
        Kept {
            number: self.number,
            origin: index.share(self.meta.origin),
            summary: self.summary.into(),
            sources: self.sources,
            drops: self.meta.drops,
            sealed_ns: self.meta.sealed_ns,
            bytes: place.length,
            place,
        }
    }

    /// The entry that the catalogue holds.
    pub(super) fn catalogue_entry(&self, place: &Location) -> Entry {
        let mut record = EntryRecord {
            segment: place.segment.id,
            marker: u64::from_be_bytes(place.segment.marker),
            offset: place.offset,
            length: place.length,
            described: Some(DescribedRecord {
                meta: self.meta.encode().into(),
                summary: self.summary.encode().into(),
                sources: self.sources.iter().map(SourceRecord::of).collect(),
            }),
        };
        if record.encoded_len() > ENTRY_LIMIT_BYTES {
            // Rare, and the block says the same: it is read again at open.
            record.described = None;
        }
        (self.number, record.encode_to_vec())
    }

    /// Reads an entry of the catalogue, with help of its segment where it is too large for one.
    pub(super) fn read_entry(dir: &Path, entry: &Entry) -> Result<(Self, Location), Unreadable> {
        let number = entry.0;
        let unreadable = |why: String| Unreadable(format!("entry of block {number}: {why}"));
        let record = EntryRecord::decode(entry.1.as_slice())
            .map_err(|error| unreadable(error.to_string()))?;
        let place = record.place();
        let Some(described) = record.described else {
            let record = read_record(dir, &place).map_err(|error| unreadable(error.to_string()))?;
            return Ok((Self::read(&record)?, place));
        };
        let described = described
            .into_described(number)
            .map_err(|error| unreadable(error.to_string()))?;
        Ok((described, place))
    }
}

/// The record in which a block is stored.
pub(super) fn block_record(
    number: u64,
    received_ns: i64,
    meta: &BlockMeta,
    block: Bytes,
) -> Record {
    Record {
        kind: RecordKind::BLOCK,
        number,
        received_ns,
        meta: meta.encode().into(),
        body: block,
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct EntryRecord {
    #[prost(uint64, tag = "1")]
    segment: u64,
    #[prost(fixed64, tag = "2")]
    marker: u64,
    #[prost(uint64, tag = "3")]
    offset: u64,
    #[prost(uint64, tag = "4")]
    length: u64,
    #[prost(message, optional, tag = "5")]
    described: Option<DescribedRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DescribedRecord {
    #[prost(bytes = "bytes", tag = "1")]
    meta: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    summary: Bytes,
    #[prost(message, repeated, tag = "3")]
    sources: Vec<SourceRecord>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SourceRecord {
    #[prost(uint64, tag = "1")]
    block: u64,
    #[prost(uint64, tag = "2")]
    sequence: u64,
    #[prost(uint32, tag = "3")]
    calls: u32,
}

impl EntryRecord {
    fn place(&self) -> Location {
        Location {
            segment: SegmentName {
                id: self.segment,
                marker: self.marker.to_be_bytes(),
            },
            offset: self.offset,
            length: self.length,
        }
    }
}

impl DescribedRecord {
    fn into_described(self, number: u64) -> Result<Described, crate::block::BlockError> {
        Ok(Described {
            number,
            meta: BlockMeta::decode(&self.meta)?,
            summary: BlockSummary::decode(&self.summary)?,
            sources: self.sources.iter().map(SourceRecord::source).collect(),
        })
    }
}

impl SourceRecord {
    fn of(source: &Source) -> Self {
        Self {
            block: source.block,
            sequence: source.sequence,
            calls: source.calls,
        }
    }

    fn source(&self) -> Source {
        Source {
            block: self.block,
            sequence: self.sequence,
            calls: self.calls,
        }
    }
}
