//! One process at a time holds a directory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a lock that is held is waited for: the process before may still be ending, and what it
/// started holds its files until it has become another program.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is tried meanwhile.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The right to write in a directory. It ends with the value, or with the process.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

/// Why a directory was not locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it.
    Held,
    /// The disk's error.
    Io(io::Error),
}

impl DirectoryLock {
    /// Takes the lock of a directory that exists, by the file `lock` in it.
    pub(crate) fn take(dir: &Path) -> Result<Self, LockError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(LockError::Io)?;
        take_in_time(&file, PATIENCE)?;
        Ok(Self { _file: file })
    }
}

/// Takes the lock of a file, and waits for it for so long where it is held. It ends when the file is closed.
pub(crate) fn take_in_time(file: &File, patience: Duration) -> Result<(), LockError> {
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(RETRY_INTERVAL);
            }
            Err(TryLockError::WouldBlock) => return Err(LockError::Held),
            Err(TryLockError::Error(source)) => return Err(LockError::Io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_about_to_be_released_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::take(dir.path()).unwrap();
        let path = dir.path().to_owned();
        let waiting = thread::spawn(move || DirectoryLock::take(&path));
        drop(held);
        assert!(waiting.join().unwrap().is_ok());
    }

    #[test]
    fn a_lock_that_is_kept_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _held = DirectoryLock::take(dir.path()).unwrap();
        let refused = DirectoryLock::take(dir.path());
        assert!(matches!(refused, Err(LockError::Held)));
    }
}
