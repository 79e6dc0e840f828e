//! TLS to the hub: its certificate is checked against the authorities in a file, and nothing else.
//!
//! The file is read whenever a connection is made, so that authorities come and go without a restart.
//! Nothing of TLS is in memory before the first connection, and nothing at all without https.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Largest file of authorities that is read, in bytes; a ConfigMap holds no more.
const FILE_BYTES: u64 = 1024 * 1024;
/// Most authorities in it.
const AUTHORITIES: usize = 64;
/// Sessions that are kept to be resumed: there is one hub, and two connections to it.
const SESSIONS: usize = 4;

/// Whom the hub's certificate has to be from, and whose it has to be. Clones share what was read.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    file: PathBuf,
    name: ServerName<'static>,
    last: Arc<Mutex<Option<Read>>>,
}

/// What was in the file when a connection was made last.
#[derive(Debug)]
struct Read {
    pem: Vec<u8>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Checks that a server is `host`, by the authorities in `file`.
    ///
    /// # Errors
    /// If `host` is neither an IP address nor a name that a certificate can be for.
    pub(super) fn new(host: &str, file: PathBuf) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Self {
            file,
            name,
            last: Arc::default(),
        })
    }

    /// The file that the authorities are in.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What connections are made with now.
    ///
    /// # Errors
    /// If the file is not there, or holds no certificate that can be an authority.
    pub(super) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let pem = read(&self.file)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.pem == pem) {
            return Ok(Arc::clone(&last.config));
        }
        let config = Arc::new(trusting(&pem)?);
        *last = Some(Read {
            pem,
            config: Arc::clone(&config),
        });
        Ok(config)
    }

    /// Shakes hands over `stream`.
    pub(super) async fn connect(
        &self,
        config: Arc<ClientConfig>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(config);
        connector.connect(self.name.clone(), stream).await
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    let file = std::fs::File::open(file)?;
    file.take(FILE_BYTES + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > FILE_BYTES {
        return Err(invalid(format!(
            "it is larger than {FILE_BYTES} bytes, which no bundle of authorities is"
        )));
    }
    Ok(pem)
}

fn trusting(pem: &[u8]) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem).take(AUTHORITIES) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| invalid(format!("a certificate cannot be an authority: {error}")))?;
    }
    if roots.is_empty() {
        return Err(invalid("there is no certificate in PEM in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_told_from_one_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::new("hub.remora.svc", dir.path().join("ca.crt")).unwrap();
        let error = tls.config().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);

        std::fs::write(tls.file(), "-----BEGIN NOTHING-----\n").unwrap();
        let error = tls.config().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_file_that_is_no_bundle_is_not_read_to_its_end() {
        let tls = Tls::new("hub.remora.svc", "/dev/zero".into()).unwrap();
        let error = tls.config().unwrap_err();
        assert!(error.to_string().contains("larger"), "{error}");
    }
}
