//! TLS that is looked into, between real clients and servers; and TLS that must not be.

mod clients;
mod ends;
mod faults;
mod passed;

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use remora_proxy::tls::{Reader, VARIABLES};
use remora_store::call::{Call, TlsHandling, TlsReason};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::pki::{Flaw, NAME, Pki};
use crate::rig::{Rig, within};

/// A server, certificates for it, and a sidecar that looks into what its clients say.
struct Street {
    pki: Pki,
    server: SocketAddr,
    rig: Rig,
    _nginx: Child,
}

impl Street {
    /// With nginx as the server, under a certificate that has a flaw; `more` is added to its configuration.
    async fn with_nginx(flaw: Flaw, engine: &str, more: &str) -> Self {
        Self::of(Pki::new(), flaw, engine, more).await
    }

    async fn of(pki: Pki, flaw: Flaw, engine: &str, more: &str) -> Self {
        let server = free_port();
        let nginx = nginx(&pki, flaw, server, more).await;
        let rig = intercepting(&pki, server, engine).await;
        Self {
            pki,
            server,
            rig,
            _nginx: nginx,
        }
    }

    /// What a client beside the sidecar says, and whether it ended well.
    async fn run(&self, command: &mut Command) -> (bool, String) {
        for (name, value) in &self.rig.variables {
            command.env(name, value);
        }
        output(command).await
    }

    /// The same of one in an image of its own.
    async fn run_apart(&self, command: &mut Command) -> (bool, String) {
        let ca_dir = self.pki.folder().join("ca");
        let apart = VARIABLES.iter().filter(|it| it.reader != Reader::Beside);
        for variable in apart {
            let value = variable.value.replace("{dir}", &ca_dir.to_string_lossy());
            command.env(variable.name, value);
        }
        output(command).await
    }

    /// Every call that was recorded; the sidecar is stopped.
    async fn calls(self) -> Vec<Call> {
        calls_of(self.rig).await
    }
}

/// Every call that a sidecar recorded; it is stopped.
async fn calls_of(rig: Rig) -> Vec<Call> {
    let mut batches = rig.stop().await;
    let mut calls = Vec::new();
    while let Some(batch) = batches.recv().await {
        calls.extend(batch.calls.into_iter().map(|recorded| recorded.call));
    }
    calls.sort_by_key(|call| call.connection.id);
    calls
}

async fn intercepting(pki: &Pki, upstream: SocketAddr, engine: &str) -> Rig {
    let ca_dir = pki.folder().join("ca");
    Rig::start_intercepting(upstream, engine, "*.test", &pki.authority(), &ca_dir).await
}

/// A port that was free a moment ago, below those that a system gives to clients by itself: none of their
/// connections takes it first. Runs of the tests that go on side by side begin to look at different ones.
fn free_port() -> SocketAddr {
    const FIRST: u16 = 14_000;
    const PORTS: u16 = 5_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let own = std::process::id() % u32::from(PORTS);
    loop {
        let place = own + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (place % u32::from(PORTS)) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A server that says what it was asked, over HTTP/1.1 and HTTP/2.
async fn nginx(pki: &Pki, flaw: Flaw, address: SocketAddr, more: &str) -> Child {
    let (certificate, key) = pki.files("server", &pki.identity(flaw));
    let folder = pki.folder().display();
    let configuration = format!(
        r#"
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ }}
        http {{
          access_log off;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
          uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
          server {{
            listen {address} ssl http2;
            ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};
            {more}
            location / {{
              proxy_set_header protocol $server_protocol;
              proxy_set_header user $ssl_client_s_dn;
              # It reads a request whole before it asks anybody.
              proxy_pass http://unix:{folder}/answers;
            }}
          }}
          server {{
            listen unix:{folder}/answers;
            default_type application/json;
            return 200 '{{"uri":"$request_uri","protocol":"$http_protocol","user":"$http_user"}}';
          }}
        }}
        "#,
        certificate = certificate.display(),
        key = key.display(),
    );
    let file = pki.folder().join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut child = Command::new("nginx")
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("nginx is installed");
    within(async {
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "nginx: {}", log_in(pki));
            tokio::task::yield_now().await;
        }
    })
    .await;
    child
}

/// What nginx wrote of errors.
fn log_in(pki: &Pki) -> String {
    std::fs::read_to_string(pki.folder().join("error.log")).unwrap_or_default()
}

/// Longest run of a program, which may have to be compiled first; only a failing test waits so long.
const RUN_DEADLINE: Duration = Duration::from_secs(120);

/// Whether a program ended well, and everything it said.
async fn output(command: &mut Command) -> (bool, String) {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(RUN_DEADLINE, running)
        .await
        .expect("the program takes too long")
        .expect("the program is installed");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A program that is told by nobody whom to trust.
fn client(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for variable in VARIABLES {
        command.env_remove(variable.name);
    }
    command
}

/// curl, asking [`NAME`] through a sidecar or a server.
fn curl(at: SocketAddr, words: &[&str]) -> Command {
    let mut curl = client("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--connect-to",
    ]);
    curl.arg(format!("{NAME}:443:{at}"));
    curl.args(words);
    curl
}

/// What was done about the TLS of each call, and why.
fn handled(calls: &[Call]) -> Vec<(TlsHandling, TlsReason)> {
    calls.iter().map(Call::tls_handling).collect()
}
