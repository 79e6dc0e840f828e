//! The last word of a run that crashes: an empty block, numbered behind all that were sealed, kept
//! ready beside the spool.
//!
//! A run that ends in good order takes it away. The next run ships what it finds, and the hub learns
//! up to where the crashed one had come: blocks that were only in its memory are missing by number
//! instead of without a word.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use remora_store::block::Block;
use remora_store::spool::{Recovered, Spool};

const FILE: &str = "last-word";

/// No empty block is so large; a file that is was not written by a sidecar.
const FILE_LIMIT_BYTES: u64 = 64 * 1024;

/// The file that holds the last word of this run.
#[derive(Debug)]
pub(super) struct LastWord {
    path: PathBuf,
    failing: bool,
}

impl LastWord {
    /// The file beside the spool in `dir`.
    pub(super) fn beside_spool(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
            failing: false,
        }
    }

    /// Moves what a crashed run left behind everything that it had spooled.
    pub(super) fn recover(&self, spool: &mut Spool, recovered: &mut Recovered) {
        let Some(bytes) = self.read() else { return };
        match Block::open(bytes.clone()) {
            Ok(block) if block.verify().is_ok() => {
                let appended = spool.append(block.meta().sequence, &bytes);
                recovered.damaged.extend(appended.evicted);
                if let Some(error) = appended.failure {
                    tracing::warn!(%error, "spool cannot take the last word of a crashed run");
                }
            }
            _ => {
                tracing::warn!(file = %self.path.display(), "last word of a crashed run is damaged")
            }
        }
        self.remove();
    }

    fn read(&self) -> Option<Bytes> {
        let size = fs::metadata(&self.path).ok()?.len();
        let bytes = match size <= FILE_LIMIT_BYTES {
            true => fs::read(&self.path).ok()?,
            false => Vec::new(),
        };
        Some(bytes.into())
    }

    /// Keeps another one. Must come before any block with a lower number is shipped, so that no
    /// block ever has the number of a last word that counts.
    pub(super) fn keep(&mut self, block: &[u8]) {
        let new = self.path.with_extension("new");
        let kept = fs::write(&new, block).and_then(|()| fs::rename(&new, &self.path));
        if let (Err(error), false) = (&kept, self.failing) {
            tracing::warn!(%error, file = %self.path.display(), "cannot keep the last word of this run");
        }
        self.failing = kept.is_err();
    }

    /// Takes it away: this run ends in good order, or it has been moved.
    pub(super) fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = %self.path.display(), "cannot remove a last word");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use remora_store::block::{self, BlockMeta, Codec};

    use super::*;

    fn open(dir: &Path) -> (Spool, Recovered) {
        Spool::open(dir, 1 << 20).unwrap()
    }

    fn word(sequence: u64) -> Bytes {
        let meta = BlockMeta {
            sequence,
            ..BlockMeta::default()
        };
        block::seal(&meta, &[], None, Codec::Raw)
    }

    #[test]
    fn the_last_of_several_is_spooled_by_the_next_run_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut recovered) = open(dir.path());
        let mut last_word = LastWord::beside_spool(dir.path());
        last_word.keep(&word(2));
        last_word.keep(&word(3));
        last_word.recover(&mut spool, &mut recovered);
        last_word.recover(&mut spool, &mut recovered);
        let taken = spool.take(usize::MAX).unwrap().blocks;
        let sequences: Vec<u64> = taken.iter().map(|spooled| spooled.sequence).collect();
        assert_eq!(sequences, [3]);
    }

    #[test]
    fn after_an_end_in_good_order_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut recovered) = open(dir.path());
        let mut last_word = LastWord::beside_spool(dir.path());
        last_word.keep(&word(2));
        last_word.remove();
        last_word.recover(&mut spool, &mut recovered);
        assert!(spool.is_empty());
    }

    #[test]
    fn a_damaged_one_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut recovered) = open(dir.path());
        let last_word = LastWord::beside_spool(dir.path());
        for bytes in [&b""[..], b"REMO", &word(2)[..20], &vec![0; 1 << 20]] {
            fs::write(dir.path().join(FILE), bytes).unwrap();
            last_word.recover(&mut spool, &mut recovered);
            assert!(spool.is_empty());
            assert!(!dir.path().join(FILE).exists());
        }
    }
}
