//! What the embedded store costs: taking blocks in, disk for raw bytes, one call, a page, a summary.
//!
//! `cargo bench -p remora-store --bench store`. `REMORA_BENCH_CALLS` sets how many calls there are,
//! 200,000 if it is not set. Rates are per second of processor time, which is one core's; the disk's
//! own time shows in the wall clock beside them. Segments are small here, so that nearly all of them
//! are sealed, and can be merged.

#![expect(clippy::indexing_slicing, reason = "a benchmark may fail")]

mod traffic;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::call::{Call, CallId};
use remora_store::embedded::{Embedded, Options};
use remora_store::filter::Filter;
use remora_store::query::{GroupKey, Order, Query, SummaryQuery};
use remora_store::store::{CallStore, ReceivedBlock, Scope};
use rustix::time::{ClockId, clock_gettime};

const SIDECARS: u128 = 8;

/// Blocks of one request, as a busy sidecar sends them.
const REQUEST_BLOCKS: usize = 4;

/// How often one question is asked; the median counts.
const ROUNDS: usize = 9;

fn main() {
    let calls: usize = std::env::var("REMORA_BENCH_CALLS")
        .ok()
        .and_then(|calls| calls.parse().ok())
        .unwrap_or(200_000);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("the runtime starts");
    for calls_per_block in [512, 32] {
        println!("{calls} calls in blocks of {calls_per_block}");
        runtime.block_on(run(calls, calls_per_block));
    }
}

async fn run(calls: usize, calls_per_block: usize) {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let store = open(dir.path(), false);
    let raw = ingest(&store, calls, calls_per_block).await;
    drop(store);
    let sealed = bytes_below(dir.path());

    let store = open(dir.path(), true);
    let merged = merged_bytes(&store, dir.path()).await;
    println!("  disk per raw byte");
    println!("    as sealed          {:.3}", sealed as f64 / raw as f64);
    println!("    merged             {:.3}", merged as f64 / raw as f64);
    ask(&store, calls as u64 / calls_per_block as u64).await;
    drop(store);
    let begun = Instant::now();
    drop(open(dir.path(), true));
    println!("  open and close       {:.0?}", begun.elapsed());
}

fn open(dir: &Path, merge: bool) -> Embedded {
    let options = Options {
        segment_bytes: /* 4 MiB */ 4 * 1_024 * 1_024,
        merge,
        ..Options::default()
    };
    Embedded::open(dir, options).expect("the store opens")
}

/// Gives all calls to the store, and says how many raw bytes they had.
async fn ingest(store: &Embedded, calls: usize, calls_per_block: usize) -> usize {
    let mut raw = 0;
    let mut taken = Duration::ZERO;
    let begun_cpu = cpu_time();
    let mut sealing_cpu = Duration::ZERO;
    let mut stored = 0;
    for request in 0.. {
        let begun = cpu_time();
        let blocks = request_blocks(request, calls, calls_per_block, &mut raw);
        sealing_cpu += cpu_time() - begun;
        if blocks.is_empty() {
            break;
        }
        let begun = Instant::now();
        stored += store.ingest(blocks).await.expect("blocks are kept").calls;
        taken += begun.elapsed();
    }
    let cpu = cpu_time() - begun_cpu - sealing_cpu;
    println!(
        "  ingest               {:.0} calls/s of one core, {:.0} by the wall clock",
        stored as f64 / cpu.as_secs_f64(),
        stored as f64 / taken.as_secs_f64()
    );
    raw
}

fn request_blocks(
    request: usize,
    calls: usize,
    calls_per_block: usize,
    raw: &mut usize,
) -> Vec<ReceivedBlock> {
    let first = request * REQUEST_BLOCKS;
    (first..first + REQUEST_BLOCKS)
        .map(|block| block * calls_per_block..((block + 1) * calls_per_block).min(calls))
        .zip(first..)
        .filter(|(range, _)| !range.is_empty())
        .map(|(range, block)| {
            let calls = traffic::calls(range);
            *raw += calls.iter().map(traffic::raw_bytes).sum::<usize>();
            received(block, &calls)
        })
        .collect()
}

fn received(block: usize, calls: &[Call]) -> ReceivedBlock {
    let origin = Origin {
        incarnation: (block as u128 / REQUEST_BLOCKS as u128) % SIDECARS,
        workload: "orders".to_owned(),
        namespace: "shop".to_owned(),
        ..Origin::default()
    };
    let meta = BlockMeta {
        origin: origin.clone(),
        sequence: block as u64 + 1,
        ..BlockMeta::default()
    };
    ReceivedBlock {
        origin,
        bytes: seal(&meta, calls, None, Codec::Lz4),
    }
}

/// Bytes on disk once there is nothing left to merge.
async fn merged_bytes(store: &Embedded, dir: &Path) -> u64 {
    let mut before = (0, 0);
    loop {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(2)))
            .await
            .expect("sleeping does not fail");
        let now = (store.health().await.blocks, bytes_below(dir));
        if now == before {
            return now.1;
        }
        before = now;
    }
}

async fn ask(store: &Embedded, blocks: u64) {
    let mut latencies = Vec::new();
    for n in 0..2_000_u64 {
        let id = CallId {
            block: 1 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blocks,
            ordinal: (n % 32) as u32,
        };
        let begun = Instant::now();
        black_box(store.get(&Scope::ALL, id).await.expect("the call is read"));
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    println!(
        "  get                  {:.0?} median, {:.0?} 99th percentile",
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100]
    );
    let filter = |text: &str| Filter::parse(text).expect("the filter is right");
    for text in [
        "status == 503",
        "path == \"/api/orders/77\" && method == \"GET\"",
    ] {
        let query = Query {
            filter: filter(text),
            since_ns: None,
            until_ns: None,
            order: Order::Newest,
            limit: 100,
            cursor: None,
            probes: false,
            bodies: false,
            view: Default::default(),
            time_budget: Duration::from_secs(60),
        };
        let times = times(async || drop(store.list(&Scope::ALL, &query).await)).await;
        println!("  newest 100 by filter {times}   {text}");
    }
    let query = SummaryQuery {
        filter: Filter::default(),
        since_ns: None,
        until_ns: None,
        group_by: vec![GroupKey::Edge, GroupKey::Route, GroupKey::Status],
        probes: false,
        limit: 100,
        view: Default::default(),
        time_budget: Duration::from_secs(60),
    };
    let times = times(async || drop(store.summarize(&Scope::ALL, &query).await)).await;
    println!("  summary of all       {times}");
}

/// The first time, when everything is read from segments, and the median of those that follow.
async fn times(question: impl AsyncFn()) -> String {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        question().await;
        times.push(begun.elapsed());
    }
    let first = times.remove(0);
    times.sort();
    format!("{first:.1?} first, then {:.1?}", times[times.len() / 2])
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}
