//! Writing a block part by part, each packed as far as that makes it smaller.

use bytes::Bytes;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use prost::Message as _;

use super::Codec;
use super::directory::{DirectoryRecord, PartRecord};
use super::part::{Kind, LZ4, MAGIC, RAW, VERSION, ZSTD};

const ZSTD_LEVEL: i32 = 1;

/// Writes a block part by part.
pub(super) struct PartWriter {
    bytes: Vec<u8>,
    parts: Vec<PartRecord>,
    /// Raw bytes of the part that is being written, where they do not go to `bytes` at once.
    raw: Vec<u8>,
    raw_total: u64,
    packer: Packer,
}

enum Packer {
    Raw,
    Lz4(CompressTable),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl PartWriter {
    /// A block of about this many bytes.
    pub(super) fn new(codec: Codec, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        let packer = match codec {
            Codec::Raw => Packer::Raw,
            Codec::Lz4 => Packer::Lz4(CompressTable::default()),
            Codec::Zstd => match zstd::bulk::Compressor::new(ZSTD_LEVEL) {
                Ok(compressor) => Packer::Zstd(compressor),
                // Only for want of memory; the block is larger then, and as good.
                Err(_) => Packer::Raw,
            },
        };
        Self {
            bytes,
            parts: Vec::new(),
            raw: Vec::new(),
            raw_total: 0,
            packer,
        }
    }

    /// Adds a part. `write` appends its raw bytes and says how many calls are in it.
    pub(super) fn part(&mut self, kind: Kind, first: u32, write: impl FnOnce(&mut Vec<u8>) -> u32) {
        let start = self.bytes.len();
        let (calls, raw_length, codec) = if let Packer::Raw = self.packer {
            let calls = write(&mut self.bytes);
            (calls, self.bytes.len() - start, RAW)
        } else {
            self.raw.clear();
            let calls = write(&mut self.raw);
            (
                calls,
                self.raw.len(),
                self.packer.pack(&self.raw, &mut self.bytes),
            )
        };
        let written = self.bytes.get(start..).unwrap_or_default();
        self.raw_total += raw_length as u64;
        self.parts.push(PartRecord {
            kind: kind.code(),
            codec,
            length: written.len() as u64,
            raw_length: raw_length as u64,
            crc32: crc32fast::hash(written),
            first,
            calls,
        });
    }

    /// Raw bytes of all parts so far.
    pub(super) fn raw_total(&self) -> u64 {
        self.raw_total
    }

    /// Raw bytes of the last part.
    pub(super) fn last_raw_length(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.raw_length)
    }

    /// Ends the block with its directory, whose parts are filled in here.
    pub(super) fn finish(mut self, mut directory: DirectoryRecord) -> Bytes {
        directory.parts = self.parts;
        let start = self.bytes.len();
        directory.encode_raw(&mut self.bytes);
        let written = self.bytes.get(start..).unwrap_or_default();
        let (length, crc32) = (written.len() as u32, crc32fast::hash(written));
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&crc32.to_le_bytes());
        // Blocks wait in queues that are bounded by their length.
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
}

impl Packer {
    /// Appends `raw` in this codec, or as it is where that is no longer, and says which.
    fn pack(&mut self, raw: &[u8], bytes: &mut Vec<u8>) -> u32 {
        let start = bytes.len();
        let (packed, codec) = match self {
            Self::Raw => (None, RAW),
            Self::Lz4(table) => (pack_lz4(table, raw, bytes), LZ4),
            Self::Zstd(compressor) => (pack_zstd(compressor, raw, bytes), ZSTD),
        };
        match packed {
            Some(length) if length < raw.len() => {
                bytes.truncate(start + length);
                codec
            }
            _ => {
                bytes.truncate(start);
                bytes.extend_from_slice(raw);
                RAW
            }
        }
    }
}

fn pack_lz4(table: &mut CompressTable, raw: &[u8], bytes: &mut Vec<u8>) -> Option<usize> {
    let start = bytes.len();
    bytes.resize(start + get_maximum_output_size(raw.len()), 0);
    compress_into_with_table(raw, bytes.get_mut(start..)?, table).ok()
}

fn pack_zstd(
    compressor: &mut zstd::bulk::Compressor<'static>,
    raw: &[u8],
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    let start = bytes.len();
    // No more room than raw bytes: where they do not fit, they are better left as they are.
    bytes.resize(start + raw.len(), 0);
    compressor
        .compress_to_buffer(raw, bytes.get_mut(start..)?)
        .ok()
}
