//! A sidecar between a client and a server that a test plays itself.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remora_proxy::Proxy;
use remora_proxy::budget::Budget;
use remora_proxy::config::{Config, Options};
use remora_proxy::error::Error;
use remora_proxy::faults::Faults;
use remora_proxy::record::{Batch, Outlet};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Longest wait for anything; only a failing test waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A running sidecar with one mapped listener, and the server behind it.
pub(crate) struct Rig {
    pub(crate) server: TcpListener,
    pub(crate) address: SocketAddr,
    /// Variables for clients whose TLS is looked into.
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) batches: mpsc::UnboundedReceiver<Batch>,
    /// What a person switches on.
    pub(crate) faults: Arc<Faults>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
    _silent: Option<TcpSocket>,
}

impl Rig {
    /// A sidecar that records, or one that only relays.
    pub(crate) async fn start(record: bool) -> Self {
        Self::start_with("auto", record).await
    }

    /// One whose connections are all carried by the engine that reads HTTP.
    pub(crate) async fn start_terminating() -> Self {
        Self::start_with("terminate", true).await
    }

    /// One beside the caller, with the engine that has to be.
    pub(crate) async fn start_outbound() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        Self::start_towards(server, upstream, "outbound", "auto", true)
    }

    async fn start_with(engine: &str, record: bool) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        Self::start_towards(server, upstream, "inbound", engine, record)
    }

    /// A sidecar in front of a port on which nothing listens.
    pub(crate) async fn start_towards_nothing() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Bound, so that nobody else takes the port, but not listening.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let upstream = silent.local_addr().unwrap();
        Self {
            _silent: Some(silent),
            ..Self::start_towards(server, upstream, "inbound", "auto", true)
        }
    }

    fn start_towards(
        server: TcpListener,
        upstream: SocketAddr,
        leg: &str,
        engine: &str,
        record: bool,
    ) -> Self {
        let options = Options {
            maps: vec![format!("{leg}:127.0.0.1:0={upstream}")],
            ..Options::default()
        };
        Self::run(server, configured(options, engine), record)
    }

    /// A forward proxy, and a server that it may be asked for.
    pub(crate) async fn start_forward(engine: &str) -> Self {
        Self::start_forward_on("0", engine).await
    }

    /// The same, on an address of its own.
    pub(crate) async fn start_forward_on(listen: &str, engine: &str) -> Self {
        let options = Options {
            forward: Some(listen.to_owned()),
            ..Options::default()
        };
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::run(server, configured(options, engine), true)
    }

    /// One that looks into the TLS of every client on its way to `upstream`, where `authority` certifies servers.
    pub(crate) async fn start_intercepting(
        upstream: SocketAddr,
        engine: &str,
        names: &str,
        authority: &Path,
        ca_dir: &Path,
    ) -> Self {
        let options = Options {
            maps: vec![format!("outbound:127.0.0.1:0={upstream}")],
            intercept_tls: Some(names.to_owned()),
            upstream_ca: Some(authority.to_owned()),
            ca_dir: Some(ca_dir.to_owned()),
            ..Options::default()
        };
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = configured(options, engine);
        // Programs that have ended leave nothing open, but a busy sidecar may hear of it late.
        config.drain_timeout = DEADLINE / 2;
        Self::run(server, config, true)
    }

    fn run(server: TcpListener, config: Config, record: bool) -> Self {
        let proxy = Proxy::bind(config).unwrap();
        let address = proxy.bound()[0].address;
        let faults = proxy.faults().unwrap();
        let bundle = proxy.bundle();
        let variables = bundle.into_iter().flat_map(|bundle| bundle.variables());
        let variables = variables.collect();
        let (sink, batches) = mpsc::unbounded_channel();
        let (flushes, requests) = mpsc::channel(1);
        let outlet = record.then(|| Outlet {
            sink: Box::new(move |batch| sink.send(batch).map_err(|refused| refused.0)),
            flushes: requests,
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            proxy.run_into(outlet, Budget::new(32 << 20), stopped).await
        });
        Self {
            server,
            address,
            variables,
            batches,
            faults,
            flushes,
            stop,
            running,
            _silent: None,
        }
    }

    /// A client's connection through the sidecar, and the server's end of it.
    pub(crate) async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.address).await.unwrap();
        let (server, _) = within(self.server.accept()).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }

    /// How a connection ends for a client whose server is not reached. The end may come before the
    /// client has looked at its new connection.
    pub(crate) async fn connect_in_vain(&self) -> io::Error {
        match TcpStream::connect(self.address).await {
            Ok(mut client) => within(client.read(&mut [0; 1])).await.unwrap_err(),
            Err(err) => err,
        }
    }

    /// Waits until all that was observed has been handed over.
    pub(crate) async fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        self.flushes.send(answer).await.unwrap();
        within(answered).await.unwrap();
    }

    /// Asks the sidecar to stop and waits until it has.
    pub(crate) async fn stop(self) -> mpsc::UnboundedReceiver<Batch> {
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap().unwrap();
        self.batches
    }
}

fn configured(options: Options, engine: &str) -> Config {
    Config::from_options(Options {
        workload: "test".to_owned(),
        allow_faults: true,
        engine: engine.to_owned(),
        admin: Some("off".to_owned()),
        ..options
    })
    .unwrap()
}

/// The result of `future`, which has to come before the deadline.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it takes too long")
}
