//! How the parts of a block lie in its bytes, how one is unpacked, and the bounds on that.

use std::cell::RefCell;

use bytes::Bytes;
use prost::Message as _;

use super::BlockError;
use super::directory::{DirectoryRecord, PartRecord};

pub(super) const MAGIC: &[u8; 7] = b"RMRABLK";
pub(super) const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = MAGIC.len() + 1;
/// Length of the directory and its CRC.
const FOOTER_BYTES: usize = 8;

/// Largest directory: one of a merged block of [`super::MAX_CALLS`] calls fits.
const MAX_DIRECTORY_BYTES: usize = 1024 * 1024;
/// Most that all parts of a block may unpack to.
pub(super) const MAX_RAW_BYTES: u64 = 256 * 1024 * 1024;
/// LZ4 cannot do better than this.
const MAX_LZ4_RATIO: usize = 255;

pub(super) const RAW: u32 = 0;
pub(super) const LZ4: u32 = 1;
pub(super) const ZSTD: u32 = 2;

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Columns,
    Heads,
    Bodies,
    Open,
}

impl Kind {
    pub(super) const fn code(self) -> u32 {
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
