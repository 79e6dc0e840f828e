//! One file of the spool: how blocks lie in it, and which of them are still wanted.
//!
//! ```text
//! magic │ header │ block │ header │ block │ …
//! header: length u32, CRC-32 of the block, sequence u64, calls u32, CRC-32 of these, state u8
//! ```
//!
//! All numbers are little-endian. The state is the one byte that is written again: 1 once the block
//! has left. A file is appended to by the process that made it and by no other.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};

use super::{Evicted, Recovered, Spooled, Taken, Ticket};
use crate::block::Block;

const MAGIC: &[u8; 8] = b"RMRSPL\x00\x01";
const HEADER_BYTES: usize = 25;
const STATE_OFFSET: u64 = 24;
const WAITING: u8 = 0;
const LEFT: u8 = 1;

#[derive(Debug)]
pub(super) struct SpoolFile {
    path: PathBuf,
    file: File,
    /// It was there when the spool was opened.
    recovered: bool,
    bytes: u64,
    /// Blocks that have not left, oldest first.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ticket: Ticket,
    /// Where its header begins.
    offset: u64,
    length: u32,
    crc32: u32,
    sequence: u64,
    calls: u32,
    taken: bool,
}

impl SpoolFile {
    /// Most bytes that a block takes on disk, with what a new file for it would.
    pub(super) fn bytes_for(block: &[u8]) -> u64 {
        (MAGIC.len() + HEADER_BYTES + block.len()) as u64
    }

    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(path)?;
        file.write_all_at(MAGIC, 0)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            recovered: false,
            bytes: MAGIC.len() as u64,
            entries: Vec::new(),
        })
    }

    /// Reads what an earlier process left, and cuts off what is no whole block.
    pub(super) fn recover(
        path: &Path,
        next_ticket: &mut u64,
        recovered: &mut Recovered,
    ) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let end = file.metadata()?.len();
        let mut recovered_file = Self {
            path: path.to_owned(),
            file,
            recovered: true,
            bytes: 0,
            entries: Vec::new(),
        };
        let mut magic = [0; MAGIC.len()];
        if end >= MAGIC.len() as u64 {
            recovered_file.file.read_exact_at(&mut magic, 0)?;
        }
        if magic == *MAGIC {
            recovered_file.bytes = MAGIC.len() as u64;
            while recovered_file.recover_block(end, next_ticket, recovered)? {}
        }
        if recovered_file.bytes < end {
            recovered.cut_bytes += end - recovered_file.bytes;
            recovered_file.file.set_len(recovered_file.bytes)?;
        }
        Ok(recovered_file)
    }

    /// Reads the block that begins where the known part of the file ends; `false` if none does.
    fn recover_block(
        &mut self,
        end: u64,
        next_ticket: &mut u64,
        recovered: &mut Recovered,
    ) -> io::Result<bool> {
        let offset = self.bytes;
        let mut header = [0; HEADER_BYTES];
        if end - offset < HEADER_BYTES as u64 {
            return Ok(false);
        }
        self.file.read_exact_at(&mut header, offset)?;
        let Some((mut entry, state)) = Entry::parse(&header, offset) else {
            return Ok(false);
        };
        if entry.end() > end {
            return Ok(false);
        }
        self.bytes = entry.end();
        if state == LEFT {
            return Ok(true);
        }
        let block = self.read(&entry)?;
        if crc32fast::hash(&block) == entry.crc32 {
            entry.ticket = Ticket(*next_ticket);
            *next_ticket += 1;
            recovered.blocks += 1;
            recovered.calls += u64::from(entry.calls);
            self.entries.push(entry);
        } else {
            recovered.damaged.push(self.lost(&entry, &block));
            self.mark_left(&entry);
        }
        Ok(true)
    }

    /// Appends a block. If that fails, the file is as it was, as far as the disk lets it.
    pub(super) fn append(&mut self, ticket: Ticket, sequence: u64, block: &[u8]) -> io::Result<()> {
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        let entry = Entry {
            ticket,
            offset: self.bytes,
            length,
            crc32: crc32fast::hash(block),
            sequence,
            calls: Block::open(Bytes::copy_from_slice(block)).map_or(0, |block| block.len()),
            taken: false,
        };
        let block_offset = entry.offset + HEADER_BYTES as u64;
        let written = self
            .file
            .write_all_at(&entry.header(), entry.offset)
            .and_then(|()| self.file.write_all_at(block, block_offset));
        if let Err(error) = written {
            // What was written is cut off at the next start if it cannot be now.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes = entry.end();
        self.entries.push(entry);
        Ok(())
    }

    /// Takes blocks as long as there is room; `true` once the next one does not fit.
    pub(super) fn take(&mut self, room: &mut usize, taken: &mut Taken) -> io::Result<bool> {
        let waiting: Vec<Entry> = self
            .entries
            .iter()
            .filter(|entry| !entry.taken)
            .copied()
            .collect();
        for entry in waiting {
            let length = entry.length as usize;
            if length > *room && !taken.blocks.is_empty() {
                return Ok(true);
            }
            let block = self.read(&entry)?;
            if crc32fast::hash(&block) != entry.crc32 {
                taken.damaged.push(self.lost(&entry, &block));
                self.acknowledge(entry.ticket);
                continue;
            }
            *room = room.saturating_sub(length);
            self.set_taken(entry.ticket);
            taken.blocks.push(Spooled {
                ticket: entry.ticket,
                sequence: entry.sequence,
                block,
            });
        }
        Ok(*room == 0)
    }

    fn set_taken(&mut self, ticket: Ticket) {
        for entry in &mut self.entries {
            entry.taken |= entry.ticket == ticket;
        }
    }

    /// Lets a block go; `false` if it is not here.
    pub(super) fn acknowledge(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.entries.iter().position(|entry| entry.ticket == ticket) else {
            return false;
        };
        let entry = self.entries.remove(at);
        self.mark_left(&entry);
        true
    }

    pub(super) fn give_back(&mut self) {
        for entry in &mut self.entries {
            entry.taken = false;
        }
    }

    /// Removes the file, and says what is lost with it.
    pub(super) fn evict(&self, evicted: &mut Vec<Evicted>) {
        for entry in &self.entries {
            // A block that cannot be read is lost all the same, and counted as far as it is known.
            let block = self.read(entry).unwrap_or_default();
            evicted.push(self.lost(entry, &block));
        }
        self.remove();
    }

    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "spool file cannot be removed");
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn blocks(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has_taken(&self) -> bool {
        self.entries.iter().any(|entry| entry.taken)
    }

    fn read(&self, entry: &Entry) -> io::Result<Bytes> {
        // The length is no more than the file's: it was written, or checked, by this process.
        let mut block = vec![0; entry.length as usize];
        let offset = entry.offset + HEADER_BYTES as u64;
        self.file.read_exact_at(&mut block, offset)?;
        Ok(block.into())
    }

    /// What is lost with a block: its calls at least, and more if it can still be read.
    fn lost(&self, entry: &Entry, block: &Bytes) -> Evicted {
        Evicted {
            recovered: self.recovered,
            calls: entry.calls.into(),
            ..Evicted::of(entry.sequence, block)
        }
    }

    /// Keeps a block from coming again after a restart. Should that fail, it does come again, and
    /// the hub drops the double.
    fn mark_left(&self, entry: &Entry) {
        if let Err(error) = self.file.write_all_at(&[LEFT], entry.offset + STATE_OFFSET) {
            tracing::debug!(path = %self.path.display(), %error, "spooled block cannot be marked");
        }
    }
}

impl Entry {
    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut rest = &mut header[..];
        rest.put_u32_le(self.length);
        rest.put_u32_le(self.crc32);
        rest.put_u64_le(self.sequence);
        rest.put_u32_le(self.calls);
        rest.put_u32_le(self.header_crc32());
        rest.put_u8(WAITING);
        header
    }

    /// The entry of a header, without a ticket yet, and its state; `None` for what is no header.
    fn parse(mut header: &[u8], offset: u64) -> Option<(Self, u8)> {
        let entry = Self {
            ticket: Ticket(0),
            offset,
            length: header.try_get_u32_le().ok()?,
            crc32: header.try_get_u32_le().ok()?,
            sequence: header.try_get_u64_le().ok()?,
            calls: header.try_get_u32_le().ok()?,
            taken: false,
        };
        let is_whole = header.try_get_u32_le().ok()? == entry.header_crc32();
        let state = header.try_get_u8().ok()?;
        is_whole.then_some((entry, state))
    }

    fn header_crc32(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.length.to_le_bytes());
        hasher.update(&self.crc32.to_le_bytes());
        hasher.update(&self.sequence.to_le_bytes());
        hasher.update(&self.calls.to_le_bytes());
        hasher.finalize()
    }

    fn end(&self) -> u64 {
        self.offset + HEADER_BYTES as u64 + u64::from(self.length)
    }
}
