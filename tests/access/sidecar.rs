//! Whatever holds the token of a pod, and says what it likes: it speaks to the hub's ingest port itself, over TLS.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::call::Call;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A sidecar, as far as the hub can tell.
pub struct Sidecar {
    tls: TlsConnector,
    port: u16,
    token: String,
}

impl Sidecar {
    /// One with this token, that trusts a hub of these authorities only.
    pub fn new(port: u16, authorities: &[u8], token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities) {
            roots.add(authority.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: TlsConnector::from(Arc::new(config)),
            port,
            token: token.to_owned(),
        }
    }

    /// Brings a block of which it says to be `claimed`; the status that it is answered with.
    pub async fn write(&self, claimed: &Origin, sequence: u64, calls: &[Call]) -> u16 {
        let meta = BlockMeta {
            origin: claimed.clone(),
            sequence,
            redaction_key: "k-1".to_owned(),
            ..BlockMeta::default()
        };
        let block = seal(&meta, calls, None, Codec::Raw);
        let mut body = BytesMut::new();
        body.put_u32_le(u32::try_from(block.len()).unwrap());
        body.put_slice(&block);
        let request = Request::post("/ingest/v1/blocks")
            .header("content-type", "application/vnd.remora.blocks")
            .header(
                "x-remora-incarnation",
                format!("{:032x}", claimed.incarnation),
            );
        self.send(request, body.freeze()).await
    }

    /// Asks on the control channel, as `claimed`.
    pub async fn ask(&self, claimed: &Origin, more: &str) -> u16 {
        let request = Request::get(format!(
            "/ingest/v1/control?incarnation={:032x}&namespace={}&workload={}&pod={}{more}",
            claimed.incarnation, claimed.namespace, claimed.workload, claimed.pod
        ));
        self.send(request, Bytes::new()).await
    }

    async fn send(&self, request: Builder, body: Bytes) -> u16 {
        let request = request
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(body))
            .unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = self.tls.connect(name, stream).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        connection.abort();
        status
    }
}
