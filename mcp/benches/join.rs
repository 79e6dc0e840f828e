//! Joining a hundred thousand legs, and finding what caused them.
//!
//! `cargo bench -p remora-mcp --bench join`

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "nothing here is anybody's interface"
)]

#[path = "generated/legs.rs"]
mod legs;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use remora_mcp::causality::Causes;
use remora_mcp::join::Joined;
use remora_store::query::FoundCall;

use legs::{Traffic, legs};

fn main() {
    divan::main();
}

const CASES: [(&str, Traffic); 4] = [
    ("4 at a time", traffic(4, false, false)),
    ("16 at a time", traffic(16, false, false)),
    ("translated", traffic(4, true, false)),
    ("translated polls", traffic(4, true, true)),
];

const fn traffic(in_flight: i64, translated: bool, polls: bool) -> Traffic {
    Traffic {
        in_flight,
        translated,
        polls,
    }
}

fn case(name: &str) -> Vec<FoundCall> {
    let (_, traffic) = CASES.iter().find(|(known, _)| *known == name).unwrap();
    legs(*traffic)
}

#[divan::bench(args = CASES.map(|(name, _)| name), sample_count = 10)]
fn join(bencher: Bencher<'_, '_>, name: &str) {
    let legs = case(name);
    bencher
        .counter(ItemsCount::new(legs.len()))
        .bench_local(|| Joined::of(black_box(&legs)));
}

#[divan::bench(args = ["4 at a time", "16 at a time"], sample_count = 10)]
fn causes(bencher: Bencher<'_, '_>, name: &str) {
    let legs = case(name);
    bencher
        .counter(ItemsCount::new(legs.len()))
        .bench_local(|| Causes::of(black_box(&legs)));
}
