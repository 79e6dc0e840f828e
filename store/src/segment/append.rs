//! Appending records to the one segment that grows.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{FILE_HEADER, FILE_HEADER_BYTES, Location, Record, RecordHeader, SegmentName};

/// Payloads are gathered up to this size before they are written, so that small blocks share a
/// system call.
const GATHER_BYTES: usize = /* 256 KiB */ 256 * 1_024;

/// The end of a segment.
///
/// After [`AppendError::Failed`], or a failed sync, it must not be used again.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    name: SegmentName,
    file: File,
    length: u64,
    #[cfg(test)]
    pub(crate) fault: Option<Fault>,
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// The disk is full. The segment is as it was before.
    #[error("the disk is full")]
    Full,
    /// The disk failed; what it holds is unknown.
    #[error(transparent)]
    Failed(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        match is_full(&error) {
            true => Self::Full,
            false => Self::Failed(error),
        }
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// A disk failure that a test asks for.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The disk is full.
    Append,
    /// The device failed.
    Sync,
}

impl SegmentWriter {
    /// Begins a new segment and makes its name durable.
    pub(crate) fn create(dir: &Path, name: SegmentName) -> io::Result<Self> {
        Self::create_at(dir, name, name.path(dir))
    }

    /// Begins a segment that is not to be read before its file gets its name.
    pub(crate) fn create_unfinished(dir: &Path, name: SegmentName) -> io::Result<Self> {
        Self::create_at(dir, name, name.unfinished_path(dir))
    }

    fn create_at(dir: &Path, name: SegmentName, path: PathBuf) -> io::Result<Self> {
        let begin = || -> io::Result<File> {
            let file = File::create_new(&path)?;
            file.write_all_at(FILE_HEADER, 0)?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        let file = begin().inspect_err(|_| {
            // Best effort: an empty segment is harmless.
            let _ = std::fs::remove_file(&path);
        })?;
        Ok(Self::over(name, file, FILE_HEADER_BYTES))
    }

    /// Goes on with a segment whose last whole record ends at `length`; what lies behind is cut off.
    pub(crate) fn resume(dir: &Path, name: SegmentName, length: u64) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(name.path(dir))?;
        if file.metadata()?.len() > length {
            file.set_len(length)?;
        }
        if length < FILE_HEADER_BYTES {
            file.write_all_at(FILE_HEADER, 0)?;
        }
        file.sync_all()?;
        Ok(Self::over(name, file, length.max(FILE_HEADER_BYTES)))
    }

    fn over(name: SegmentName, file: File, length: u64) -> Self {
        Self {
            name,
            file,
            length,
            #[cfg(test)]
            fault: None,
        }
    }

    /// Which segment this is the end of.
    pub(crate) fn name(&self) -> SegmentName {
        self.name
    }

    /// Bytes in the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes records behind the last; they are durable after [`SegmentWriter::sync`].
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<Vec<Location>, AppendError> {
        let mut locations = Vec::with_capacity(records.len());
        let mut end = self.length;
        let mut gathered = Vec::new();
        let written = records.iter().try_for_each(|record| {
            RecordHeader::of(record).encode(self.name.marker, &mut gathered);
            gathered.extend_from_slice(&record.meta);
            gathered.extend_from_slice(&record.body);
            locations.push(Location {
                segment: self.name,
                offset: end + gathered.len() as u64 - record.stored_bytes(),
                length: record.stored_bytes(),
            });
            if gathered.len() < GATHER_BYTES {
                return Ok(());
            }
            self.write(&mut gathered, &mut end)
        });
        match written.and_then(|()| self.write(&mut gathered, &mut end)) {
            Ok(()) => {
                self.length = end;
                Ok(locations)
            }
            Err(error) => {
                self.file
                    .set_len(self.length)
                    .map_err(AppendError::Failed)?;
                Err(error.into())
            }
        }
    }

    fn write(&self, gathered: &mut Vec<u8>, end: &mut u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(Fault::Append) = self.fault {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(gathered, *end)?;
        *end += gathered.len() as u64;
        gathered.clear();
        Ok(())
    }

    /// Makes everything appended survive a crash of the machine.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(Fault::Sync) = self.fault {
            return Err(io::Error::other("the device failed"));
        }
        self.file.sync_data()
    }
}
