//! What a question costs among a million calls, with blocks as the hub keeps them.
//!
//! `cargo bench -p remora-store --bench query`; `CALLS=100000` asks fewer. The blocks are merged ones
//! in memory, so that the cost of the disk is not in it; their columns are at hand as they are in a
//! store that was asked before, or have to be unpacked first where it says `cold`.

mod town;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use divan::Bencher;
use remora_store::block::{Block, Columns, Origin, merge};
use remora_store::call::{Call, CallId};
use remora_store::filter::Filter;
use remora_store::names::Names;
use remora_store::query::{
    BlockEntry, BlockSource, GroupKey, Order, Query, SummaryQuery, list, summarize,
};
use remora_store::store::{Scope, StoreError};
use town::{CALLS_PER_BLOCK, SIDECARS, sealed};

const BLOCKS_PER_MERGED: usize = 8;

fn main() {
    let begun = Instant::now();
    let blocks = Blocks::at_hand();
    let bytes: usize = blocks
        .blocks
        .values()
        .map(|block| block.bytes().len())
        .sum();
    println!(
        "{} calls of {SIDECARS} sidecars in {} blocks, {} MB, made in {:.1?}",
        blocks.calls,
        blocks.blocks.len(),
        bytes / 1_000_000,
        begun.elapsed(),
    );
    divan::main();
}

const FILTERS: &[(&str, &str)] = &[
    ("everything", "true"),
    ("common", "http && status_code >= 500"),
    (
        "service",
        "dst.service.name == \"service-7\" && method == \"POST\"",
    ),
    ("rare", "status == 418"),
    ("nothing", "path.contains(\"/no/such/path\")"),
    (
        "slow and one route",
        "route == \"/api/things/{id}\" && elapsed_time > 49000",
    ),
    (
        "header",
        "request.headers[\"x-request-id\"] == \"r-999999\"",
    ),
];

#[divan::bench(args = FILTERS.iter().map(|(name, _)| name), max_time = 3)]
fn newest_100(bencher: Bencher, name: &str) {
    newest(bencher, name, Blocks::at_hand());
}

#[divan::bench(args = ["common", "rare"], max_time = 3)]
fn newest_100_cold(bencher: Bencher, name: &str) {
    newest(bencher, name, &Cold(Blocks::at_hand()));
}

fn newest(bencher: Bencher, name: &str, blocks: &dyn BlockSource) {
    let (_, filter) = FILTERS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("it is listed");
    let query = Query {
        filter: Filter::parse(filter).expect("it is a filter"),
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
    bencher.bench(|| list(blocks, &Scope::ALL, &query).expect("it answers"));
}

#[divan::bench(args = ["true", "status >= 500"], max_time = 3)]
fn summary_by_edge_route_status(bencher: Bencher, filter: &str) {
    let query = SummaryQuery {
        filter: Filter::parse(filter).expect("it is a filter"),
        since_ns: None,
        until_ns: None,
        group_by: vec![GroupKey::Edge, GroupKey::Route, GroupKey::Status],
        probes: false,
        limit: 100,
        view: Default::default(),
        time_budget: Duration::from_secs(60),
    };
    let blocks = Blocks::at_hand();
    bencher.bench(|| summarize(blocks, &Scope::ALL, &query).expect("it answers"));
}

#[divan::bench]
fn read_a_filter() -> Filter {
    Filter::parse("http && path.startsWith(\"/api/orders\") && elapsed_time > 2000000")
        .expect("it is one")
}

struct Blocks {
    calls: usize,
    entries: Arc<[BlockEntry]>,
    blocks: BTreeMap<u64, Block>,
    columns: BTreeMap<u64, Arc<Columns>>,
    names: Arc<Names>,
}

/// The same, with nothing unpacked.
struct Cold(&'static Blocks);

impl Blocks {
    fn at_hand() -> &'static Self {
        static BLOCKS: LazyLock<Blocks> = LazyLock::new(|| {
            let calls = std::env::var("CALLS")
                .ok()
                .and_then(|calls| calls.parse().ok());
            Blocks::made(calls.unwrap_or(1_000_000))
        });
        &BLOCKS
    }

    fn made(calls: usize) -> Self {
        let mut waiting: Vec<Vec<(u64, Block)>> = vec![Vec::new(); SIDECARS];
        let mut made = Self {
            calls: 0,
            entries: Arc::new([]),
            blocks: BTreeMap::new(),
            columns: BTreeMap::new(),
            names: Arc::default(),
        };
        let mut entries = Vec::new();
        let mut number = 0;
        while made.calls < calls {
            number += 1;
            let sidecar = number as usize % SIDECARS;
            let bytes = sealed(sidecar, number, made.calls);
            made.calls += CALLS_PER_BLOCK;
            let block = Block::open(bytes).expect("it is whole");
            if let Some(waiting) = waiting.get_mut(sidecar) {
                waiting.push((number, block));
                if waiting.len() == BLOCKS_PER_MERGED || made.calls >= calls {
                    made.keep(number, &std::mem::take(waiting), &mut entries);
                }
            }
        }
        for (sidecar, waiting) in waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| !waiting.is_empty())
        {
            made.keep(number + 1 + sidecar as u64, waiting, &mut entries);
        }
        entries.sort_by_key(|entry| (entry.summary.first_ns, entry.number));
        made.entries = entries.into();
        made
    }

    fn keep(&mut self, number: u64, parts: &[(u64, Block)], entries: &mut Vec<BlockEntry>) {
        let block = Block::open(merge(parts).expect("they fit")).expect("it is whole");
        let origin = Arc::new(block.meta().origin.clone());
        let summary = Arc::new(block.summary().clone());
        Arc::make_mut(&mut self.names).learn(&origin, summary.first_ns, summary.last_ns);
        entries.push(BlockEntry {
            number,
            origin,
            summary,
        });
        let columns = block.columns().expect("they read");
        self.columns.insert(number, Arc::new(columns));
        self.blocks.insert(number, block);
    }
}

impl BlockSource for Blocks {
    fn entries(&self) -> Arc<[BlockEntry]> {
        Arc::clone(&self.entries)
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        Ok(self.columns.get(&number).cloned())
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        Ok(self.blocks.get(&number).cloned())
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        Vec::new()
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }
}

impl BlockSource for Cold {
    fn entries(&self) -> Arc<[BlockEntry]> {
        self.0.entries()
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        let block = self.0.blocks.get(&number);
        Ok(block.map(|block| Arc::new(block.columns().expect("they read"))))
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        self.0.block(number)
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        self.0.open_calls()
    }

    fn names(&self) -> Arc<Names> {
        self.0.names()
    }
}
