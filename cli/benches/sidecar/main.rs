//! What the sidecar costs: CPU, wake-ups and memory beside a plain TCP relay and HAProxy, as ratios
//! from one run.
//!
//! `cargo bench -p remora --bench sidecar -- [--rounds 7] [--seconds 2]`. Needs `nginx`, `wrk`,
//! `haproxy` and `taskset`. Client, server and hub share core 0; the proxy under test has core 1
//! alone. Within a round all contenders run back to back, cell by cell, and each ratio is taken
//! within its round; what is printed is the median over the rounds with its extremes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark that cannot measure ends, and nothing here is anybody's interface"
)]

mod contender;
mod measure;
mod relay;
mod report;

use std::time::Duration;

use contender::{Contender, Rig};
use measure::{Cell, Sample};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some([_, listen, upstream]) = arguments.get(0..3).filter(|a| a[0] == "relay") {
        return relay::run(listen, upstream);
    }
    // `cargo test --benches` and `cargo bench` of other targets call this with their own flags.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let rounds = number_after(&arguments, "--rounds").unwrap_or(7);
    let seconds = number_after(&arguments, "--seconds").unwrap_or(2);
    for program in ["nginx", "wrk", "haproxy", "taskset"] {
        if !measure::is_installed(program) {
            eprintln!(
                "left out: this benchmark needs {program}; apt-get install nginx-light wrk haproxy util-linux"
            );
            return;
        }
    }
    let rig = Rig::start();
    compare_cpu(&rig, rounds, Duration::from_secs(seconds));
    compare_memory(&rig);
}

fn compare_cpu(rig: &Rig, rounds: u64, length: Duration) {
    for cell in Cell::ALL {
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); Contender::ALL.len()];
        for round in 1..=rounds {
            for (index, contender) in Contender::ALL.into_iter().enumerate() {
                eprint!(
                    "\r{}: round {round} of {rounds}, {:<20}",
                    cell.name,
                    contender.name()
                );
                samples[index].push(measure::load(rig, contender, cell, length));
            }
        }
        eprint!("\r{:60}\r", "");
        report::cpu(cell, &samples);
    }
}

fn compare_memory(rig: &Rig) {
    println!("\nmemory, MiB        idle    64 connections    1,000 connections");
    for contender in [Contender::Relay, Contender::RecordOn, Contender::Haproxy] {
        let figures = measure::memory(rig, contender);
        println!(
            "{:<16} {:>6.1} {:>17.1} {:>20.1}",
            contender.name(),
            figures[0],
            figures[1],
            figures[2]
        );
    }
}

fn number_after(arguments: &[String], flag: &str) -> Option<u64> {
    let at = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(at + 1)?.parse().ok()
}
