//! TLS on the ingest port: whose certificate is shown, and what happens when its files change.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use remora_mcp::{Config, Keep, Options};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::get;
use crate::hub::TestHub;

/// A certificate that signed itself, and its key, as PEM.
struct Pair {
    certificate: CertificateDer<'static>,
    pem: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["hub.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A folder that changes as the kubelet changes the volume of a Secret: by a symlink that is replaced.
struct Volume(TempDir);

impl Volume {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), dir.path().join(file)).unwrap();
        }
        Self(dir)
    }

    fn write(&self, version: &str, certificate: &str, key: &str) {
        let data = self.0.path().join(version);
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("tls.crt"), certificate).unwrap();
        std::fs::write(data.join("tls.key"), key).unwrap();
        let next = self.0.path().join("..data_tmp");
        symlink(version, &next).unwrap();
        std::fs::rename(next, self.0.path().join("..data")).unwrap();
    }

    fn options(&self) -> Options {
        let mut options = Options::on_any_port(Keep::Memory);
        options.ingest_tls_cert = Some(self.0.path().join("tls.crt"));
        options.ingest_tls_key = Some(self.0.path().join("tls.key"));
        options
    }
}

/// Connects to a hub that shows `pair`; `None` if it does not.
async fn connect(address: SocketAddr, pair: &Pair) -> Option<SendRequest<Full<Bytes>>> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("hub.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let (sender, connection) = http1::handshake(TokioIo::new(stream.await.ok()?))
        .await
        .unwrap();
    tokio::spawn(connection);
    Some(sender)
}

async fn is_answered(connection: &mut SendRequest<Full<Bytes>>) {
    let request = Request::get(
        "/ingest/v1/control?incarnation=00000000000000000000000000000001&goodbye=true",
    )
    .header("host", "localhost")
    .body(Full::default())
    .unwrap();
    let answer = connection.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

async fn eventually_connects(address: SocketAddr, pair: &Pair) -> SendRequest<Full<Bytes>> {
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Some(connection) = connect(address, pair).await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap()
}

async fn told(hub: &TestHub, line: &str) {
    let told = tokio::time::timeout(Duration::from_secs(30), async {
        while !get(hub.api_address(), "/metrics")
            .await
            .text()
            .contains(line)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    told.await
        .unwrap_or_else(|_| panic!("{line} was never told"));
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_served_and_no_connection_breaks() {
    let (volume, old, new) = (Volume::new(), Pair::new(), Pair::new());
    volume.write("1", &old.pem, &old.key);
    let hub = TestHub::start_with(volume.options()).await;
    let mut before = connect(hub.ingest_address(), &old).await.unwrap();
    is_answered(&mut before).await;

    volume.write("2", &new.pem, &new.key);
    let mut after = eventually_connects(hub.ingest_address(), &new).await;
    is_answered(&mut after).await;
    is_answered(&mut before).await;
    assert!(connect(hub.ingest_address(), &old).await.is_none());
    hub.stop().await;
}

#[tokio::test]
async fn a_bad_pair_leaves_the_old_one_served_and_is_counted() {
    let (volume, old, new) = (Volume::new(), Pair::new(), Pair::new());
    volume.write("1", &old.pem, &old.key);
    let hub = TestHub::start_with(volume.options()).await;
    // The key is of another certificate.
    volume.write("2", &new.pem, &old.key);
    told(&hub, "ingest_certificates_total{outcome=\"refused\"} 1").await;
    let mut connection = connect(hub.ingest_address(), &old).await.unwrap();
    is_answered(&mut connection).await;
    hub.stop().await;
}

#[tokio::test]
async fn files_that_are_not_there_yet_are_waited_for() {
    let (volume, pair) = (Volume::new(), Pair::new());
    let hub = TestHub::start_with(volume.options()).await;
    told(&hub, "ingest_certificates_total{outcome=\"refused\"} 1").await;
    assert!(connect(hub.ingest_address(), &pair).await.is_none());
    volume.write("1", &pair.pem, &pair.key);
    let mut connection = eventually_connects(hub.ingest_address(), &pair).await;
    is_answered(&mut connection).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_request_in_the_clear_is_not_answered_where_tls_is_asked_for() {
    let (volume, pair) = (Volume::new(), Pair::new());
    volume.write("1", &pair.pem, &pair.key);
    let hub = TestHub::start_with(volume.options()).await;
    let mut stream = TcpStream::connect(hub.ingest_address()).await.unwrap();
    let request = b"GET /ingest/v1/control HTTP/1.1\r\nhost: localhost\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request)
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    told(&hub, "ingest_handshakes_failed_total 1").await;
    hub.stop().await;
}

fn problem(options: Options) -> String {
    Config::check(options).unwrap_err().0.join("\n")
}

#[test]
fn what_is_no_certificate_with_its_key_is_told_at_start() {
    let (volume, pair) = (Volume::new(), Pair::new());
    volume.write("1", &pair.pem, &Pair::new().key);
    assert!(problem(volume.options()).contains("no certificate with its key"));

    let mut options = Options::on_any_port(Keep::Memory);
    options.ingest_tls_key = Some(Path::new("/tls.key").to_owned());
    assert!(problem(options).contains("--ingest-tls-key needs --ingest-tls-cert"));
}
