//! What becomes of open connections when the sidecar stops.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use remora_proxy::Proxy;
use remora_proxy::budget::Budget;
use remora_proxy::config::{Config, Options};
use remora_proxy::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::rig::{Rig, within};

#[tokio::test]
async fn an_open_connection_is_reset_when_its_time_is_over() {
    let rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    server.read_exact(&mut [0; 18]).await.unwrap();
    rig.stop().await;
    for end in [&mut client, &mut server] {
        let err = within(end.read(&mut [0; 16])).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    }
}

/// A sidecar that was asked to stop while a connection was open, and serves on.
struct Lingering {
    server: TcpListener,
    address: SocketAddr,
    open: [TcpStream; 2],
    running: JoinHandle<Result<(), Error>>,
}

impl Lingering {
    async fn start(linger: Duration) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        let config = Config::from_options(Options {
            workload: "test".to_owned(),
            maps: vec![format!("inbound:127.0.0.1:0={upstream}")],
            admin: Some("127.0.0.1:0".to_owned()),
            linger,
            ..Options::default()
        });
        let proxy = Proxy::bind(config.unwrap()).unwrap();
        let address = proxy.bound()[0].address;
        let admin = proxy.admin_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(proxy.run_into(None, Budget::new(1 << 20), stopped));
        let open = connect(address, &server).await;
        stop.send(()).unwrap();
        // It has heard that once it is not ready any more.
        while within(is_ready(admin)).await {
            tokio::task::yield_now().await;
        }
        Self {
            server,
            address,
            open,
            running,
        }
    }
}

async fn connect(address: SocketAddr, server: &TcpListener) -> [TcpStream; 2] {
    let client = TcpStream::connect(address).await.unwrap();
    let (server, _) = within(server.accept()).await.unwrap();
    [client, server]
}

/// One that has ended meanwhile is not ready either.
async fn is_ready(admin: SocketAddr) -> bool {
    let asking = async {
        let mut client = TcpStream::connect(admin).await?;
        let ask = b"GET /readyz HTTP/1.1\r\nhost: sidecar\r\nconnection: close\r\n\r\n";
        client.write_all(ask).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
    };
    asking.await.unwrap_or(false)
}

#[tokio::test]
async fn a_sidecar_that_lingers_serves_until_nothing_is_open_any_more() {
    // It is over long before that.
    let lingering = Lingering::start(Duration::from_secs(3600)).await;
    let late = connect(lingering.address, &lingering.server).await;
    for [mut client, mut server] in [lingering.open, late] {
        client.write_all(b"late").await.unwrap();
        let mut said = [0; 4];
        within(server.read_exact(&mut said)).await.unwrap();
        assert_eq!(&said, b"late");
    }
    within(lingering.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_sidecar_lingers_no_longer_than_it_may() {
    let lingering = Lingering::start(Duration::from_millis(100)).await;
    within(lingering.running).await.unwrap().unwrap();
    let [mut client, _server] = lingering.open;
    let err = within(client.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
}
