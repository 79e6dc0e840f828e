//! Everything that is found without an expectation, over a hundred thousand records.
//!
//! `cargo bench -p remora-mcp --bench checks`

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "nothing here is anybody's interface"
)]

#[path = "generated/legs.rs"]
mod legs;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use remora_mcp::checks::{Kind, find};
use remora_mcp::traffic::{Seen, Traffic};

use legs::{LEGS, legs};

fn main() {
    divan::main();
}

const CALLS: legs::Traffic = legs::Traffic {
    in_flight: 4,
    translated: false,
    polls: false,
};

/// Joined, with causes, and looked at by every check.
#[divan::bench(sample_count = 10)]
fn all_checks(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(LEGS))
        .with_inputs(|| legs(CALLS).into_iter().map(Seen::new).collect::<Vec<_>>())
        .bench_local_values(|seen| {
            let traffic = Traffic::new(seen);
            let all = traffic.pick(|_| true);
            black_box(find(&Kind::FINDERS, &traffic.view(&all)).len())
        });
}

/// The checks alone.
#[divan::bench(args = Kind::FINDERS.map(Kind::as_str), sample_count = 10)]
fn one_check(bencher: Bencher<'_, '_>, name: &str) {
    let kinds: Vec<Kind> = Kind::FINDERS
        .into_iter()
        .filter(|kind| kind.as_str() == name)
        .collect();
    let traffic = Traffic::new(legs(CALLS).into_iter().map(Seen::new).collect());
    let all = traffic.pick(|_| true);
    bencher.bench_local(|| black_box(find(&kinds, &traffic.view(&all)).len()));
}
