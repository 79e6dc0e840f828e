//! The spool: sealed blocks on a sidecar's disk while the hub is away.
//!
//! Blocks are appended to files of a fixed size and leave oldest first, when they are acknowledged
//! or when the byte limit needs their room; a file is removed once its last block has left. The
//! spool survives its process, not its machine: nothing is synced, because what it lies on
//! (an emptyDir) goes with the machine as well. Shipping is not its business.

mod file;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use self::file::SpoolFile;
use crate::block::{Block, Drop};
use crate::lock::{DirectoryLock, LockError};

/// A spool is spread over about this many files, so that making room costs a small share of it.
const FILES: u64 = 16;
const MIN_FILE_BYTES: u64 = 64 * 1024;
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Blocks on disk, oldest first. One process at a time holds a directory.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    _lock: DirectoryLock,
    limit_bytes: u64,
    /// Oldest first. New blocks go to the last one if `writing`.
    files: VecDeque<SpoolFile>,
    writing: bool,
    next_file: u64,
    next_ticket: u64,
}

/// What a spool found when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Blocks that wait to be shipped.
    pub blocks: u64,
    /// Calls in them.
    pub calls: u64,
    /// Blocks that were damaged where they lay, and are lost.
    pub damaged: Vec<Evicted>,
    /// Bytes that were cut off because they did not make a whole block: what was being written when
    /// the process died, and never was reported as kept.
    pub cut_bytes: u64,
}

/// Names a block within one run of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A block that was taken from the spool to be shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// By which it is acknowledged.
    pub ticket: Ticket,
    /// The sequence that it was appended with. One run of a sidecar may find the blocks of another,
    /// with sequences of their own.
    pub sequence: u64,
    /// The block.
    pub block: Bytes,
}

/// A block that is lost, with all that it would have told, so that the loss is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evicted {
    /// It was there when the spool was opened: its sequence is that of another run.
    pub recovered: bool,
    /// The sequence that it was appended with.
    pub sequence: u64,
    /// How many finished calls were in it.
    pub calls: u64,
    /// When the first of them began: nanoseconds since the Unix epoch; 0 where it is not known.
    pub first_ns: i64,
    /// When the last of them began.
    pub last_ns: i64,
    /// The drops that the block itself was to report.
    pub drops: Vec<Drop>,
}

/// What came of appending a block.
#[derive(Debug, Default)]
pub struct Appended {
    /// Blocks that had to go, and the appended one if it could not be kept.
    pub evicted: Vec<Evicted>,
    /// Why the appended block could not be kept, where that was not for want of room.
    pub failure: Option<SpoolError>,
}

/// What was taken from a spool.
#[derive(Debug, Default)]
pub struct Taken {
    /// The oldest blocks, in order.
    pub blocks: Vec<Spooled>,
    /// Blocks that turned out to be damaged; they have left the spool.
    pub damaged: Vec<Evicted>,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another process holds the directory.
    #[error("lock spool {dir}: another process uses it")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A file operation failed.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Spool {
    /// Opens the spool in `dir`, which is made if need be, and keeps it within `limit_bytes`.
    ///
    /// Every block that is there is read once. What is above the limit leaves with the next append.
    pub fn open(dir: &Path, limit_bytes: u64) -> Result<(Self, Recovered), SpoolError> {
        fs::create_dir_all(dir).map_err(|source| failed("create spool", dir, source))?;
        let mut spool = Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
            limit_bytes,
            files: VecDeque::new(),
            writing: false,
            next_file: 1,
            next_ticket: 1,
        };
        let mut recovered = Recovered::default();
        for number in file_numbers(dir)? {
            let path = spool.path(number);
            let file = SpoolFile::recover(&path, &mut spool.next_ticket, &mut recovered)
                .map_err(|source| failed("read spool file", &path, source))?;
            spool.next_file = spool.next_file.max(number.saturating_add(1));
            if file.is_empty() {
                file.remove();
            } else {
                spool.files.push_back(file);
            }
        }
        Ok((spool, recovered))
    }

    /// Appends a sealed block, making room for it at the expense of the oldest ones.
    ///
    /// Blocks that are taken make no room. What is lost, be it this block, is in the answer.
    pub fn append(&mut self, sequence: u64, block: &[u8]) -> Appended {
        let mut appended = Appended::default();
        if self.make_room(block, &mut appended.evicted) {
            match self.write(sequence, block) {
                Ok(()) => return appended,
                Err(failure) => appended.failure = Some(failure),
            }
        }
        let lost = Evicted::of(sequence, &Bytes::copy_from_slice(block));
        appended.evicted.push(lost);
        appended
    }

    /// Takes the oldest blocks that are not taken yet: at least one, and no more than `max_bytes`.
    ///
    /// They stay in the spool, and are not evicted, until they are acknowledged or given back.
    pub fn take(&mut self, max_bytes: usize) -> Result<Taken, SpoolError> {
        let mut taken = Taken::default();
        let mut room = max_bytes;
        for file in &mut self.files {
            let is_full = file
                .take(&mut room, &mut taken)
                .map_err(|source| failed("read spool file", file.path(), source))?;
            if is_full {
                break;
            }
        }
        self.remove_empty_files();
        Ok(taken)
    }

    /// Removes a block that was shipped, or that the hub will never take.
    pub fn acknowledge(&mut self, ticket: Ticket) {
        for file in &mut self.files {
            if file.acknowledge(ticket) {
                break;
            }
        }
        self.remove_empty_files();
    }

    /// Puts all taken blocks back: they are taken again, oldest first, or make room.
    pub fn give_back(&mut self) {
        for file in &mut self.files {
            file.give_back();
        }
    }

    /// Bytes on disk, those of blocks that have left but share a file with others included.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(SpoolFile::bytes).sum()
    }

    /// How many blocks wait, taken ones included.
    pub fn blocks(&self) -> u64 {
        self.files.iter().map(SpoolFile::blocks).sum()
    }

    /// Whether no block waits.
    pub fn is_empty(&self) -> bool {
        self.blocks() == 0
    }

    /// Whether the block fits, after as many of the oldest files have left as must.
    fn make_room(&mut self, block: &[u8], evicted: &mut Vec<Evicted>) -> bool {
        let needed = SpoolFile::bytes_for(block);
        if needed > self.limit_bytes {
            return false;
        }
        while self.bytes() + needed > self.limit_bytes {
            let Some(oldest) = self.files.iter().position(|file| !file.has_taken()) else {
                return false;
            };
            self.writing &= oldest + 1 < self.files.len();
            if let Some(file) = self.files.remove(oldest) {
                file.evict(evicted);
            }
        }
        true
    }

    fn write(&mut self, sequence: u64, block: &[u8]) -> Result<(), SpoolError> {
        let file_bytes = (self.limit_bytes / FILES).clamp(MIN_FILE_BYTES, MAX_FILE_BYTES);
        let has_room = |file: &SpoolFile| file.bytes() + SpoolFile::bytes_for(block) <= file_bytes;
        if !self.writing || !self.files.back().is_some_and(has_room) {
            let path = self.path(self.next_file);
            // A number is used once, even if its file could only half be made.
            self.next_file += 1;
            let file = SpoolFile::create(&path)
                .map_err(|source| failed("create spool file", &path, source))?;
            self.files.push_back(file);
            self.writing = true;
        }
        let ticket = Ticket(self.next_ticket);
        let file = self.files.back_mut().expect("one was just made if need be");
        match file.append(ticket, sequence, block) {
            Ok(()) => {
                self.next_ticket += 1;
                Ok(())
            }
            Err(source) => {
                let failure = failed("append to spool file", file.path(), source);
                // Its end is not certain any more: nothing is written behind it.
                self.writing = false;
                self.remove_empty_files();
                Err(failure)
            }
        }
    }

    fn remove_empty_files(&mut self) {
        self.writing &= self.files.back().is_some_and(|file| !file.is_empty());
        self.files.retain(|file| {
            if file.is_empty() {
                file.remove();
            }
            !file.is_empty()
        });
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(file_name(number))
    }
}

impl Evicted {
    /// What is lost with a block; if its bytes cannot be read, no more than its sequence is known.
    fn of(sequence: u64, block: &Bytes) -> Self {
        let Ok(block) = Block::open(block.clone()) else {
            return Self {
                sequence,
                ..Self::default()
            };
        };
        let summary = block.summary();
        Self {
            recovered: false,
            sequence,
            calls: summary.calls.into(),
            first_ns: summary.first_ns,
            last_ns: summary.last_ns,
            drops: block.meta().drops.clone(),
        }
    }
}

fn lock(dir: &Path) -> Result<DirectoryLock, SpoolError> {
    DirectoryLock::take(dir).map_err(|error| match error {
        LockError::Held => SpoolError::Locked {
            dir: dir.to_owned(),
        },
        LockError::Io(source) => failed("lock spool", dir, source),
    })
}

/// Numbers of the spool files in a directory, ascending. Other files are nobody's business.
fn file_numbers(dir: &Path) -> Result<Vec<u64>, SpoolError> {
    let list = || -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            numbers.extend(entry?.file_name().to_str().and_then(file_number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(|source| failed("list spool", dir, source))
}

fn file_name(number: u64) -> String {
    format!("{number:020}.spool")
}

fn file_number(name: &str) -> Option<u64> {
    let number = name.split('.').next()?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> SpoolError {
    SpoolError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
