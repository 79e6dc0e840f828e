//! Reading a whole segment, and finding the next record behind damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;

use super::{
    FILE_HEADER, FILE_HEADER_BYTES, Location, Marker, RECORD_HEADER_BYTES, Record, RecordHeader,
    SegmentName,
};

/// How much is read at a time while looking for the next record.
const SEARCH_BYTES: usize = /* 1 MiB */ 1_024 * 1_024;

/// Bytes of a segment that hold no readable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where they begin.
    pub(crate) from: u64,
    /// Where the next readable byte is.
    pub(crate) to: u64,
    /// What is wrong, in words.
    pub(crate) why: &'static str,
}

/// What a scan came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ScanEnd {
    /// Damage with readable records behind it, or in a record whose length is known.
    pub(crate) damages: Vec<Damage>,
    /// Where the last record ends.
    pub(crate) end: u64,
    /// Bytes behind it: a record that was being written, or one that was cut.
    pub(crate) torn_bytes: u64,
}

/// Reads each record of a segment in order.
///
/// # Errors
///
/// The disk's, or the first of `visit`. Damage is no error.
pub(crate) fn scan(
    dir: &Path,
    name: SegmentName,
    mut visit: impl FnMut(Location, Record) -> io::Result<()>,
) -> io::Result<ScanEnd> {
    let scan = Scan::open(dir, name)?;
    let mut end = ScanEnd {
        damages: scan.check_file_header()?,
        end: FILE_HEADER_BYTES.min(scan.length),
        torn_bytes: 0,
    };
    while end.end < scan.length {
        match scan.step(end.end)? {
            Step::Record { offset, record } => {
                let length = record.stored_bytes();
                let location = Location {
                    segment: name,
                    offset,
                    length,
                };
                visit(location, record)?;
                end.end = offset + length;
            }
            Step::Damaged(damage) => {
                end.end = damage.to;
                end.damages.push(damage);
            }
            Step::Torn => {
                end.torn_bytes = scan.length - end.end;
                break;
            }
        }
    }
    Ok(end)
}

struct Scan {
    file: File,
    length: u64,
    marker: Marker,
}

enum Step {
    Record { offset: u64, record: Record },
    Damaged(Damage),
    Torn,
}

impl Scan {
    fn open(dir: &Path, name: SegmentName) -> io::Result<Self> {
        let file = File::open(name.path(dir))?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            marker: name.marker,
        })
    }

    fn check_file_header(&self) -> io::Result<Vec<Damage>> {
        let header = self.read(0, FILE_HEADER_BYTES.min(self.length))?;
        if header == FILE_HEADER.as_slice() {
            return Ok(Vec::new());
        }
        Ok(vec![Damage {
            from: 0,
            to: header.len() as u64,
            why: "the file's header is damaged",
        }])
    }

    fn step(&self, offset: u64) -> io::Result<Step> {
        let mut why = "no record begins here";
        let mut cut = true;
        if let Some(header) = self.header(offset)? {
            let to = offset + header.record_bytes();
            why = "the record is cut short";
            if to <= self.length {
                let payload = self.read(offset + RECORD_HEADER_BYTES, header.payload_bytes())?;
                if let Some(record) = header.record(Bytes::from(payload)) {
                    return Ok(Step::Record { offset, record });
                }
                why = "the record's checksum does not match";
                cut = false;
            }
        }
        // The length in the header is not trusted: bytes may be missing from the middle of the file.
        Ok(match self.next_header(offset + 1)? {
            Some(to) => Step::Damaged(Damage {
                from: offset,
                to,
                why,
            }),
            None if cut => Step::Torn,
            None => Step::Damaged(Damage {
                from: offset,
                to: self.length,
                why,
            }),
        })
    }

    fn header(&self, offset: u64) -> io::Result<Option<RecordHeader>> {
        if offset + RECORD_HEADER_BYTES > self.length {
            return Ok(None);
        }
        let mut bytes = [0; RecordHeader::BYTES];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(RecordHeader::decode(self.marker, &bytes))
    }

    /// Where the next valid header begins, from `offset` on.
    fn next_header(&self, mut offset: u64) -> io::Result<Option<u64>> {
        let finder = memmem::Finder::new(&self.marker);
        while offset + RECORD_HEADER_BYTES <= self.length {
            let window = self.read(offset, (self.length - offset).min(SEARCH_BYTES as u64))?;
            for place in finder.find_iter(&window) {
                let candidate = offset + place as u64;
                if self.header(candidate)?.is_some() {
                    return Ok(Some(candidate));
                }
            }
            // A marker may lie across the end of the window.
            offset += (window.len() + 1).saturating_sub(self.marker.len()).max(1) as u64;
        }
        Ok(None)
    }

    fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}
