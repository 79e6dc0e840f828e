//! Asks as an API server does: over TLS, by name, over connections that it keeps.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::served::{Injector, NAME};

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    /// What becomes of a pod.
    Review,
    /// Something that is none of the webhook's business.
    Nothing,
}

pub(crate) struct Client {
    address: SocketAddr,
    tls: TlsConnector,
    keeps: bool,
    /// Connections that nobody uses just now.
    idle: Mutex<Vec<SendRequest<Body>>>,
    room: Semaphore,
}

/// Most connections at a time; who finds none waits, and that counts.
const CONNECTIONS: usize = 32;

impl Client {
    pub(crate) fn new(injector: &Injector, keeps: bool) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(injector.authorities.as_bytes()) {
            roots
                .add(authority.expect("a certificate"))
                .expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address: injector.address,
            tls: TlsConnector::from(Arc::new(config)),
            keeps,
            idle: Mutex::new(Vec::new()),
            room: Semaphore::new(CONNECTIONS),
        }
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn ask(&self, asked: Asked, review: &[u8]) {
        let _held = self.room.acquire().await.expect("it is never closed");
        let idle = self.idle.lock().expect("nobody panics").pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await,
        };
        let (path, body, status) = match asked {
            Asked::Review => ("/inject/namespace/permits?timeout=3s", review, 200),
            Asked::Nothing => ("/nothing", &[][..], 404),
        };
        let request = Request::post(path)
            .header("host", NAME)
            .header("content-type", "application/json")
            .body(Body::from(body.to_vec()))
            .expect("a request");
        let answer = connection.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), status);
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a whole answer")
            .to_bytes();
        let has_patch = body
            .windows(12)
            .any(|at| at == b"\"JSONPatch\",".as_slice() || at == b"\"JSONPatch\"}".as_slice());
        assert!(has_patch == matches!(asked, Asked::Review));
        if self.keeps {
            self.idle.lock().expect("nobody panics").push(connection);
        }
    }

    async fn connect(&self) -> SendRequest<Body> {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from(NAME).expect("a name");
        let stream = self.tls.connect(name, stream).await.expect("it is trusted");
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        tokio::spawn(driver);
        connection
    }
}
