//! The programs that are compared, and the server, hub and folder that they share.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REMORA: &str = env!("CARGO_BIN_EXE_remora");
/// Where client, server and hub run.
const CORE_OF_PEERS: &str = "0";
/// Where the proxy under test runs.
const CORE_OF_PROXY: &str = "1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    Direct,
    Relay,
    RecordOff,
    RecordOn,
    Haproxy,
}

impl Contender {
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::Relay,
        Self::RecordOff,
        Self::RecordOn,
        Self::Haproxy,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::RecordOff => "recording off",
            Self::RecordOn => "recording on",
            Self::Haproxy => "haproxy",
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
    pub server_port: u16,
    api_port: u16,
    ingest_port: u16,
    _nginx: Running,
    _hub: Running,
}

impl Rig {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server_port = free_port();
        let nginx = start_nginx(folder.path(), server_port);
        let (api_port, ingest_port) = (free_port(), free_port());
        let hub = start(
            CORE_OF_PEERS,
            &[
                REMORA,
                "hub",
                "--listen",
                &format!("127.0.0.1:{api_port}"),
                "--ingest",
                &format!("127.0.0.1:{ingest_port}"),
                "--data",
                &folder.path().join("hub").display().to_string(),
            ],
        );
        wait_for_port(server_port);
        wait_for_port(ingest_port);
        Self {
            folder,
            server_port,
            api_port,
            ingest_port,
            _nginx: nginx,
            _hub: hub,
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
    pub fn contender(&self, contender: Contender) -> (Option<Running>, u16) {
        let port = free_port();
        let upstream = format!("127.0.0.1:{}", self.server_port);
        let listen = format!("127.0.0.1:{port}");
        let map = format!("inbound:{listen}={upstream}");
        let ingest = format!("http://127.0.0.1:{}", self.ingest_port);
        let own_path = std::env::current_exe().unwrap().display().to_string();
        let sidecar = |record: &'static str| {
            let options = [
                "--workload",
                "bench",
                "--namespace",
                "local",
                "--admin",
                "off",
            ];
            let mut command = vec![
                REMORA, "proxy", "--ingest", &ingest, "--map", &map, "--record", record,
            ];
            command.extend(options);
            start(CORE_OF_PROXY, &command)
        };
        let running = match contender {
            Contender::Direct => return (None, self.server_port),
            Contender::Relay => start(CORE_OF_PROXY, &[&own_path, "relay", &listen, &upstream]),
            Contender::RecordOff => sidecar("off"),
            Contender::RecordOn => sidecar("on"),
            Contender::Haproxy => {
                let config = haproxy_config(self.folder.path(), &listen, &upstream);
                start(CORE_OF_PROXY, &["haproxy", "-db", "-q", "-f", &config])
            }
        };
        wait_for_port(port);
        (Some(running), port)
    }
}

fn start(core: &str, command: &[&str]) -> Running {
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

fn start_nginx(folder: &Path, port: u16) -> Running {
    let files = folder.join("www");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("1k"), json_of(1024)).unwrap();
    fs::write(files.join("64k"), json_of(64 * 1024)).unwrap();
    let (root, files) = (folder.display(), files.display());
    let config = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000000; default_type application/json;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; }} }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config).unwrap();
    start(CORE_OF_PEERS, &["nginx", "-c", &path.display().to_string()])
}

fn haproxy_config(folder: &Path, listen: &str, upstream: &str) -> String {
    let path = folder.join("haproxy.cfg");
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout client 1m\n  timeout server 1m\n  \
         timeout connect 5s\nlisten bench\n  bind {listen}\n  server one {upstream}\n"
    );
    fs::write(&path, config).unwrap();
    path.display().to_string()
}

/// JSON of about `bytes` bytes with words and numbers as APIs send them.
fn json_of(bytes: usize) -> String {
    let mut text = String::from("[");
    let mut row = 0;
    while text.len() < bytes - 80 {
        text.push_str(&format!(
            "{{\"id\":{row},\"name\":\"item {row}\",\"price\":{}.99,\"stock\":true}},",
            row % 97
        ));
        row += 1;
    }
    text.push_str("{}]");
    text.extend(std::iter::repeat_n(' ', bytes - text.len()));
    text
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
