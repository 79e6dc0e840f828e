//! What a block costs per call: sealing in the sidecar, reading and merging in the hub.
//!
//! `cargo bench -p remora-store --bench block`. Rates are calls per second. The table at the end
//! says what is left of the raw bytes.

mod traffic;

use divan::Bencher;
use divan::counter::ItemsCount;
use remora_store::block::{Block, BlockMeta, Codec, merge, seal};
use remora_store::call::Call;
use traffic::raw_bytes;

/// As many as a sidecar seals at most.
const CALLS: usize = 512;
const MERGED_BLOCKS: usize = 16;

fn main() {
    divan::main();
    print_sizes();
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4])]
fn seal_1_kb_calls(bencher: Bencher, codec: Codec) {
    let (meta, calls) = (BlockMeta::default(), calls(0));
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| seal(&meta, &calls, None, codec));
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn read_columns(bencher: Bencher, codec: Codec) {
    let block = block(0, codec);
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| block.columns());
}

#[divan::bench]
fn read_columns_of_a_merged_block(bencher: Bencher) {
    let block = Block::open(merge(&blocks()).expect("they fit")).expect("it is whole");
    bencher
        .counter(ItemsCount::new(CALLS * MERGED_BLOCKS))
        .bench(|| block.columns());
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn open_and_verify(bencher: Bencher, codec: Codec) {
    let bytes = block(0, codec).bytes().clone();
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| Block::open(bytes.clone()).and_then(|block| block.verify()));
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn read_one_call(bencher: Bencher, codec: Codec) {
    let block = block(0, codec);
    bencher.bench(|| block.call(300));
}

#[divan::bench]
fn merge_lz4_blocks(bencher: Bencher) {
    let blocks = blocks();
    bencher
        .counter(ItemsCount::new(CALLS * MERGED_BLOCKS))
        .bench(|| merge(&blocks));
}

fn print_sizes() {
    let raw: usize = (0..MERGED_BLOCKS)
        .flat_map(calls)
        .map(|call| raw_bytes(&call))
        .sum();
    let of = |blocks: &[(u64, Block)]| -> usize {
        blocks.iter().map(|(_, block)| block.bytes().len()).sum()
    };
    let in_codec =
        |codec| -> Vec<_> { (0..MERGED_BLOCKS).map(|at| (0, block(at, codec))).collect() };
    let merged = merge(&blocks()).expect("they fit").len();
    let per_call = raw / (CALLS * MERGED_BLOCKS);
    println!("bytes per raw byte ({per_call} raw bytes per call: heads and bodies)");
    for (name, bytes) in [
        ("sealed raw", of(&in_codec(Codec::Raw))),
        ("sealed lz4", of(&in_codec(Codec::Lz4))),
        ("merged zstd", merged),
    ] {
        println!("  {name:12} {:.3}", bytes as f64 / raw as f64);
    }
}

fn blocks() -> Vec<(u64, Block)> {
    (0..MERGED_BLOCKS)
        .map(|at| (at as u64 + 1, block(at, Codec::Lz4)))
        .collect()
}

fn block(number: usize, codec: Codec) -> Block {
    let meta = BlockMeta {
        sequence: number as u64 + 1,
        ..BlockMeta::default()
    };
    Block::open(seal(&meta, &calls(number), None, codec)).expect("it was just sealed")
}

fn calls(block: usize) -> Vec<Call> {
    traffic::calls(block * CALLS..(block + 1) * CALLS)
}
