//! A whole sidecar, with data plane and shipper, between a client and a server that a test plays.

use std::time::Duration;

use remora_proxy::Proxy;
use remora_proxy::budget::Budget;
use remora_proxy::config::{Config, Options};
use remora_proxy::record::Outlet;
use remora_proxy::ship::{ShipConfig, ShipMetrics, Shipper};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::rig::within;

/// A sidecar that ships, in front of a server that a test plays.
pub(crate) struct Sidecar {
    pub(crate) budget: Budget,
    server: TcpListener,
    proxy: std::net::SocketAddr,
    shipper: Shipper,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Sidecar {
    /// A sidecar with `budget_bytes` for what it captures.
    pub(crate) async fn start(ship: ShipConfig, budget_bytes: usize) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        let config = Config::from_options(Options {
            maps: vec![format!("inbound:127.0.0.1:0={upstream}")],
            workload: "shop".to_owned(),
            admin: Some("off".to_owned()),
            body_limit: ship.body_limit_bytes.to_string(),
            ..Options::default()
        })
        .unwrap();
        let budget = Budget::new(budget_bytes);
        let (shipper, flushes) =
            Shipper::start(ship, budget.clone(), ShipMetrics::default()).unwrap();
        let proxy = Proxy::bind(config).unwrap();
        let address = proxy.bound()[0].address;
        let sink = shipper.clone();
        let outlet = Outlet {
            sink: Box::new(move |batch| sink.try_send(batch)),
            flushes,
        };
        let captured = budget.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            proxy
                .run_into(Some(outlet), captured, stopped)
                .await
                .unwrap();
        });
        Self {
            budget,
            server,
            proxy: address,
            shipper,
            stop,
            running,
        }
    }

    /// Plays one exchange on a connection of its own; both sides get every byte.
    pub(crate) async fn play(&self, request: &[u8], response: &[u8]) {
        let mut client = TcpStream::connect(self.proxy).await.unwrap();
        let (mut server, _) = within(self.server.accept()).await.unwrap();
        let mut came = vec![0; request.len()];
        let mut answer = Vec::new();
        client.write_all(request).await.unwrap();
        within(server.read_exact(&mut came)).await.unwrap();
        assert!(
            came == request,
            "the server gets the request as it was sent"
        );
        let serving = async {
            server.write_all(response).await.unwrap();
            drop(server);
        };
        let ((), read) =
            within(async { tokio::join!(serving, client.read_to_end(&mut answer)) }).await;
        read.unwrap();
        assert!(
            answer == response,
            "the client gets the response as it was sent"
        );
    }

    /// Stops the sidecar and waits until all is shipped or spooled.
    pub(crate) async fn finish(self) {
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap();
        self.shipper.finish(Duration::from_secs(10)).await;
    }
}
