//! One measurement: load for a while, and what it cost the proxy by the kernel's own accounts.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::contender::{Contender, Rig};

/// One kind of load.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub name: &'static str,
    pub path: &'static str,
}

impl Cell {
    pub const ALL: [Self; 2] = [
        Self {
            name: "HTTP/1.1, 1 KB, 64 connections",
            path: "/1k",
        },
        Self {
            name: "HTTP/1.1, 64 KB, 64 connections",
            path: "/64k",
        },
    ];
}

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
    let (running, port) = rig.contender(contender);
    let process = running.as_ref().map(crate::contender::Running::id);
    let warm_up = wrk(port, cell.path, Duration::from_secs(1));
    settle(rig, contender);
    let (before, kept_before) = (
        process.map(accounts).unwrap_or_default(),
        rig.stored_calls(),
    );
    let requests = wrk(port, cell.path, length);
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
        kept: (contender == Contender::RecordOn).then(|| kept as f64 / requests as f64),
    }
}

/// Waits until the hub has what it will get of the traffic so far.
fn settle(rig: &Rig, contender: Contender) {
    if contender != Contender::RecordOn {
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

/// Resident memory in MiB: idle, then with 64 and 1,000 connections that have each carried a request.
pub fn memory(rig: &Rig, contender: Contender) -> [f64; 3] {
    let (running, port) = rig.contender(contender);
    let process = running.as_ref().expect("only proxies are measured").id();
    let idle = resident_mib(process);
    let mut figures = [idle, 0.0, 0.0];
    let mut connections = Vec::new();
    for (figure, count) in [(1, 64), (2, 1000)] {
        while connections.len() < count {
            connections.push(exchange(port));
        }
        figures[figure] = resident_mib(process);
    }
    figures
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

/// Runs wrk on core 0; gives the number of requests.
fn wrk(port: u16, path: &str, length: Duration) -> u64 {
    // wrk takes whole seconds only.
    let seconds = length.as_secs().max(1);
    let output = Command::new("taskset")
        .args(["-c", "0", "wrk", "-t1", "-c64", &format!("-d{seconds}s")])
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.contains(" requests in "))
        .unwrap_or_else(|| panic!("wrk said: {text}"));
    line.split_whitespace()
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap()
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

fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    field(&status, "VmRSS:") as f64 / 1024.0
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|folder| folder.join(program).exists())
}
