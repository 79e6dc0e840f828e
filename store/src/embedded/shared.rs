//! What the writer thread and the questions share: the index, the way to a block's bytes, and what
//! was found damaged.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::mpsc;

use super::cache::Lru;
use super::retain::tree_bytes;
use super::writer::Job;
use crate::answer::{self, Holds, locked};
use crate::block::{Block, Columns, Origin};
use crate::call::{Call, CallId};
use crate::index::Index;
use crate::names::Names;
use crate::names::facts::Fact;
use crate::names::journal::Journal;
use crate::query::{BlockEntry, BlockSource};
use crate::running;
use crate::segment::{Location, ReadError, read_record};
use crate::snapshot::shelf::Shelf;
use crate::store::{Health, StoreError};

/// Lines kept of what was found damaged.
const NOTES_LIMIT: usize = 200;

/// One part in this many of the cache holds blocks as they are stored; the rest holds columns.
const BLOCKS_SHARE: usize = 4;

/// State that many threads look at.
#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    /// Where the segments lie.
    pub(super) segments: PathBuf,
    index: Mutex<Index<Location>>,
    shelf: Mutex<Shelf>,
    journal: Mutex<Journal>,
    blocks: Mutex<Lru<Block>>,
    columns: Mutex<Lru<Arc<Columns>>>,
    notes: Mutex<Vec<String>>,
    writable: AtomicBool,
    /// Where damage is reported. It does not keep the writer thread waiting for more.
    writer: OnceLock<mpsc::WeakSender<Job>>,
}

impl Shared {
    pub(super) fn new(
        dir: &Path,
        index: Index<Location>,
        shelf: Shelf,
        journal: Journal,
        notes: Vec<String>,
        cache_bytes: usize,
    ) -> Self {
        let blocks_bytes = cache_bytes / BLOCKS_SHARE;
        Self {
            dir: dir.to_owned(),
            segments: dir.join("segments"),
            index: Mutex::new(index),
            shelf: Mutex::new(shelf),
            journal: Mutex::new(journal),
            blocks: Mutex::new(Lru::new(blocks_bytes)),
            columns: Mutex::new(Lru::new(cache_bytes - blocks_bytes)),
            notes: Mutex::new(notes),
            writable: AtomicBool::new(true),
            writer: OnceLock::new(),
        }
    }

    /// Names the thread that sets damaged blocks aside.
    pub(super) fn report_damage_to(&self, writer: mpsc::WeakSender<Job>) {
        // Called once, by the one who made this.
        let _ = self.writer.set(writer);
    }

    /// Takes in all that is at an address now, and keeps what is new.
    pub(super) fn observe(&self, present: &[Fact], at_ns: i64) -> Result<(), StoreError> {
        // First the file, so that changes are written in the order in which they are made.
        let mut journal = locked(&self.journal);
        let (changed, names) = {
            let mut index = self.index();
            (index.observe(present, at_ns), index.names())
        };
        let kept = journal.append(&changed, names.facts());
        kept.map_err(|source| StoreError::Io {
            action: "keep names of addresses".to_owned(),
            source,
        })
    }

    /// Finds out which calls run, from the last block of each incarnation that lists them.
    pub(super) fn list_running(&self) {
        let mut listers: Vec<_> = {
            let index = self.index();
            let listers = index.blocks().filter(|block| block.summary.open.is_some());
            listers.cloned().collect()
        };
        listers.sort_by_key(|block| Reverse(block.last_sequence()));
        for kept in listers {
            // A merged block may list what ran long before its last calls.
            let known = self.index().listed_at(kept.origin.incarnation);
            if known.is_some_and(|sequence| sequence >= kept.last_sequence()) {
                continue;
            }
            if let Ok(Some(block)) = self.block(kept.number) {
                running::take_in(self, kept.number, &block);
            }
        }
    }

    /// What was found damaged, one line each.
    fn notes(&self) -> Vec<String> {
        locked(&self.notes).clone()
    }

    /// Says that something is damaged.
    pub(super) fn note(&self, note: String) {
        let mut notes = locked(&self.notes);
        if notes.len() < NOTES_LIMIT && !notes.contains(&note) {
            tracing::error!(damage = note, "stored data is damaged");
            notes.push(note);
        }
    }

    /// Says that a write failed: none follows until the store is opened again.
    pub(super) fn poison(&self) {
        self.writable.store(false, Ordering::Relaxed);
    }

    pub(super) fn health(&self) -> Health {
        Health {
            writable: self.writable.load(Ordering::Relaxed),
            bytes: tree_bytes(&self.dir),
            quarantined: self.notes(),
            ..answer::health(&self.index())
        }
    }

    /// Where a block lies. `None` if it was forgotten, or is a part of another one now.
    fn place(&self, number: u64) -> Option<Location> {
        let index = self.index();
        let kept = index.holder(number)?;
        (kept.number == number).then_some(kept.place)
    }

    /// Reads the block with this number at a place. `None` if its segment is gone.
    fn read(&self, number: u64, place: &Location) -> Result<Option<Block>, StoreError> {
        match read_record(&self.segments, place) {
            Ok(record) if record.number == number => match Block::open(record.body) {
                Ok(block) => Ok(Some(block)),
                Err(error) => Err(self.damaged(number, error.to_string())),
            },
            Ok(_) => Err(self.damaged(number, "another block lies there".to_owned())),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Damaged(why)) => Err(self.damaged(number, why.to_owned())),
            Err(ReadError::Io(source)) => Err(StoreError::Io {
                action: format!("read block {number} in {}", self.segments.display()),
                source,
            }),
        }
    }

    /// Gives a block and where it lies.
    fn find(&self, number: u64) -> Result<Option<(Block, Location)>, StoreError> {
        let mut gone = None;
        while let Some(place) = self.place(number) {
            if gone == Some(place) {
                return Err(self.damaged(number, "its segment is gone".to_owned()));
            }
            if let Some(block) = locked(&self.blocks).find(place) {
                return Ok(Some((block, place)));
            }
            if let Some(block) = self.read(number, &place)? {
                let bytes = block.bytes().len();
                locked(&self.blocks).keep(place, block.clone(), bytes);
                return Ok(Some((block, place)));
            }
            // It was forgotten or moved meanwhile, and the index knows.
            gone = Some(place);
        }
        Ok(None)
    }

    /// Has a block set aside, and says what is wrong with it.
    fn damaged(&self, number: u64, reason: String) -> StoreError {
        let writer = self.writer.get().and_then(mpsc::WeakSender::upgrade);
        if let Some(writer) = writer {
            // Where there is no room it is found damaged again.
            let _ = writer.try_send(Job::Damaged(number, reason.clone()));
        }
        StoreError::Damaged {
            block: number,
            reason,
        }
    }
}

impl Holds for Shared {
    type Place = Location;

    fn index(&self) -> MutexGuard<'_, Index<Location>> {
        locked(&self.index)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        locked(&self.shelf)
    }
}

impl BlockSource for Shared {
    fn entries(&self) -> Arc<[BlockEntry]> {
        self.index().entries()
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        let Some(place) = self.place(number) else {
            return Ok(None);
        };
        if let Some(columns) = locked(&self.columns).find(place) {
            return Ok(Some(columns));
        }
        let Some((block, place)) = self.find(number)? else {
            return Ok(None);
        };
        let columns = block
            .columns()
            .map_err(|error| self.damaged(number, error.to_string()))?;
        let columns = Arc::new(columns);
        let bytes = columns_bytes(&columns);
        locked(&self.columns).keep(place, columns.clone(), bytes);
        Ok(Some(columns))
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        Ok(self.find(number)?.map(|(block, _)| block))
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        self.index().open_calls()
    }

    fn names(&self) -> Arc<Names> {
        self.index().names()
    }
}

/// About how much memory columns take.
fn columns_bytes(columns: &Columns) -> usize {
    let texts: usize = columns.texts.iter().map(|text| text.len() + 24).sum();
    let per_call = size_of::<[u64; 5]>() + size_of::<[u32; 8]>() + 8;
    texts + columns.addresses.len() * 32 + columns.time_ns.len() * per_call + 512
}
