//! What a question costs among ten million calls in a store on disk, and what a summary of the last
//! million.
//!
//! `cargo bench -p remora-store --bench archive`. The calls are made once and kept below `target/tmp`
//! until the format of blocks changes, or the calls do; `REMORA_BENCH_CALLS` sets how many there are.
//! A cold question is the first one of a store that was just opened, its files not in the memory of
//! the kernel; a warm one has been asked before. Where most of the calls have to be looked at, their
//! columns do not fit into the store's memory, and warm is no better than cold.

mod town;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use remora_store::block::{Block, merge};
use remora_store::embedded::{Embedded, Options};
use remora_store::filter::Filter;
use remora_store::query::{GroupKey, Order, Query, SummaryQuery};
use remora_store::store::{CallStore, ReceivedBlock, Scope};
use rustix::fs::{Advice, fadvise};

use town::{CALLS_PER_BLOCK, FIRST_NS, SIDECARS, STEP_NS};

/// Blocks of one request.
const REQUEST_BLOCKS: usize = 8;

/// How often a warm question is asked, and in how many stores just opened a cold one; the median
/// counts.
const WARM_ROUNDS: usize = 5;
const COLD_ROUNDS: usize = 3;

/// Which of the calls a question is about.
#[derive(Debug, Clone, Copy)]
enum Window {
    All,
    /// Those before the middle.
    FirstHalf,
    /// The last of a hundred parts.
    LastHundredth,
}

/// What is asked: a name, a filter and a window.
const QUESTIONS: &[(&str, &str, Window)] = &[
    ("everything", "true", Window::All),
    ("common", "http && status_code >= 500", Window::All),
    (
        "common, in the first half",
        "http && status_code >= 500",
        Window::FirstHalf,
    ),
    (
        "one service",
        "dst.service.name == \"service-7\" && method == \"POST\"",
        Window::All,
    ),
    ("rare: 1 of 10,000", "status == 418", Window::All),
    (
        "rare, in the last hundredth",
        "status == 418",
        Window::LastHundredth,
    ),
    ("none: a status", "status == 507", Window::All),
    ("none: a method", "method == \"PATCH\"", Window::All),
    (
        "none: words of a path",
        "path.contains(\"/no/such/path\")",
        Window::All,
    ),
    (
        "the same, in the last hundredth",
        "path.contains(\"/no/such/path\")",
        Window::LastHundredth,
    ),
];

fn main() {
    let calls = std::env::var("REMORA_BENCH_CALLS").ok();
    let calls = calls.map_or(10_000_000, |calls| {
        calls.parse().expect("REMORA_BENCH_CALLS is a number")
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("the runtime starts");
    let dir = runtime.block_on(stored(calls));
    runtime.block_on(ask_all(&dir, calls));
}

/// The folder with the calls, which are made where they are not there as this version makes them.
async fn stored(calls: usize) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("archive-{calls}"));
    let marker = dir.join("made-by");
    let mark = mark();
    if fs::read_to_string(&marker).is_ok_and(|found| found == mark) {
        return dir;
    }
    // Nothing is there, or it was made by another version, or not to the end.
    let _ = fs::remove_dir_all(&dir);
    make(&dir, calls).await;
    fs::write(&marker, mark).expect("the mark is written");
    dir
}

/// Differs where a block, sealed or merged, differs in a byte.
fn mark() -> String {
    let blocks = [1, 2].map(|number| {
        let bytes = town::sealed(0, number, number as usize * CALLS_PER_BLOCK);
        (number, Block::open(bytes).expect("it was just sealed"))
    });
    let merged = merge(&blocks).expect("they fit");
    format!("{:08x}", crc32fast::hash(&merged))
}

async fn make(dir: &Path, calls: usize) {
    let begun = Instant::now();
    let store = open(dir);
    let requests = calls.div_ceil(CALLS_PER_BLOCK * REQUEST_BLOCKS);
    for request in 0..requests {
        let blocks = (request * REQUEST_BLOCKS..(request + 1) * REQUEST_BLOCKS)
            .filter(|block| block * CALLS_PER_BLOCK < calls)
            .map(|block| received(block as u64))
            .collect();
        store.ingest(blocks).await.expect("blocks are kept");
        if request % 50 == 0 {
            tell(format_args!(
                "making {calls} calls: {} %",
                100 * request / requests
            ));
        }
    }
    let bytes = merged_bytes(&store, dir).await;
    drop(store);
    tell(format_args!(""));
    println!(
        "{calls} calls, {} MB below {}, made in {:.0?}",
        bytes / 1_000_000,
        dir.display(),
        begun.elapsed()
    );
}

fn received(block: u64) -> ReceivedBlock {
    let sidecar = block as usize % SIDECARS;
    ReceivedBlock {
        origin: town::origin(sidecar),
        bytes: town::sealed(sidecar, block + 1, block as usize * CALLS_PER_BLOCK),
    }
}

/// Bytes on disk once there is nothing left to merge.
async fn merged_bytes(store: &Embedded, dir: &Path) -> u64 {
    let mut before = (0, 0);
    loop {
        pause(Duration::from_secs(3)).await;
        let now = (store.health().await.blocks, bytes_below(dir));
        if now == before {
            return now.1;
        }
        tell(format_args!(
            "merging: {} blocks, {} MB",
            now.0,
            now.1 / 1_000_000
        ));
        before = now;
    }
}

async fn ask_all(dir: &Path, calls: usize) {
    let begun = Instant::now();
    let store = opened(dir).await;
    let health = store.health().await;
    println!(
        "{} calls in {} blocks, opened and checked in {:.1?}",
        health.calls,
        health.blocks,
        begun.elapsed()
    );
    let mut warm = Vec::new();
    for question in QUESTIONS {
        tell(format_args!("warm: {}", question.0));
        warm.push(list(&store, *question, calls, WARM_ROUNDS).await);
    }
    let latest = summary(&store, calls.saturating_sub(1_000_000)).await;
    let all = summary(&store, 0).await;
    drop(store);

    println!("newest 100, target 100 ms           matches  looked at    warm, ms    cold, ms");
    for (question, warm) in QUESTIONS.iter().zip(warm) {
        let mut cold = Vec::new();
        for _ in 0..COLD_ROUNDS {
            tell(format_args!("cold: {}", question.0));
            let store = opened(dir).await;
            forget_files(dir);
            cold.push(list(&store, *question, calls, 1).await.ms);
        }
        println!(
            "  {:<33} {:>7} {:>10} {:>11.1} {:>11.1}",
            question.0,
            warm.matches,
            warm.examined,
            warm.ms,
            median(&mut cold)
        );
    }
    println!("summary by edge, route and status, target 1,000 ms for a million");
    println!("  the last million                {latest:>30.1}");
    println!("  all                             {all:>30.1}");
}

/// What came of a question.
struct Answer {
    matches: usize,
    examined: u64,
    ms: f64,
}

async fn list(
    store: &Embedded,
    (_, filter, window): (&str, &str, Window),
    calls: usize,
    rounds: usize,
) -> Answer {
    let (since_ns, until_ns) = match window {
        Window::All => (None, None),
        Window::FirstHalf => (None, Some(time_of(calls / 2))),
        Window::LastHundredth => (Some(time_of(calls - calls / 100)), None),
    };
    let query = Query {
        filter: Filter::parse(filter).expect("it is a filter"),
        since_ns,
        until_ns,
        order: Order::Newest,
        limit: 100,
        cursor: None,
        probes: false,
        bodies: false,
        view: Default::default(),
        time_budget: Duration::from_secs(600),
    };
    // A warm question was asked before.
    if rounds > 1 {
        store.list(&Scope::ALL, &query).await.expect("it answers");
    }
    let (mut matches, mut examined, mut took) = (0, 0, Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let page = store.list(&Scope::ALL, &query).await.expect("it answers");
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        (matches, examined) = (page.calls.len(), page.examined);
    }
    Answer {
        matches,
        examined,
        ms: median(&mut took),
    }
}

/// Milliseconds that a summary of the calls from `first` on takes.
async fn summary(store: &Embedded, first: usize) -> f64 {
    let query = SummaryQuery {
        filter: Filter::parse("true").expect("it is a filter"),
        since_ns: Some(time_of(first)),
        until_ns: None,
        group_by: vec![GroupKey::Edge, GroupKey::Route, GroupKey::Status],
        probes: false,
        limit: 100,
        view: Default::default(),
        time_budget: Duration::from_secs(600),
    };
    let mut took = Vec::new();
    for round in 1..=COLD_ROUNDS {
        tell(format_args!("summary from call {first}, round {round}"));
        let begun = Instant::now();
        let answer = store.summarize(&Scope::ALL, &query).await;
        assert!(!answer.expect("it answers").groups.is_empty());
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    median(&mut took)
}

fn time_of(call: usize) -> i64 {
    FIRST_NS + call as i64 * STEP_NS
}

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, Options::default()).expect("the store opens")
}

/// An opened store that has looked through its files.
async fn opened(dir: &Path) -> Embedded {
    let store = open(dir);
    while has_thread("store-checker") {
        pause(Duration::from_millis(50)).await;
    }
    store
}

fn has_thread(name: &str) -> bool {
    let threads = fs::read_dir("/proc/self/task").expect("the process has threads");
    let mut names = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|found| found.trim_end() == name)
}

/// Has the kernel forget what it read of the segments.
fn forget_files(dir: &Path) {
    for file in fs::read_dir(dir.join("segments"))
        .expect("there are segments")
        .flatten()
    {
        let file = File::open(file.path()).expect("a segment opens");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes advice");
    }
}

fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

async fn pause(length: Duration) {
    let paused = tokio::task::spawn_blocking(move || std::thread::sleep(length));
    paused.await.expect("sleeping does not fail");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A line on the terminal that the next one replaces.
fn tell(line: std::fmt::Arguments<'_>) {
    eprint!("\r{:70}\r{line}", "");
    let _ = std::io::stderr().flush();
}
