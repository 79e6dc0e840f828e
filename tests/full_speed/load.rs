//! The programs: nginx to answer, wrk and h2load to ask.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::{Running, free_port};

/// Counts what wrk sends: its own report leaves out what was not answered at the end. Before it
/// begins it asks for one request to look at, which it does not send.
const COUNTING_SCRIPT: &str = r#"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() sent = -1 end
function request() sent = sent + 1; return wrk.request() end
function done(summary)
  local sent = 0
  for _, thread in ipairs(threads) do sent = sent + thread:get("sent") end
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format("sent=%d answered=%d failed=%d", sent, summary.requests, failed))
end
"#;

/// A server that answers both protocols; gone when this is dropped.
pub struct Server {
    pub port: u16,
    _running: Running,
    _folder: tempfile::TempDir,
}

/// What a load generator says of a run.
#[derive(Debug)]
pub struct Sent {
    /// Requests that were sent.
    pub sent: u64,
    /// Those that were answered before its time was over.
    pub answered: u64,
}

/// Why a test cannot run, naming the first program that is not installed.
pub fn missing(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .collect();
    let is_there = |program: &str| folders.iter().any(|folder| folder.join(program).exists());
    let program = programs.iter().find(|program| !is_there(program))?;
    Some(format!("{program} is not installed"))
}

/// What a server speaks, as nginx names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    Http2,
}

/// Starts nginx, which answers everything with a small JSON text.
pub fn nginx(speaks: Speaks) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let (root, port) = (folder.path().display(), free_port());
    let http2 = match speaks {
        Speaks::Http1 => "",
        Speaks::Http2 => "http2",
    };
    let config = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;
         events {{ worker_connections 1024; }}
         http {{ access_log off; keepalive_requests 100000000; default_type application/json;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           server {{ listen 127.0.0.1:{port} {http2}; return 200 '{{\"orders\":[1,2,3]}}'; }} }}"
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("nginx");
    let error_log = folder.path().join("nginx.log");
    command.arg("-e").arg(error_log).arg("-c").arg(path);
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    let server = Server {
        port,
        _running: Running::of(child),
        _folder: folder,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

/// Sends HTTP/1 as fast as it is answered, on 64 connections.
pub fn wrk(port: u16, length: Duration) -> Sent {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("count.lua");
    std::fs::write(&script, COUNTING_SCRIPT).unwrap();
    let seconds = format!("-d{}s", length.as_secs());
    let mut command = Command::new("wrk");
    // On a busy machine an answer may take longer than the two seconds that wrk waits by itself.
    command.args(["--timeout", "60s", "-t1", "-c64", &seconds, "-s"]);
    command.arg(script);
    let said = output(command.arg(url(port)));
    assert_eq!(number_after(&said, "failed="), 0, "{said}");
    Sent {
        sent: number_after(&said, "sent="),
        answered: number_after(&said, "answered="),
    }
}

/// Sends HTTP/2 for a time, on 8 connections of 8 streams.
pub fn h2load_for(port: u16, length: Duration) -> Sent {
    let seconds = length.as_secs().to_string();
    h2load(port, &["-D", &seconds])
}

/// Sends so many HTTP/2 requests, and waits for all answers.
pub fn h2load_of(port: u16, requests: u64) -> Sent {
    h2load(port, &["-n", &requests.to_string()])
}

fn h2load(port: u16, how_many: &[&str]) -> Sent {
    let mut command = Command::new("h2load");
    command.args(["-t1", "-c8", "-m8"]).args(how_many);
    let said = output(command.arg(url(port)));
    // "requests: 612 total, 620 started, 612 done, 612 succeeded, 0 failed, 0 errored, 0 timeout"
    let answered = number_before(&said, " succeeded, ");
    assert_eq!(answered, number_before(&said, " done, "), "{said}");
    Sent {
        sent: number_before(&said, " started, "),
        answered,
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/api/orders/17")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn number_before(said: &str, words: &str) -> u64 {
    said.split_once(words)
        .and_then(|(before, _)| before.split_whitespace().next_back()?.parse().ok())
        .unwrap_or_else(|| panic!("no number before {words:?}: {said}"))
}

fn number_after(said: &str, words: &str) -> u64 {
    said.split_once(words)
        .and_then(|(_, after)| after.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no number after {words:?}: {said}"))
}
