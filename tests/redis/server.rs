//! Debian's Redis as a child process, and what it says of itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::left_out;
use crate::support::process::{Running, free_port};

/// A server without a disk, on a port of its own.
pub struct Server {
    pub port: u16,
    _running: Running,
}

/// `redis-cli monitor` on a connection of its own.
pub struct Monitor {
    lines: Receiver<String>,
    port: u16,
    _running: Running,
}

/// Whether the server and its programs are there; says in one line that they are not.
pub fn is_installed() -> bool {
    let there = Command::new("redis-server")
        .arg("--version")
        .output()
        .is_ok()
        && Command::new("redis-benchmark")
            .arg("--version")
            .output()
            .is_ok();
    if !there {
        left_out("redis-server and redis-benchmark are not installed");
    }
    there
}

impl Server {
    pub fn start(more: &[&str]) -> Self {
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir", "/tmp"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            port,
            _running: Running::of(child),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// How often each command was called, or refused, as the server counts it; what was not asked through
    /// the sidecar is not among them.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let info = ask(self.port, &["INFO", "commandstats"]);
        let mut counts = BTreeMap::new();
        for line in info.lines() {
            let Some((name, fields)) = line
                .strip_prefix("cmdstat_")
                .and_then(|rest| rest.split_once(':'))
            else {
                continue;
            };
            let number = |field: &str| -> u64 {
                let fields = fields.trim().split(',');
                let value = fields
                    .filter_map(|it| it.split_once('='))
                    .find(|it| it.0 == field);
                value.unwrap().1.parse().unwrap()
            };
            counts.insert(name.to_owned(), number("calls") + number("rejected_calls"));
        }
        counts.remove("monitor");
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// Begins to watch what the server is asked from now on.
    pub fn monitor(&self) -> Monitor {
        let mut child = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "monitor"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        assert_eq!(lines.recv_timeout(Duration::from_secs(20)).unwrap(), "OK");
        Monitor {
            lines,
            port: self.port,
            _running: Running::of(child),
        }
    }
}

impl Monitor {
    /// Everything that was asked until now, but for the questions of [`Server::counts`].
    pub fn shown(&self) -> Vec<String> {
        ask(self.port, &["ECHO", "that-was-all"]);
        let mut shown = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20)).unwrap();
            if line.contains("\"that-was-all\"") {
                return shown;
            }
            if !line.contains("\"INFO\" \"commandstats\"") {
                shown.push(line);
            }
        }
    }
}

/// Asks a server one thing; redis-cli itself asks nothing more then.
fn ask(port: u16, command: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(command)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What redis-cli prints when this is typed.
pub fn redis_cli(port: u16, options: &[&str], typed: &str) -> Vec<u8> {
    let mut child = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let typed = typed.to_owned();
    let writer = std::thread::spawn(move || input.write_all(typed.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Runs a client to its end, which has to be a good one.
pub fn finished(client: &mut Command) {
    let output = client.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
