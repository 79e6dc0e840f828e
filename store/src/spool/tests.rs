//! The spool across restarts, limits and damage.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::block::{BlockMeta, Codec, seal};
use crate::testing::call;

const NONE: [u64; 0] = [];
const PLENTY: u64 = 64 * 1024 * 1024;

fn block(sequence: u64, calls: usize) -> Bytes {
    let calls: Vec<_> = (0..calls)
        .map(|at| call(at as i64 + 5, "/api/orders/1", 200))
        .collect();
    let meta = BlockMeta {
        sequence,
        ..BlockMeta::default()
    };
    seal(&meta, &calls, None, Codec::Raw)
}

fn open(dir: &TempDir, limit_bytes: u64) -> (Spool, Recovered) {
    Spool::open(dir.path(), limit_bytes).unwrap()
}

fn append(spool: &mut Spool, sequence: u64, block: &[u8]) -> Vec<u64> {
    let appended = spool.append(sequence, block);
    assert!(appended.failure.is_none(), "{:?}", appended.failure);
    appended.evicted.iter().map(|lost| lost.sequence).collect()
}

fn take_sequences(spool: &mut Spool, max_bytes: usize) -> Vec<u64> {
    let taken = spool.take(max_bytes).unwrap();
    taken.blocks.iter().map(|block| block.sequence).collect()
}

fn only_file(dir: &TempDir) -> PathBuf {
    let number = file_numbers(dir.path()).unwrap();
    dir.path().join(file_name(number[0]))
}

#[test]
fn blocks_leave_oldest_first_and_the_disk_is_empty_after() {
    let dir = TempDir::new().unwrap();
    let (mut spool, recovered) = open(&dir, PLENTY);
    assert_eq!(recovered, Recovered::default());
    for sequence in 1..=5 {
        assert_eq!(append(&mut spool, sequence, &block(sequence, 3)), NONE);
    }
    let taken = spool.take(usize::MAX).unwrap();
    assert_eq!(spool.blocks(), 5);
    for (found, sequence) in taken.blocks.iter().zip(1..=5) {
        assert_eq!(found.block, block(sequence, 3));
        spool.acknowledge(found.ticket);
    }
    assert!(spool.is_empty());
    assert_eq!(spool.bytes(), 0);
    assert_eq!(file_numbers(dir.path()).unwrap(), NONE);
}

#[test]
fn what_is_taken_is_not_taken_twice_until_it_is_given_back() {
    let dir = TempDir::new().unwrap();
    let (mut spool, _) = open(&dir, PLENTY);
    let one = block(1, 1);
    for sequence in 1..=3 {
        append(&mut spool, sequence, &one);
    }
    assert_eq!(take_sequences(&mut spool, 2 * one.len()), [1, 2]);
    assert_eq!(take_sequences(&mut spool, 1), [3], "at least one is taken");
    assert_eq!(take_sequences(&mut spool, usize::MAX), NONE);
    spool.give_back();
    assert_eq!(take_sequences(&mut spool, usize::MAX), [1, 2, 3]);
}

#[test]
fn a_restart_finds_what_was_not_acknowledged() {
    let dir = TempDir::new().unwrap();
    let (mut spool, _) = open(&dir, PLENTY);
    for sequence in 1..=4 {
        append(&mut spool, sequence, &block(sequence, sequence as usize));
    }
    let taken = spool.take(usize::MAX).unwrap().blocks;
    spool.acknowledge(taken[0].ticket);
    spool.acknowledge(taken[2].ticket);
    drop(spool);

    let (mut spool, recovered) = open(&dir, PLENTY);
    assert_eq!((recovered.blocks, recovered.calls), (2, 2 + 4));
    assert_eq!(recovered.cut_bytes, 0);
    append(&mut spool, 1, &block(1, 1));
    assert_eq!(take_sequences(&mut spool, usize::MAX), [2, 4, 1]);
}

#[test]
fn the_oldest_make_room_and_are_counted_with_what_they_would_have_told() {
    let dir = TempDir::new().unwrap();
    let meta = BlockMeta {
        sequence: 1,
        drops: vec![Drop {
            reason: "budget".into(),
            calls: 9,
            since_ns: 1,
            until_ns: 2,
        }],
        ..BlockMeta::default()
    };
    let calls: Vec<_> = (0..100).map(|at| call(at + 5, "/x", 200)).collect();
    let first = seal(&meta, &calls, None, Codec::Raw);
    let limit = 3 * MIN_FILE_BYTES;
    let (mut spool, _) = open(&dir, limit);
    let mut evicted = spool.append(1, &first).evicted;
    assert!(evicted.is_empty());
    for sequence in 2..1_000 {
        evicted = spool.append(sequence, &block(sequence, 100)).evicted;
        assert!(spool.bytes() <= limit);
        if !evicted.is_empty() {
            break;
        }
    }
    assert_eq!(
        evicted[0],
        Evicted {
            recovered: false,
            sequence: 1,
            calls: 100,
            first_ns: 5,
            last_ns: 104,
            drops: meta.drops,
        }
    );
    let gone = evicted.len() as u64;
    assert_eq!(take_sequences(&mut spool, 1), [gone + 1]);
}

#[test]
fn what_is_being_shipped_makes_no_room() {
    let dir = TempDir::new().unwrap();
    let large = block(1, 200);
    let (mut spool, _) = open(&dir, 2 * SpoolFile::bytes_for(&large));
    append(&mut spool, 1, &large);
    append(&mut spool, 2, &large);
    assert_eq!(take_sequences(&mut spool, 1), [1]);
    assert_eq!(
        append(&mut spool, 3, &large),
        [3],
        "the file holds a taken block"
    );
    spool.give_back();
    assert_eq!(append(&mut spool, 4, &large), [1, 2]);
}

#[test]
fn a_block_above_the_limit_is_lost_alone() {
    let dir = TempDir::new().unwrap();
    let small = block(1, 1);
    let (mut spool, _) = open(&dir, 2 * SpoolFile::bytes_for(&small));
    append(&mut spool, 1, &small);
    assert_eq!(append(&mut spool, 2, &block(2, 100)), [2]);
    assert_eq!(take_sequences(&mut spool, usize::MAX), [1]);
}

#[test]
fn a_failed_write_loses_the_block_and_no_other() {
    let dir = TempDir::new().unwrap();
    let (mut spool, _) = open(&dir, PLENTY);
    append(&mut spool, 1, &block(1, 1));
    // A name that is taken makes the next file impossible, whoever runs the test.
    spool.writing = false;
    std::fs::create_dir(spool.path(spool.next_file)).unwrap();
    let appended = spool.append(2, &block(2, 7));
    assert!(appended.failure.is_some());
    assert_eq!(appended.evicted[0].calls, 7);
    assert_eq!(take_sequences(&mut spool, usize::MAX), [1]);
}

#[test]
fn one_process_at_a_time_holds_a_directory() {
    let dir = TempDir::new().unwrap();
    let (spool, _) = open(&dir, PLENTY);
    let second = Spool::open(dir.path(), PLENTY);
    assert!(
        matches!(second, Err(SpoolError::Locked { .. })),
        "{second:?}"
    );
    drop(spool);
    open(&dir, PLENTY);
}

#[test]
fn a_damaged_block_is_told_and_the_rest_is_served() {
    let dir = TempDir::new().unwrap();
    let (mut spool, _) = open(&dir, PLENTY);
    for sequence in 1..=3 {
        append(&mut spool, sequence, &block(sequence, 1));
    }
    let file = OpenOptions::new()
        .write(true)
        .open(only_file(&dir))
        .unwrap();
    // The last bytes of the second block, without which it does not even say how many calls it has.
    let each = SpoolFile::bytes_for(&block(1, 1)) - 8;
    file.write_all_at(b"?????", 8 + 2 * each - 5).unwrap();
    drop(spool);
    let (mut spool, recovered) = open(&dir, PLENTY);
    assert_eq!(recovered.damaged.len(), 1);
    let lost = &recovered.damaged[0];
    assert_eq!((lost.sequence, lost.calls), (2, 1));
    assert_eq!(take_sequences(&mut spool, usize::MAX), [1, 3]);
    spool.give_back();
    file.write_all_at(b"?????", 100).unwrap();
    let taken = spool.take(usize::MAX).unwrap();
    assert_eq!(taken.damaged[0].sequence, 1);
    assert_eq!(taken.blocks[0].sequence, 3);
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = TempDir::new().unwrap();
    for name in ["notes.txt", "7.spool"] {
        std::fs::write(dir.path().join(name), "mine").unwrap();
    }
    open(&dir, PLENTY);
    for name in ["notes.txt", "7.spool"] {
        assert!(dir.path().join(name).exists(), "{name} is gone");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_that_ends_anywhere_keeps_every_whole_block(cut in 0_u64..2_000, tail in ".{0,60}") {
        let dir = TempDir::new().unwrap();
        let (mut spool, _) = open(&dir, PLENTY);
        let one = block(1, 1);
        let each = SpoolFile::bytes_for(&one) - 8;
        for sequence in 1..=3 {
            append(&mut spool, sequence, &one);
        }
        drop(spool);
        let mut file = OpenOptions::new().append(true).open(only_file(&dir)).unwrap();
        let length = file.metadata().unwrap().len();
        let left = length.saturating_sub(cut);
        file.set_len(left).unwrap();
        file.write_all(tail.as_bytes()).unwrap();
        let whole = left.saturating_sub(8) / each;
        let (mut spool, recovered) = open(&dir, PLENTY);
        prop_assert_eq!(recovered.blocks, whole);
        let expected: Vec<u64> = (1..=whole).collect();
        prop_assert_eq!(take_sequences(&mut spool, usize::MAX), expected);
        append(&mut spool, 9, &one);
        drop(spool);
        let (_, again) = open(&dir, PLENTY);
        prop_assert_eq!(again, Recovered { blocks: whole + 1, calls: whole + 1, ..Recovered::default() });
    }
}
