//! The certificate that is served, changed while connections are open, and how many of these there may be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio::sync::Notify;

use super::bounded::Bounded;
use crate::certificates::Chain;

/// Longest TLS handshake.
const MAX_HANDSHAKE: Duration = Duration::from_secs(3);
/// Most connections; further ones are closed, and their pods start as they are.
const MAX_CONNECTIONS: usize = 1024;

/// The chain holds no certificate that can be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("failed to read the certificate that is kept")]
    Pem(#[from] pem::Error),
    #[error("failed to use the certificate that is kept")]
    Rustls(#[from] rustls::Error),
}

/// The certificate that new connections get. Cheap to clone; every clone serves the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    served: Arc<Mutex<Option<Served>>>,
    is_served: Arc<Notify>,
}

#[derive(Debug)]
struct Served {
    certificate: String,
    config: RustlsConfig,
}

impl Tls {
    /// Serves the leaf of `chain` from now on; connections that are open keep theirs.
    pub(super) fn serve(&self, chain: &Chain) -> Result<(), TlsError> {
        let mut served = self.lock();
        match served.as_ref() {
            Some(served) if served.certificate == chain.certificate() => return Ok(()),
            Some(served) => served.config.reload_from_config(tls_config(chain)?),
            None => {}
        }
        let config = match served.take() {
            Some(served) => served.config,
            None => RustlsConfig::from_config(tls_config(chain)?),
        };
        *served = Some(Served {
            certificate: chain.certificate().to_owned(),
            config,
        });
        self.is_served.notify_one();
        tracing::info!(
            good.until_s = chain.good_until_s(),
            "a new certificate is served"
        );
        Ok(())
    }

    /// Waits for the first certificate.
    pub(super) async fn first(&self) -> RustlsConfig {
        loop {
            if let Some(served) = self.lock().as_ref() {
                return served.config.clone();
            }
            self.is_served.notified().await;
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls_config(chain: &Chain) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = CertificateDer::from_pem_slice(chain.certificate().as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(chain.key().as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

/// Takes connections over TLS, and no more than [`MAX_CONNECTIONS`].
pub(super) fn acceptor(tls: RustlsConfig) -> Bounded<RustlsAcceptor> {
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(MAX_HANDSHAKE);
    Bounded::new(acceptor, MAX_CONNECTIONS)
}
