//! How long pods wait for the webhook, and how much memory it takes: the injector's own server in a process of its own,
//! asked over TLS as an API server does.
//!
//! `cargo bench -p remora-injector`; `SECONDS=5` asks for a shorter time each. Budgets: p99 under 10 ms at 50 pods a
//! second, and 32 MiB resident. A request that the webhook has no answer for goes the same way, so what is left between
//! the two is what an answer takes.

#![allow(
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark that panics has failed, and nothing here is anybody's interface"
)]

mod client;
mod served;

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use client::{Asked, Client};
use served::Injector;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// As a real API server sent it, of a pod with probes, annotations and resources.
const REVIEW: &[u8] = include_bytes!("../../../fuzz/seeds/review/web.json");
/// Largest environment of the large pod, in variables; some 300 KiB of review.
const VARIABLES: usize = 4000;

fn main() {
    if served::is_child() {
        return served::serve();
    }
    let seconds = std::env::var("SECONDS").ok();
    let seconds = seconds.map_or(20, |text| text.parse().expect("SECONDS is a number"));
    let injector = Injector::start();
    let idle = injector.memory();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(&injector, Duration::from_secs(seconds)));
    println!("memory, idle: {idle}");
    println!("memory, after all of it: {}", injector.memory());
}

async fn measure(injector: &Injector, time: Duration) {
    let large: Arc<[u8]> = large().into();
    let review: Arc<[u8]> = REVIEW.into();
    let loads = [
        ("50 pods/s", 50, &review, true),
        ("500 pods/s", 500, &review, true),
        ("50 pods/s, a new connection each", 50, &review, false),
        ("50 pods/s of 300 KiB", 50, &large, true),
    ];
    for (name, per_second, review, keeps) in loads {
        let client = Arc::new(Client::new(injector, keeps));
        let (answers, nothing) = ask(&client, review, per_second, time).await;
        println!("{name}: {}", summary(&answers));
        println!(
            "  with nothing to answer: {}, p50 ratio {:.2}",
            summary(&nothing),
            ratio(&answers, &nothing)
        );
    }
}

/// Asks for answers and for nothing in turn, neither waiting for the one before; gives how long each took.
async fn ask(
    client: &Arc<Client>,
    review: &Arc<[u8]>,
    per_second: u32,
    time: Duration,
) -> (Vec<Duration>, Vec<Duration>) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let nothing = Arc::new(Mutex::new(Vec::new()));
    let mut ticks = interval(Duration::from_secs(1) / per_second / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + time;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0_u64.. {
        ticks.tick().await;
        if Instant::now() >= end {
            break;
        }
        let (asked, times) = match number % 2 {
            0 => (Asked::Review, Arc::clone(&answers)),
            _ => (Asked::Nothing, Arc::clone(&nothing)),
        };
        let (client, review) = (Arc::clone(client), Arc::clone(review));
        asking.spawn(async move {
            let begun = Instant::now();
            client.ask(asked, &review).await;
            times.lock().await.push(begun.elapsed());
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.expect("every request is answered");
    }
    let sorted = async |times: Arc<Mutex<Vec<Duration>>>| {
        let mut times = std::mem::take(&mut *times.lock().await);
        times.sort();
        times
    };
    (sorted(answers).await, sorted(nothing).await)
}

fn summary(times: &[Duration]) -> String {
    let mut text = format!("{} asked", times.len());
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)] {
        let _ = write!(
            text,
            ", {name} {:.2} ms",
            at(times, share).as_secs_f64() * 1e3
        );
    }
    text
}

fn ratio(times: &[Duration], others: &[Duration]) -> f64 {
    at(times, 0.5).as_secs_f64() / at(others, 0.5).as_secs_f64()
}

fn at(times: &[Duration], share: f64) -> Duration {
    let last = times.len() - 1;
    times[(last as f64 * share).round() as usize]
}

/// The review of a pod with a very long environment.
fn large() -> Vec<u8> {
    let mut review: serde_json::Value = serde_json::from_slice(REVIEW).expect("it is JSON");
    let variables = (0..VARIABLES)
        .map(|n| serde_json::json!({"name": format!("VARIABLE_{n}"), "value": "x".repeat(40)}));
    review["request"]["object"]["spec"]["containers"][0]["env"] = variables.collect();
    review.to_string().into_bytes()
}

/// Memory of a process, of `/proc`.
fn memory_of(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the injector runs");
    let kib = |name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("Linux says so");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok())
            .expect("a number of KiB")
    };
    let mib = |name| kib(name) / 1024.0;
    format!(
        "{:.1} MiB resident, {:.1} of it its own, {:.1} at most",
        mib("VmRSS:"),
        mib("RssAnon:"),
        mib("VmHWM:")
    )
}
