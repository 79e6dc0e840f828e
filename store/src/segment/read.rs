//! Reading one record of which the place is known.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use super::{Location, Record, RecordHeader};

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The segment is gone: it expired, or was rewritten.
    #[error("the segment is gone")]
    Gone,
    /// The bytes are not those that were written.
    #[error("{0}")]
    Damaged(&'static str),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads and checks the record at a place.
///
/// The file is opened for each record: that costs microseconds, and no number of segments can use up
/// the process's file descriptors.
pub(crate) fn read_record(dir: &Path, location: &Location) -> Result<Record, ReadError> {
    let file = match File::open(location.segment.path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Gone),
        opened => opened?,
    };
    let length = usize::try_from(location.length).map_err(|_| ReadError::Damaged("bad length"))?;
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, location.offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(ReadError::Damaged("the segment is cut short"));
        }
        read => read?,
    }
    let mut payload = Bytes::from(bytes);
    if payload.len() < RecordHeader::BYTES {
        return Err(ReadError::Damaged("bad length"));
    }
    let head = payload.split_to(RecordHeader::BYTES);
    head.first_chunk()
        .and_then(|head| RecordHeader::decode(location.segment.marker, head))
        .ok_or(ReadError::Damaged("the record's header is damaged"))?
        .record(payload)
        .ok_or(ReadError::Damaged("the record's checksum does not match"))
}
