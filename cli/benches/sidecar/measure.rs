//! One measurement: load for a while, and what it cost the proxy by the kernel's own accounts.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use crate::cell::{Cell, Protocol};
use crate::contender::{Contender, Rig};
use crate::load;

/// What one load cost.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub requests: u64,
    /// CPU of the proxy, all threads, in microseconds per request.
    pub cpu_us: f64,
    /// Voluntary context switches of the proxy, all threads, per request.
    pub wakes: f64,
    /// Share of the requests that the hub has a record of: a price without it would say nothing.
    pub kept: Option<f64>,
}

pub fn load(rig: &Rig, contender: Contender, cell: Cell, length: Duration) -> Sample {
    let (running, port) = rig.contender(contender, cell.protocol());
    let process = running.as_ref().map(crate::contender::Running::id);
    let warm_up = load::run(port, cell, Duration::from_secs(1));
    settle(rig, contender);
    let (before, kept_before) = (
        process.map(accounts).unwrap_or_default(),
        rig.stored_calls(),
    );
    let requests = load::run(port, cell, length);
    // What is still on its way to the hub belongs to the price.
    settle(rig, contender);
    let after = process.map(accounts).unwrap_or_default();
    assert!(
        warm_up > 0 && requests > 0,
        "{} served nothing",
        contender.name()
    );
    let kept = rig.stored_calls() - kept_before;
    Sample {
        requests,
        cpu_us: (after.cpu_ns - before.cpu_ns) as f64 / 1000.0 / requests as f64,
        wakes: (after.voluntary_switches - before.voluntary_switches) as f64 / requests as f64,
        kept: contender.records().then(|| kept as f64 / requests as f64),
    }
}

/// Waits until the hub has what it will get of the traffic so far.
fn settle(rig: &Rig, contender: Contender) {
    if !contender.records() {
        return;
    }
    let mut stored = rig.stored_calls();
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = rig.stored_calls();
        if now == stored {
            return;
        }
        stored = now;
    }
}

/// Memory of a process, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// All that is resident. Pages of its program are in it, which all that run it on a machine share.
    pub resident: f64,
    /// What is its own.
    pub anonymous: f64,
}

/// Memory idle, then with 64 and 1,000 connections that have each carried a request.
pub fn memory(rig: &Rig, contender: Contender) -> [Memory; 3] {
    let (running, port) = rig.contender(contender, Protocol::Http1);
    let process = running.as_ref().expect("only proxies are measured").id();
    let mut connections = Vec::new();
    [0, 64, 1000].map(|count| {
        while connections.len() < count {
            connections.push(exchange(port));
        }
        Memory::of(process)
    })
}

/// A connection that has carried one request and stays open.
fn exchange(port: u16) -> TcpStream {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(b"GET /1k HTTP/1.1\r\nHost: bench\r\n\r\n")
        .unwrap();
    let mut buffer = [0; 16 * 1024];
    let mut read = 0;
    while read < 1024 {
        read += stream.read(&mut buffer).unwrap();
    }
    stream
}

#[derive(Debug, Clone, Copy, Default)]
struct Accounts {
    cpu_ns: u64,
    voluntary_switches: u64,
}

/// Sums the accounts of a process's threads.
fn accounts(process: u32) -> Accounts {
    let mut sum = Accounts::default();
    for thread in fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .flatten()
    {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        sum.cpu_ns += schedstat
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0);
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        sum.voluntary_switches += field(&status, "voluntary_ctxt_switches:");
    }
    sum
}

impl Memory {
    fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let mib = |name| field(&status, name) as f64 / 1024.0;
        Self {
            resident: mib("VmRSS:"),
            anonymous: mib("RssAnon:"),
        }
    }
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
