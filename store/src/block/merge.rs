//! Many small blocks into one that packs better, with every call keeping its id.

use bytes::Bytes;

use super::columns::ColumnsBuilder;
use super::directory::DirectoryRecord;
use super::part::{Kind, MAX_RAW_BYTES};
use super::seal::{BODIES_PER_FRAME, FRAME_BYTES, HEADS_PER_FRAME};
use super::writer::PartWriter;
use super::{
    Block, BlockError, BlockMeta, BlockSummary, Codec, MAX_CALLS, MAX_DROPS, MAX_SOURCES, Source,
    join_drops,
};

/// Merges blocks, each with the hub's number of it, into one that is compressed with zstd.
///
/// They are of one incarnation and one redaction key, and come in the order of their sequences.
/// Calls keep their ids, and the order in which they are given. Of the lists of open calls the last
/// one stays. Records are copied as they are, so what a newer sidecar wrote into them is kept; a
/// block with whole parts that are unknown here is refused, and best left alone.
pub fn merge(blocks: &[(u64, Block)]) -> Result<Bytes, BlockError> {
    check(blocks)?;
    let mut columns = ColumnsBuilder::default();
    let mut sources = Vec::new();
    let mut open = None;
    for (number, block) in blocks {
        let first_source = sources.len();
        add_sources(&mut sources, *number, block);
        columns.extend(&block.columns()?);
        if block.summary().open.is_some() {
            open = Some((block, first_source + block.open_source()));
        }
    }
    let mut writer = PartWriter::new(Codec::Zstd, capacity(blocks));
    let calls = columns.columns.len() as u32;
    writer.part(Kind::Columns, 0, |raw| {
        columns.write(raw);
        calls
    });
    check_size(&writer, Kind::Columns)?;
    write_frames(&mut writer, Kind::Heads, HEADS_PER_FRAME, blocks)?;
    write_frames(&mut writer, Kind::Bodies, BODIES_PER_FRAME, blocks)?;
    if let Some((block, _)) = open {
        let records = block.raw_records(Kind::Open)?;
        writer.part(Kind::Open, 0, |raw| append(&records, raw));
    }
    let running = open.and_then(|(block, _)| block.summary().open);
    Ok(writer.finish(DirectoryRecord {
        meta: Some((&merged_meta(blocks)).into()),
        summary: Some((&BlockSummary::of(&columns, running)).into()),
        parts: Vec::new(),
        sources: sources.iter().map(Into::into).collect(),
        open_source: open.map_or(0, |(_, source)| source as u32),
    }))
}

fn check(blocks: &[(u64, Block)]) -> Result<(), BlockError> {
    let unmergeable = |reason: &str| Err(BlockError::Unmergeable(reason.to_owned()));
    let Some((_, first)) = blocks.first() else {
        return unmergeable("there are none");
    };
    let (mut calls, mut sources) = (0, 0);
    for (_, block) in blocks {
        let (meta, expected) = (block.meta(), first.meta());
        if meta.origin.incarnation != expected.origin.incarnation {
            return unmergeable("they are of different sidecars");
        }
        if meta.redaction_key != expected.redaction_key {
            return unmergeable("their tags are made with different keys");
        }
        if block.has_unknown_parts() {
            return unmergeable("one has parts that only newer versions know");
        }
        calls += block.len() as usize;
        sources += block.sources().len().max(1);
    }
    if calls > MAX_CALLS || sources > MAX_SOURCES {
        return unmergeable("they are too many for one");
    }
    Ok(())
}

fn check_size(writer: &PartWriter, kind: Kind) -> Result<(), BlockError> {
    if writer.last_raw_length() > kind.max_raw_bytes() || writer.raw_total() > MAX_RAW_BYTES {
        return Err(BlockError::Unmergeable("they are too large for one".into()));
    }
    Ok(())
}

fn add_sources(sources: &mut Vec<Source>, number: u64, block: &Block) {
    if block.sources().is_empty() {
        sources.push(Source {
            block: number,
            sequence: block.meta().sequence,
            calls: block.len(),
        });
    } else {
        sources.extend_from_slice(block.sources());
    }
}

fn capacity(blocks: &[(u64, Block)]) -> usize {
    blocks.iter().map(|(_, block)| block.bytes().len()).sum()
}

/// Writes the records of all blocks into frames of full size.
fn write_frames(
    writer: &mut PartWriter,
    kind: Kind,
    per_frame: usize,
    blocks: &[(u64, Block)],
) -> Result<(), BlockError> {
    let mut frame: Vec<Bytes> = Vec::new();
    let mut frame_bytes = 0;
    let mut first = 0;
    for (_, block) in blocks {
        for record in block.raw_records(kind)? {
            frame_bytes += record.len();
            frame.push(record);
            if frame.len() == per_frame || frame_bytes >= FRAME_BYTES {
                write_frame(writer, kind, &mut first, &mut frame);
                check_size(writer, kind)?;
                frame_bytes = 0;
            }
        }
    }
    write_frame(writer, kind, &mut first, &mut frame);
    check_size(writer, kind)
}

fn write_frame(writer: &mut PartWriter, kind: Kind, first: &mut u32, frame: &mut Vec<Bytes>) {
    let is_needed = match kind {
        Kind::Bodies => frame.iter().any(|record| !record.is_empty()),
        _ => !frame.is_empty(),
    };
    if is_needed {
        writer.part(kind, *first, |raw| append(frame, raw));
    }
    *first += frame.len() as u32;
    frame.clear();
}

fn append(records: &[Bytes], raw: &mut Vec<u8>) -> u32 {
    for record in records {
        prost::encode_length_delimiter(record.len(), raw)
            .expect("a vector takes as much as there is");
        raw.extend_from_slice(record);
    }
    records.len() as u32
}

/// What the last block says of itself, with the drops of all.
fn merged_meta(blocks: &[(u64, Block)]) -> BlockMeta {
    let last = blocks.iter().map(|(_, block)| block.meta());
    let mut meta = last
        .max_by_key(|meta| meta.sequence)
        .cloned()
        .unwrap_or_default();
    let drops = blocks.iter().flat_map(|(_, block)| &block.meta().drops);
    meta.drops = join_drops(drops, MAX_DROPS);
    meta
}
