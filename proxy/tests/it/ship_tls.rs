//! Blocks over TLS: only a hub whose certificate is from one of the authorities gets any, and
//! authorities come and go while the sidecar runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use remora_proxy::given::Given;
use remora_proxy::ship::ShipConfig;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::hub::{Hub, eventually};
use crate::ship::{Ship, config};

/// Somebody who signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// What a server that is `name` serves under.
    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

/// Puts TLS before `hub`, until it is stopped.
async fn front(hub: &Hub, listen: &str, config: Arc<ServerConfig>) -> (SocketAddr, JoinHandle<()>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(listen.parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    let (acceptor, hub) = (TlsAcceptor::from(config), hub.address);
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut hub = TcpStream::connect(hub).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut hub).await;
            });
        }
    });
    (address, serving)
}

/// Closes the listener and every connection.
async fn stop(serving: JoinHandle<()>) {
    serving.abort();
    let _ = serving.await;
}

fn over_tls(hub: &Hub, address: SocketAddr) -> (ShipConfig, TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    let config = ShipConfig {
        given: Given::ALL,
        ingest: format!("https://{address}").parse().unwrap(),
        ingest_ca: Some(ca.clone()),
        ..config(hub)
    };
    (config, dir, ca)
}

#[tokio::test]
async fn blocks_wait_until_the_authorities_are_there_and_then_go_over_tls() {
    let hub = Hub::start().await;
    let authority = Authority::new();
    let (address, _) = front(&hub, "127.0.0.1:0", authority.server("127.0.0.1")).await;
    let (config, _dir, ca) = over_tls(&hub, address);
    let mut ship = Ship::start(config);
    ship.send(3, 100);
    eventually("the missing file being told", || {
        ship.metrics.requests_with("authorities_unreadable") > 0
    })
    .await;
    assert_eq!(hub.ledger().connections, 0);

    std::fs::write(&ca, &authority.pem).unwrap();
    ship.is_settled(&hub).await;
    assert_eq!(hub.calls(), 3);
}

#[tokio::test]
async fn a_server_that_is_somebody_else_gets_nothing() {
    let hub = Hub::start().await;
    let (trusted, stranger) = (Authority::new(), Authority::new());
    for server in [stranger.server("127.0.0.1"), trusted.server("127.0.0.2")] {
        let (address, _) = front(&hub, "127.0.0.1:0", server).await;
        let (config, _dir, ca) = over_tls(&hub, address);
        std::fs::write(&ca, &trusted.pem).unwrap();
        let mut ship = Ship::start(config);
        ship.send(1, 100);
        eventually("the sidecar distrusting it", || {
            ship.metrics.requests_with("handshake_failed") > 1
        })
        .await;
        assert_eq!(hub.ledger().connections, 0);
    }
}

#[tokio::test]
async fn authorities_are_replaced_while_the_sidecar_runs() {
    let hub = Hub::start().await;
    let (old, new) = (Authority::new(), Authority::new());
    let (address, serving) = front(&hub, "127.0.0.1:0", old.server("127.0.0.1")).await;
    let (config, _dir, ca) = over_tls(&hub, address);
    std::fs::write(&ca, &old.pem).unwrap();
    let mut ship = Ship::start(config);
    ship.send(1, 100);
    ship.is_settled(&hub).await;

    // Published first, served after.
    std::fs::write(&ca, format!("{}{}", old.pem, new.pem)).unwrap();
    stop(serving).await;
    let (_, serving) = front(&hub, &address.to_string(), new.server("127.0.0.1")).await;
    ship.send(1, 100);
    ship.is_settled(&hub).await;

    // And one that was taken back is trusted no more.
    std::fs::write(&ca, &old.pem).unwrap();
    stop(serving).await;
    front(&hub, &address.to_string(), new.server("127.0.0.1")).await;
    ship.send(1, 100);
    eventually("the sidecar distrusting it", || {
        ship.metrics.requests_with("handshake_failed") > 1
    })
    .await;
    assert_eq!(hub.calls(), 2);
}
