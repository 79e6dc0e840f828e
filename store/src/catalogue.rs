//! The catalogue: where each block lies and what it says of itself. The only file that knows sled.
//!
//! Everything in it can be read again from the segments, so it is never repaired: a catalogue that
//! cannot be opened, panics, hangs, or holds other entries than it should is set aside and built anew
//! ([`crate::embedded`] decides). It exists so that opening a store need not read every segment.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::lock::take_in_time;
use crate::segment::is_full;

/// Tree:  "blocks-1"
/// Key:   number of the block, u64 big-endian   # scan order is the order of arrival
/// Value: CRC32 of the rest, u32 little-endian; then the entry, a protobuf of a few hundred bytes
const BLOCKS: &str = "blocks-1";

/// Memory that sled may use for pages; entries are read once, at open.
const CACHE_BYTES: u64 = /* 16 MiB */ 16 * 1_024 * 1_024;

/// Largest value. sled writes a page that outgrows a quarter of its 512 KiB segments as a file of its
/// own, which it is slow to remove; a page holds up to 16 entries and is split only then.
pub(crate) const ENTRY_LIMIT_BYTES: usize = /* 6 KiB */ 6 * 1_024;
const _: () = assert!(17 * (ENTRY_LIMIT_BYTES + 4) < 512 * 1_024 / 4);

/// How long sled's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open catalogue.
#[derive(Debug)]
pub(crate) struct Catalogue {
    db: sled::Db,
    blocks: sled::Tree,
}

/// One block's entry: its number, and bytes that the catalogue does not look into.
pub(crate) type Entry = (u64, Vec<u8>);

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// sled says so.
    #[error("{0}")]
    Sled(#[from] sled::Error),
    /// sled panicked, as it does on some damage.
    #[error("sled panicked: {0}")]
    Panic(String),
    /// sled did not come back.
    #[error("sled did not answer within {0:?}")]
    Hang(Duration),
    /// A value is not what was written.
    #[error("entry of block {0} is damaged")]
    Damaged(u64),
    /// A key is none of ours.
    #[error("a key is damaged")]
    Key,
    /// An entry is too large for sled's pages.
    #[error("entry of block {0} is larger than {ENTRY_LIMIT_BYTES} bytes")]
    Large(u64),
}

impl CatalogueError {
    /// Whether there was no room on the disk: then nothing is wrong with the catalogue.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sled(sled::Error::Io(error)) if is_full(error))
    }
}

impl Catalogue {
    /// Opens the catalogue in `dir`, or makes one there, and reads all of it.
    ///
    /// sled runs on a thread of its own meanwhile, since a damaged database can make it panic or hang;
    /// a thread that hangs is left behind.
    pub(crate) fn open(
        dir: &Path,
        deadline: Duration,
    ) -> Result<(Self, Vec<Entry>), CatalogueError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let path = dir.to_owned();
        let opening = move || {
            // Nobody may wait any more; then the catalogue is closed again.
            let _ = answer.send(guarded(|| Self::open_here(&path)));
        };
        thread::Builder::new()
            .name("catalogue-open".to_owned())
            .spawn(opening)
            .map_err(|source| CatalogueError::Sled(sled::Error::Io(source)))?;
        answered
            .recv_timeout(deadline)
            .unwrap_or(Err(CatalogueError::Hang(deadline)))
    }

    fn open_here(dir: &Path) -> Result<(Self, Vec<Entry>), CatalogueError> {
        wait_until_free(dir);
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()?;
        let blocks = db.open_tree(BLOCKS)?;
        let catalogue = Self { db, blocks };
        let entries = catalogue.entries()?;
        Ok((catalogue, entries))
    }

    fn entries(&self) -> Result<Vec<Entry>, CatalogueError> {
        let mut entries = Vec::new();
        for entry in &self.blocks {
            let (key, value) = entry?;
            let key = key.as_ref().try_into().map_err(|_| CatalogueError::Key)?;
            let number = u64::from_be_bytes(key);
            let value = value
                .split_first_chunk()
                .filter(|(crc, rest)| crc32fast::hash(rest) == u32::from_le_bytes(**crc))
                .ok_or(CatalogueError::Damaged(number))?
                .1;
            entries.push((number, value.to_vec()));
        }
        Ok(entries)
    }

    /// Puts and removes entries, all or none. They survive a crash after [`Catalogue::flush`].
    pub(crate) fn change(&self, put: &[Entry], remove: &[u64]) -> Result<(), CatalogueError> {
        let mut batch = sled::Batch::default();
        for number in remove {
            batch.remove(&number.to_be_bytes());
        }
        for (number, entry) in put {
            if entry.len() > ENTRY_LIMIT_BYTES {
                return Err(CatalogueError::Large(*number));
            }
            let mut value = Vec::with_capacity(4 + entry.len());
            value.extend_from_slice(&crc32fast::hash(entry).to_le_bytes());
            value.extend_from_slice(entry);
            batch.insert(&number.to_be_bytes(), value);
        }
        guarded(|| Ok(self.blocks.apply_batch(batch)?))
    }

    /// Makes everything put and removed so far durable.
    pub(crate) fn flush(&self) -> Result<(), CatalogueError> {
        guarded(|| {
            self.db.flush()?;
            Ok(())
        })
    }
}

/// Waits until nobody has sled's file locked. Its directory is ours alone, but sled lets go of the lock on threads
/// of its own, some time after it was dropped, and refuses at once while it is held.
fn wait_until_free(dir: &Path) {
    if let Ok(file) = File::open(dir.join("db")) {
        // Where it stays held, sled says so itself.
        let _ = take_in_time(&file, PATIENCE);
    }
}

/// Turns a panic of sled into an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, CatalogueError>) -> Result<T, CatalogueError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(CatalogueError::Panic(text.unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn a_lock_that_is_about_to_be_released_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        drop(Catalogue::open(dir.path(), DEADLINE).unwrap());
        let held = File::open(dir.path().join("db")).unwrap();
        held.lock().unwrap();
        let path = dir.path().to_owned();
        let opening = thread::spawn(move || Catalogue::open(&path, DEADLINE));
        // Long enough to find it held, short enough to be waited for; whichever comes first is well.
        thread::sleep(Duration::from_millis(100));
        drop(held);
        assert!(opening.join().unwrap().is_ok());
    }

    #[test]
    fn what_was_put_is_there_after_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let (catalogue, entries) = Catalogue::open(dir.path(), DEADLINE).unwrap();
        assert!(entries.is_empty());
        let put: Vec<Entry> = (1..=300).map(|n| (n, vec![n as u8; 40])).collect();
        catalogue.change(&put, &[]).unwrap();
        catalogue.change(&[(7, b"new".to_vec())], &[8, 9]).unwrap();
        catalogue.flush().unwrap();
        drop(catalogue);

        let (_, entries) = Catalogue::open(dir.path(), DEADLINE).unwrap();
        let mut expected = put;
        expected[6].1 = b"new".to_vec();
        expected.drain(7..9);
        assert_eq!(entries, expected);
    }

    #[test]
    fn an_entry_too_large_for_sled_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (catalogue, _) = Catalogue::open(dir.path(), DEADLINE).unwrap();
        let large = (1, vec![0; ENTRY_LIMIT_BYTES + 1]);
        let refused = catalogue.change(&[large], &[]);
        assert!(matches!(refused, Err(CatalogueError::Large(1))));
    }

    #[test]
    fn a_panic_inside_becomes_an_error() {
        let result = guarded::<()>(|| panic!("tried to serialize {}", "Uninitialized"));
        let Err(CatalogueError::Panic(text)) = result else {
            unreachable!("the panic was lost: {result:?}")
        };
        assert_eq!(text, "tried to serialize Uninitialized");
    }
}
