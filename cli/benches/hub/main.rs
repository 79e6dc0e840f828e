//! What it costs the hub to watch a cluster: its memory beside a real API server that knows of no pod, and of many.
//!
//! `cargo bench -p remora --bench hub -- [--pods 500] [--replicas 5]`. Needs what `.ci/install` builds of Kubernetes, and
//! etcd. Each workload has so many pods, a Service and an EndpointSlice, with all that a Deployment's pod has: owner,
//! probes, variables, volumes, conditions and managed fields. Nothing is recorded meanwhile. What is printed is memory
//! that is resident, and in brackets what of it is the hub's own and not pages of the program file.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark that cannot measure ends, and nothing here is anybody's interface"
)]

mod cluster;
mod objects;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use clap::Parser;
use cluster::{Cluster, Memory};

/// How long a hub is let be before its memory is looked at.
const SETTLED: Duration = Duration::from_secs(5);

/// What it costs the hub to watch a cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many pods there are
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pods: u64,
    /// How many of them a workload has
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    replicas: u64,
    /// As cargo calls every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// As cargo calls it when it only has to build
    #[arg(long, hide = true)]
    test: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if arguments.test {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&arguments));
}

async fn measure(arguments: &Arguments) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let hub = cluster.start_hub();
    cluster.watches(0).await;
    let empty = settled(hub.id()).await;
    let bytes = cluster.fill(arguments.pods, arguments.replicas);
    cluster.watches(arguments.pods).await;
    let grown = settled(hub.id()).await;
    hub.stop();
    let hub = cluster.start_hub();
    cluster.watches(arguments.pods).await;
    let anew = settled(hub.id()).await;

    let workloads = arguments.pods.div_ceil(arguments.replicas);
    println!(
        "{} pods, {workloads} services and slices; a pod is {} bytes of JSON\n",
        arguments.pods,
        bytes / arguments.pods
    );
    println!("{:<36}{:>16}{:>12}", "hub, MiB", "resident (own)", "peak");
    for (what, memory) in [
        ("no pods", empty),
        ("pods that came while it ran", grown),
        ("pods that were there before it", anew),
    ] {
        println!("{what:<36}{:>16}{:>12.1}", memory.shown(), mib(memory.peak));
    }
    for (what, memory) in [("came", grown), ("were there", anew)] {
        let own = memory.own.saturating_sub(empty.own);
        println!(
            "a pod of those that {what}: {:.1} KiB of the hub's own",
            own as f64 / 1024.0 / arguments.pods as f64
        );
    }
}

async fn settled(hub: u32) -> Memory {
    tokio::time::sleep(SETTLED).await;
    Memory::of(hub)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Memory {
    fn shown(&self) -> String {
        format!("{:.1} ({:.1})", mib(self.resident), mib(self.own))
    }
}
