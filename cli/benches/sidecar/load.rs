//! The clients: wrk for HTTP/1 and HTTPS, h2load for HTTP/2, on the core of the peers.

use std::process::Command;
use std::time::Duration;

use crate::cell::{Cell, Protocol};

/// Sends requests as fast as they are answered; gives how many were.
pub fn run(port: u16, cell: Cell, length: Duration) -> u64 {
    // Both take whole seconds only.
    let seconds = length.as_secs().max(1);
    let server = match cell.protocol() {
        Protocol::Http1 | Protocol::Http2 => format!("http://127.0.0.1:{port}"),
        // Only names are told to a server of TLS.
        Protocol::Https => format!("https://localhost:{port}"),
    };
    let url = format!("{server}{}", cell.path());
    match cell.protocol() {
        Protocol::Http1 | Protocol::Https => wrk(&url, seconds),
        Protocol::Http2 => h2load(&url, seconds),
    }
}

fn wrk(url: &str, seconds: u64) -> u64 {
    let said = output(&["wrk", "-t1", "-c64", &format!("-d{seconds}s"), url]);
    // A proxy that only says that it cannot reach the server is no contender.
    assert!(!said.contains("Non-2xx"), "{url}: {said}");
    // "  61234 requests in 2.00s, 76.3MB read"
    number_before(&said, " requests in ")
}

fn h2load(url: &str, seconds: u64) -> u64 {
    let length = seconds.to_string();
    let said = output(&["h2load", "-t1", "-c8", "-m8", "-D", &length, url]);
    // "requests: 61234 total, 61298 started, 61234 done, 61234 succeeded, 0 failed, 0 errored, …"
    let done = number_before(&said, " done, ");
    assert_eq!(done, number_before(&said, " succeeded, "), "{said}");
    done
}

fn output(command: &[&str]) -> String {
    let output = Command::new("taskset")
        .args(["-c", "0"])
        .args(command)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number that stands right before some words.
fn number_before(said: &str, words: &str) -> u64 {
    said.split_once(words)
        .and_then(|(before, _)| before.split_whitespace().next_back()?.parse().ok())
        .unwrap_or_else(|| panic!("the load generator said: {said}"))
}
