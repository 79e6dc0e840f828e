//! The certificate that the ingest port serves under, read again whenever its files change.
//!
//! Who replaces the files need not tell the hub, and no connection breaks: those that are open keep what
//! they were made with. How connections are accepted is the business of [`crate::server`].

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{CertificateRead, Metrics};

/// How often the files are looked at. A kubelet takes about a minute to bring a new Secret.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Largest file that is read, in bytes.
const FILE_BYTES: u64 = 256 * 1024;
/// How often a pair is read anew because it was replaced meanwhile.
const READS: usize = 3;
/// Most certificates from the server's own up to its authority.
const CERTIFICATES: usize = 8;

/// Where the certificate and its key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the files cannot be served under.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// They were read, and are no certificate with its key.
    #[error("{certificate} and {key} are no certificate with its key: {reason}")]
    Pair {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What new connections are served under. Cheap to clone; every clone serves the same.
#[derive(Clone)]
pub struct Tls {
    files: Files,
    /// `None` until the files are there.
    served: watch::Sender<Option<(Pair, Arc<ServerConfig>)>>,
}

impl Tls {
    /// Reads the files. Files that are not there yet are waited for: somebody else makes them.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are no certificate with its key.
    pub fn open(files: Files) -> Result<Self, TlsError> {
        let served = match read_pair(&files) {
            Ok(pair) => {
                let config = server_config(&files, &pair)?;
                Some((pair, config))
            }
            Err(TlsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            files,
            served: watch::Sender::new(served),
        })
    }

    /// What a new connection is served under; `None` while the files are not there yet.
    pub(crate) fn current(&self) -> Option<Arc<ServerConfig>> {
        let served = self.served.borrow();
        served.as_ref().map(|(_, config)| Arc::clone(config))
    }

    /// Follows the files for ever. What cannot be served is told once, and the old goes on.
    pub(crate) async fn follow(&self, metrics: &Metrics) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        loop {
            looks.tick().await;
            let problem = match self.look() {
                Ok(None) => None,
                Ok(Some(())) => {
                    metrics.ingest.certificate_read(CertificateRead::Served);
                    tracing::info!(
                        tls.cert = %self.files.certificate.display(),
                        "a new certificate is served on the ingest port"
                    );
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem.as_deref().filter(|_| problem != told) {
                metrics.ingest.certificate_read(CertificateRead::Refused);
                match self.current() {
                    Some(_) => tracing::error!(
                        problem,
                        "new certificate refused, the old one is served on"
                    ),
                    None => tracing::warn!(
                        problem,
                        "no certificate for the ingest port yet, sidecars wait; in a cluster the injector makes it"
                    ),
                }
            }
            told = problem;
        }
    }

    /// Serves what the files hold now, if that is new.
    fn look(&self) -> Result<Option<()>, TlsError> {
        let pair = read_pair(&self.files)?;
        let known = |served: &(Pair, Arc<ServerConfig>)| served.0 == pair;
        if self.served.borrow().as_ref().is_some_and(known) {
            return Ok(None);
        }
        let config = server_config(&self.files, &pair)?;
        self.served.send_replace(Some((pair, config)));
        Ok(Some(()))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

/// Reads both files as they were at one time, as far as that can be told.
fn read_pair(files: &Files) -> Result<Pair, TlsError> {
    let mut certificate = read(&files.certificate)?;
    let mut key = read(&files.key)?;
    for _ in 1..READS {
        let now = read(&files.certificate)?;
        if now == certificate {
            break;
        }
        certificate = now;
        key = read(&files.key)?;
    }
    Ok(Pair { certificate, key })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        file: path.display().to_string(),
        source,
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn server_config(files: &Files, pair: &Pair) -> Result<Arc<ServerConfig>, TlsError> {
    let bad = |reason: String| TlsError::Pair {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        reason,
    };
    let certificates = CertificateDer::pem_slice_iter(&pair.certificate)
        .take(CERTIFICATES)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| bad(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| bad(error.to_string()))?;
    Ok(Arc::new(config))
}
