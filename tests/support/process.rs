//! The built program as child processes that end with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Path of the program under test.
pub const REMORA: &str = env!("CARGO_BIN_EXE_remora");

/// A child process. It is killed when this is dropped.
pub struct Running(Child);

impl Running {
    /// Starts the program with these arguments; its log goes to the test's own output.
    pub fn start(arguments: &[&str]) -> Self {
        let child = Command::new(REMORA)
            .args(arguments)
            .env("REMORA_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("start remora {arguments:?}: {error}"));
        Self(child)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Most memory that it ever had, in bytes, but for the pages of the program file: those of an
    /// unoptimized program are many times those of the one that people run.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (kib("VmHWM:") - kib("RssFile:")) * 1024
    }

    /// Whether it is stopped by a signal.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        stat.rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('T')
    }

    /// Takes a process that was started in another way.
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// SIGKILL: the process has no time to do anything.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Sends a signal by its name, such as `TERM` or `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name} failed");
    }

    /// SIGTERM, then waits for the end; gives the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "process {} did not end within 30 s of SIGTERM",
                self.id()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports below those that a system gives to clients by itself: none of their connections takes one first.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that was free a moment ago, and that no other test of this process was given lately.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Each process begins somewhere else, since several may run.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let number = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + (number % PORTS.len() as u32) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A hub on two free ports that can be killed and started again on the same ones.
pub struct HubPlace {
    pub api_port: u16,
    pub ingest_port: u16,
    data: tempfile::TempDir,
}

impl HubPlace {
    pub fn new() -> Self {
        Self {
            api_port: free_port(),
            ingest_port: free_port(),
            data: tempfile::tempdir().unwrap(),
        }
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    pub fn ingest(&self) -> String {
        format!("http://127.0.0.1:{}", self.ingest_port)
    }

    /// Starts the hub; it may not be ready yet.
    pub fn start(&self) -> Running {
        self.start_on("127.0.0.1", &[])
    }

    /// Starts the hub on an address of this machine.
    pub fn start_on(&self, address: &str, more: &[&str]) -> Running {
        let listen = format!("{address}:{}", self.api_port);
        let ingest = format!("{address}:{}", self.ingest_port);
        let data = self.data().display().to_string();
        let mut arguments = vec!["hub", "--listen", &listen, "--ingest", &ingest];
        arguments.extend(["--data", &data]);
        arguments.extend(more);
        Running::start(&arguments)
    }
}

/// Starts an inbound sidecar in front of `upstream`; gives it and its port.
pub fn start_sidecar(hub: &HubPlace, upstream: u16, more: &[&str]) -> (Running, u16) {
    let options = ["--workload", "tested", "--namespace", "local"];
    start_mapped(
        &hub.ingest(),
        "inbound",
        upstream,
        &[&options[..], more].concat(),
    )
}

/// Starts a sidecar with one mapped listener before `upstream`; gives it and its port.
pub fn start_mapped(ingest: &str, leg: &str, upstream: u16, more: &[&str]) -> (Running, u16) {
    let port = free_port();
    let map = format!("{leg}:127.0.0.1:{port}=127.0.0.1:{upstream}");
    let mut arguments = vec!["proxy", "--ingest", ingest, "--map", &map];
    arguments.extend(["--admin", "off"]);
    arguments.extend(more);
    let running = Running::start(&arguments);
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < deadline,
            "the sidecar does not listen on port {port}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, port)
}
