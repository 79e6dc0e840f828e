//! The whole sidecar between clients, a server and a hub: what passes is stored once, or counted.

use std::net::SocketAddr;

use remora_proxy::config::{Config, Options};
use remora_proxy::error::Error;
use remora_proxy::{Proxy, Tally};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::hub::{Hub, Mood, eventually};
use crate::rig::{DEADLINE, within};

const BODY_BYTES: usize = 4_000;

struct Sidecar {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<Tally, Error>>,
}

impl Sidecar {
    async fn start(hub: &Hub, options: Options) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        tokio::spawn(serve(server));
        let mut config = Config::from_options(Options {
            maps: vec![format!("inbound:127.0.0.1:0={upstream}")],
            workload: "test".to_owned(),
            admin: Some("off".to_owned()),
            ingest: hub.uri().to_string(),
            ..options
        })
        .unwrap();
        // Everything is shipped in the end, however slow the machine is.
        config.flush_timeout = DEADLINE;
        let proxy = Proxy::bind(config).unwrap();
        let address = proxy.bound()[0].address;
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            proxy.run(stopped).await
        });
        Self {
            address,
            stop,
            running,
        }
    }

    /// Makes calls on several connections at once; all have been answered when this returns.
    async fn call(&self, connections: usize, calls: usize) {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(self.address, calls));
        }
        within(clients.join_all()).await;
    }

    async fn stop(self) -> Tally {
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap().unwrap()
    }
}

/// Answers every request, whatever it asks for.
async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
            let response = [head.as_bytes(), &[b'x'; BODY_BYTES]].concat();
            let mut request = [0; REQUEST.len()];
            while stream.read_exact(&mut request).await.is_ok() {
                stream.write_all(&response).await.unwrap();
            }
        });
    }
}

const REQUEST: &[u8; 38] = b"GET /orders/7 HTTP/1.1\r\nHost: shop\r\n\r\n";

async fn client(address: SocketAddr, calls: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    let mut response = vec![0; head.len() + BODY_BYTES];
    for _ in 0..calls {
        stream.write_all(REQUEST).await.unwrap();
        stream.read_exact(&mut response).await.unwrap();
    }
}

#[tokio::test]
async fn every_call_is_stored_once() {
    let hub = Hub::start().await;
    let sidecar = Sidecar::start(&hub, Options::default()).await;
    sidecar.call(20, 100).await;
    let tally = sidecar.stop().await;
    assert_eq!((tally.inbound, tally.lost), (2_000, 0));
    assert_eq!(
        (hub.calls(), hub.dropped(None), hub.doubles()),
        (2_000, 0, 0)
    );
}

/// Ten times as much as the capture budget holds passes while nothing can be shipped.
#[tokio::test]
async fn a_silent_hub_costs_records_but_no_traffic() {
    let mut hub = Hub::start().await;
    hub.set_mood(Mood::Silent);
    let small = Options {
        capture_budget: "1MiB".to_owned(),
        ..Options::default()
    };
    let sidecar = Sidecar::start(&hub, small).await;
    sidecar.call(10, 300).await;
    // Breaks the request that it would never have answered.
    hub.stop().await;
    hub.set_mood(Mood::Store);
    hub.start_again().await;
    eventually("what was kept is stored", || hub.calls() > 0).await;
    let tally = sidecar.stop().await;
    assert!(hub.dropped(None) > 0);
    assert_eq!(tally.lost, hub.dropped(None));
    assert_eq!(hub.calls() + hub.dropped(None), 3_000);
}

#[tokio::test]
async fn an_epoch_covers_every_call_that_was_answered_before() {
    let hub = Hub::start().await;
    let sidecar = Sidecar::start(&hub, Options::default()).await;
    sidecar.call(5, 10).await;
    hub.ask_for(1);
    eventually("the epoch is answered", || {
        let ledger = hub.ledger();
        ledger.polls.iter().any(|poll| poll.contains("epoch=1"))
    })
    .await;
    assert_eq!(hub.calls(), 50);
    sidecar.stop().await;
}

#[tokio::test]
async fn a_spool_that_cannot_be_used_is_done_without() {
    let hub = Hub::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = Options {
        spool_dir: Some(file.path().join("spool")),
        ..Options::default()
    };
    let sidecar = Sidecar::start(&hub, options).await;
    sidecar.call(1, 10).await;
    sidecar.stop().await;
    assert_eq!(hub.calls(), 10);
}
