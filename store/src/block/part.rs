//! How the parts of a block lie in its bytes: writing them, finding them again, and the bounds on
//! what is unpacked.

use std::cell::RefCell;

use bytes::Bytes;
use prost::Message as _;

use super::directory::{DirectoryRecord, PartRecord};
use super::{BlockError, Codec};

const MAGIC: &[u8; 7] = b"RMRABLK";
const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = MAGIC.len() + 1;
/// Length of the directory and its CRC.
const FOOTER_BYTES: usize = 8;

/// Largest directory: one of a merged block of [`super::MAX_CALLS`] calls fits.
const MAX_DIRECTORY_BYTES: usize = 1024 * 1024;
/// Most that all parts of a block may unpack to.
pub(super) const MAX_RAW_BYTES: u64 = 256 * 1024 * 1024;
/// LZ4 cannot do better than this.
const MAX_LZ4_RATIO: usize = 255;
const ZSTD_LEVEL: i32 = 1;

const RAW: u32 = 0;
const LZ4: u32 = 1;
const ZSTD: u32 = 2;

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Columns,
    Heads,
    Bodies,
    Open,
}

impl Kind {
    const fn code(self) -> u32 {
        match self {
            Self::Columns => 1,
            Self::Heads => 2,
            Self::Bodies => 3,
            Self::Open => 4,
        }
    }

    pub(super) const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Columns),
            2 => Some(Self::Heads),
            3 => Some(Self::Bodies),
            4 => Some(Self::Open),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Heads => "heads",
            Self::Bodies => "bodies",
            Self::Open => "open calls",
        }
    }

    /// Most bytes that one part may unpack to. Small for heads, because their messages are many
    /// times larger in memory than on the wire.
    pub(super) const fn max_raw_bytes(self) -> u64 {
        match self {
            Self::Columns => 32 * 1024 * 1024,
            Self::Heads => 4 * 1024 * 1024,
            Self::Bodies | Self::Open => 16 * 1024 * 1024,
        }
    }

    pub(super) fn damaged(self, reason: impl Into<String>) -> BlockError {
        BlockError::Damaged {
            part: self.name(),
            reason: reason.into(),
        }
    }
}

/// A part that was found in a directory and lies within the block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) first: u32,
    pub(super) calls: u32,
    codec: u32,
    start: usize,
    end: usize,
    raw_bytes: usize,
    crc32: u32,
}

impl Part {
    /// The part for an entry of a directory whose bytes begin at `start`.
    pub(super) fn new(kind: Kind, start: usize, record: &PartRecord) -> Result<Self, BlockError> {
        if record.raw_length > kind.max_raw_bytes() {
            return Err(kind.damaged(format!("{} bytes are too many", record.raw_length)));
        }
        let length = usize::try_from(record.length).ok();
        let end = length
            .and_then(|length| start.checked_add(length))
            .ok_or_else(|| kind.damaged("its end is nowhere"))?;
        Ok(Self {
            kind,
            first: record.first,
            calls: record.calls,
            codec: record.codec,
            start,
            end,
            raw_bytes: record.raw_length as usize,
            crc32: record.crc32,
        })
    }

    /// Position after the last call in it.
    pub(super) fn end_call(&self) -> u64 {
        u64::from(self.first) + u64::from(self.calls)
    }

    /// Checks the part and unpacks it.
    pub(super) fn read(&self, block: &Bytes) -> Result<Bytes, BlockError> {
        let written = (self.end <= block.len())
            .then(|| block.slice(self.start..self.end))
            .ok_or_else(|| self.kind.damaged("it reaches beyond the block"))?;
        check_crc(&written, self.crc32, self.kind.name())?;
        let raw = match self.codec {
            RAW => written,
            LZ4 => self.unpack_lz4(&written)?,
            ZSTD => unpack_zstd(&written, self.raw_bytes)
                .map_err(|error| self.kind.damaged(format!("zstd: {error}")))?,
            codec => {
                let part = self.kind.name();
                return Err(BlockError::UnknownCodec { part, codec });
            }
        };
        if raw.len() != self.raw_bytes {
            let (is, said) = (raw.len(), self.raw_bytes);
            return Err(self.kind.damaged(format!("{is} bytes instead of {said}")));
        }
        Ok(raw)
    }

    fn unpack_lz4(&self, written: &[u8]) -> Result<Bytes, BlockError> {
        if self.raw_bytes / MAX_LZ4_RATIO > written.len() {
            return Err(self.kind.damaged("lz4: more than lz4 can hold"));
        }
        let mut raw = vec![0; self.raw_bytes];
        let length = lz4_flex::block::decompress_into(written, &mut raw)
            .map_err(|error| self.kind.damaged(format!("lz4: {error}")))?;
        raw.truncate(length);
        Ok(raw.into())
    }
}

fn unpack_zstd(written: &[u8], raw_bytes: usize) -> std::io::Result<Bytes> {
    thread_local! {
        // A context costs more to set up than most parts cost to unpack.
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(zstd::bulk::Decompressor::new()?),
        };
        context.decompress(written, raw_bytes).map(Bytes::from)
    })
}

fn check_crc(written: &[u8], expected: u32, part: &'static str) -> Result<(), BlockError> {
    // A fuzzer cannot guess checksums, and the code behind them is what it is to try.
    if cfg!(fuzzing) || crc32fast::hash(written) == expected {
        return Ok(());
    }
    Err(BlockError::Damaged {
        part,
        reason: "the checksum does not match".to_owned(),
    })
}

/// Reads the directory of a block, and says where it begins.
pub(super) fn read_directory(block: &Bytes) -> Result<(DirectoryRecord, usize), BlockError> {
    let damaged = |reason: &str| BlockError::Damaged {
        part: "directory",
        reason: reason.to_owned(),
    };
    match block.strip_prefix(MAGIC) {
        Some([VERSION, ..]) => {}
        None | Some([] | [0, ..]) => return Err(BlockError::NotABlock),
        Some(&[version, ..]) => {
            return Err(BlockError::Newer {
                version,
                supported: VERSION,
            });
        }
    }
    let footer = block
        .len()
        .checked_sub(FOOTER_BYTES)
        .filter(|&footer| footer >= HEADER_BYTES)
        .ok_or_else(|| damaged("it is missing"))?;
    let mut fields = block.slice(footer..);
    let length = bytes::Buf::get_u32_le(&mut fields) as usize;
    let crc32 = bytes::Buf::get_u32_le(&mut fields);
    let start = footer
        .checked_sub(length)
        .filter(|&start| start >= HEADER_BYTES && length <= MAX_DIRECTORY_BYTES)
        .ok_or_else(|| damaged("its length cannot be"))?;
    let directory = block.slice(start..footer);
    check_crc(&directory, crc32, "directory")?;
    let directory =
        DirectoryRecord::decode(directory).map_err(|error| damaged(&error.to_string()))?;
    Ok((directory, start))
}

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
    Lz4(lz4_flex::block::CompressTable),
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
            Codec::Lz4 => Packer::Lz4(lz4_flex::block::CompressTable::default()),
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

fn pack_lz4(
    table: &mut lz4_flex::block::CompressTable,
    raw: &[u8],
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    use lz4_flex::block::{compress_into_with_table, get_maximum_output_size};
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
