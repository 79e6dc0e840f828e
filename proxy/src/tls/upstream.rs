//! The client towards the server: it asks for what the application's client asked for, and checks the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remora_store::call::{TlsHello, TlsReason};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, SignatureScheme,
    SupportedProtocolVersion,
};

use super::roots::{Roots, RootsError};

/// Makes connections to servers.
pub(super) struct Upstream {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

/// Tells of a server that asked for a certificate of its client.
#[derive(Debug, Default)]
pub(super) struct Asked(AtomicBool);

impl Asked {
    /// Whether it did.
    pub(super) fn did(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        // Else the question would not be asked of us.
        true
    }
}

impl Upstream {
    /// Checks servers against `roots`.
    pub(super) fn new(roots: &Roots, provider: Arc<CryptoProvider>) -> Result<Self, RootsError> {
        let store = Arc::new(roots.store());
        let builder = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider));
        let verifier = builder
            .build()
            .map_err(|err| RootsError::Unusable(err.to_string()))?;
        Ok(Self { verifier, provider })
    }

    /// A connection as the client's `hello` has it: the same name, protocols, and versions of those that it offers.
    /// Nothing is resumed, so that each server is checked and each certificate seen.
    pub(super) fn connection(
        &self,
        name: &str,
        hello: &TlsHello,
    ) -> Result<(ClientConnection, Arc<Asked>), Error> {
        let asked = Arc::new(Asked::default());
        let resolver: Arc<dyn ResolvesClientCert> = Arc::clone(&asked) as _;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&versions(hello))?
            .with_webpki_verifier(Arc::clone(&self.verifier))
            .with_client_cert_resolver(resolver);
        config.resumption = Resumption::disabled();
        config.alpn_protocols = hello
            .alpn
            .iter()
            .map(|protocol| protocol.clone().into_bytes())
            .collect();
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Error::General("the name is none".to_owned()))?;
        Ok((ClientConnection::new(Arc::new(config), name)?, asked))
    }
}

fn versions(hello: &TlsHello) -> Vec<&'static SupportedProtocolVersion> {
    [&TLS13, &TLS12]
        .into_iter()
        .filter(|version| hello.versions.contains(&u16::from(version.version)))
        .collect()
}

/// Why a connection to a server cannot be made, as records say it.
pub(super) fn reason(error: &Error) -> TlsReason {
    let Error::InvalidCertificate(error) = error else {
        return TlsReason::ServerHandshake;
    };
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsReason::ServerExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsReason::ServerName
        }
        _ => TlsReason::ServerUntrusted,
    }
}
