//! Append-only files of records: the bytes of blocks, and whatever else must survive.
//!
//! Owns the form of a segment on disk: its name, its records, how they are appended, read back and
//! found again behind damage. What a record's bytes mean, which segments exist and when one goes is
//! [`crate::embedded`]'s business.
//!
//! A segment is a file header and then records without gaps. Each record begins with the segment's
//! *marker*: eight random bytes that are part of the file's name. A scan that met damage looks for
//! the next marker; recorded traffic cannot contain one, since nobody outside knows it.

mod append;
mod read;
mod scan;

#[cfg(test)]
pub(crate) use append::Fault;
pub(crate) use append::{AppendError, SegmentWriter, is_full};
pub(crate) use read::{ReadError, read_record};
pub(crate) use scan::{ScanEnd, scan};

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// First bytes of each file; the last byte is the version of the format.
const FILE_HEADER: &[u8; 16] = b"remora segment\0\x01";

/// End of a segment's file name.
const SUFFIX: &str = ".seg";

/// What follows it while the segment is being written from others.
const UNFINISHED: &str = ".merging";

/// Bytes before the first record.
pub(crate) const FILE_HEADER_BYTES: u64 = FILE_HEADER.len() as u64;

/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER_BYTES: u64 = RecordHeader::BYTES as u64;

/// Most payload bytes in one record: a block of 4 MiB and what is stored beside it.
const PAYLOAD_LIMIT_BYTES: u64 = /* 16 MiB */ 16 * 1_024 * 1_024;

/// Number of a segment, from 1: the order in which segments were filled. One that was rewritten keeps
/// its number.
pub(crate) type SegmentId = u64;

/// Random bytes at the beginning of each record of one segment.
pub(crate) type Marker = [u8; 8];

/// Name of a segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentName {
    /// Which segment.
    pub(crate) id: SegmentId,
    /// What its records begin with.
    pub(crate) marker: Marker,
}

impl SegmentName {
    /// Reads a file's name; `None` for files that are no segments.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (id, marker) = file_name.strip_suffix(SUFFIX)?.split_once('-')?;
        let name = Self {
            id: id.parse().ok()?,
            marker: u64::from_str_radix(marker, 16).ok()?.to_be_bytes(),
        };
        (name.to_string() == file_name).then_some(name)
    }

    /// Reads the name of a file that is to become a segment.
    pub(crate) fn parse_unfinished(file_name: &str) -> Option<Self> {
        Self::parse(file_name.strip_suffix(UNFINISHED)?)
    }

    /// Where the file lies.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// Where the file lies until it is whole and listed.
    pub(crate) fn unfinished_path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}{UNFINISHED}"))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marker = u64::from_be_bytes(self.marker);
        write!(f, "{:010}-{marker:016x}{SUFFIX}", self.id)
    }
}

/// What a record holds. Kinds that are not known here were written by a later version: they are
/// passed over, and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKind(pub(crate) u32);

impl RecordKind {
    /// A block, or several that were merged into one.
    pub(crate) const BLOCK: Self = Self(1);

    /// A snapshot as it was left by a change.
    pub(crate) const SNAPSHOT: Self = Self(2);
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// What it holds.
    pub(crate) kind: RecordKind,
    /// The hub's number of the block; 0 for records without one.
    pub(crate) number: u64,
    /// When the hub received it: nanoseconds since the Unix epoch.
    pub(crate) received_ns: i64,
    /// What is stored beside the body.
    pub(crate) meta: Bytes,
    /// The block.
    pub(crate) body: Bytes,
}

impl Record {
    /// Bytes that the record takes on disk.
    pub(crate) fn stored_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES + (self.meta.len() + self.body.len()) as u64
    }
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    /// In which segment.
    pub(crate) segment: SegmentName,
    /// Where its header begins.
    pub(crate) offset: u64,
    /// Length with the header.
    pub(crate) length: u64,
}

/// The fixed part of a record.
///
/// Little-endian: marker 8, kind 4, number 8, received 8, length of meta 4, length of body 4, CRC32 of
/// meta and body 4, CRC32 of all before 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordHeader {
    kind: RecordKind,
    number: u64,
    received_ns: i64,
    meta_bytes: u32,
    body_bytes: u32,
    payload_crc: u32,
}

impl RecordHeader {
    const BYTES: usize = 44;

    fn of(record: &Record) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&record.meta);
        crc.update(&record.body);
        Self {
            kind: record.kind,
            number: record.number,
            received_ns: record.received_ns,
            meta_bytes: length(&record.meta),
            body_bytes: length(&record.body),
            payload_crc: crc.finalize(),
        }
    }

    fn encode(&self, marker: Marker, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&marker);
        out.extend_from_slice(&self.kind.0.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.received_ns.to_le_bytes());
        out.extend_from_slice(&self.meta_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// `None` where these bytes are not the header of a record of this segment.
    fn decode(marker: Marker, bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (covered, crc) = bytes.split_at(Self::BYTES - 4);
        let rest = covered.strip_prefix(&marker)?;
        if crc != crc32fast::hash(covered).to_le_bytes() {
            return None;
        }
        let (kind, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (received, rest) = rest.split_first_chunk()?;
        let (meta, rest) = rest.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let header = Self {
            kind: RecordKind(u32::from_le_bytes(*kind)),
            number: u64::from_le_bytes(*number),
            received_ns: i64::from_le_bytes(*received),
            meta_bytes: u32::from_le_bytes(*meta),
            body_bytes: u32::from_le_bytes(*body),
            payload_crc: u32::from_le_bytes(rest.try_into().ok()?),
        };
        (header.payload_bytes() <= PAYLOAD_LIMIT_BYTES).then_some(header)
    }

    fn payload_bytes(&self) -> u64 {
        u64::from(self.meta_bytes) + u64::from(self.body_bytes)
    }

    fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES + self.payload_bytes()
    }

    /// Checks the payload and gives the record; `None` where its bytes are not those written.
    fn record(&self, payload: Bytes) -> Option<Record> {
        let whole = payload.len() as u64 == self.payload_bytes();
        if !whole || crc32fast::hash(&payload) != self.payload_crc {
            return None;
        }
        let mut body = payload;
        let meta = body.split_to(self.meta_bytes as usize);
        Some(Record {
            kind: self.kind,
            number: self.number,
            received_ns: self.received_ns,
            meta,
            body,
        })
    }
}

fn length(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("a record's parts stay far below 4 GiB")
}

#[cfg(test)]
mod tests;
