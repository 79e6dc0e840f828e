//! Whom servers may be certified by: the authorities of the system, or Mozilla's where there are none, and those
//! of a file.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Largest file of authorities that is read, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Authorities that are trusted.
#[derive(Debug)]
pub(super) struct Roots(Vec<CertificateDer<'static>>);

/// Why authorities could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file is not there, or cannot be read.
    #[error("read the authorities of servers in {path} (--upstream-ca)")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds nothing that can be an authority.
    #[error("{path} (--upstream-ca) holds no certificate in PEM that can be an authority")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Nobody is trusted, so that no server could be checked.
    #[error("no authority is trusted: {0}")]
    Unusable(String),
}

impl Roots {
    /// Reads them. The system's are where OpenSSL looks for them; an image without any has Mozilla's, which are
    /// compiled in. A file that is optional may be missing or hold nothing of use, which is said.
    pub(super) fn load(file: Option<&Path>, is_optional: bool) -> Result<Self, RootsError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(error = %error, "cannot read an authority of the system's");
        }
        let mut roots = found.certs;
        if roots.is_empty() {
            roots.extend_from_slice(webpki_root_certs::TLS_SERVER_ROOT_CERTS);
        }
        if let Some(path) = file {
            match read(path) {
                Ok(found) => roots.extend(found),
                Err(error) if is_optional => {
                    let reason = error.source().map(ToString::to_string);
                    tracing::error!(error = %error, reason, "servers that only these authorities certify are passed through");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(roots))
    }

    /// These and the authorities in files; of a file that cannot be used, none.
    pub(super) fn and_those_in(&self, files: &[PathBuf]) -> Self {
        let mut roots = self.0.clone();
        for path in files {
            match read(path) {
                Ok(found) => roots.extend(found),
                Err(error) => {
                    tracing::debug!(error = %error, "authorities of a client's are left out")
                }
            }
        }
        Self(roots)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// The same, to check certificates against. What cannot be an authority is left out.
    pub(super) fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let failed = |source| RootsError::Read {
        path: path.to_owned(),
        source,
    };
    let pem = crate::tls::bundle::read_up_to(path, FILE_BYTES).map_err(failed)?;
    let empty = || RootsError::Empty {
        path: path.to_owned(),
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| empty())?;
    let mut usable = RootCertStore::empty();
    match usable.add_parsable_certificates(found.iter().cloned()) {
        (0, _) => Err(empty()),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, "read the authorities"; "a file that is not there")]
    #[test_case(Some("no certificate"), "holds no certificate"; "a file without an authority")]
    fn a_file_that_cannot_be_used_is_an_error_unless_it_is_optional(
        content: Option<&str>,
        said: &str,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upstream-ca.crt");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = Roots::load(Some(&file), false).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        let known = Roots::load(None, false).unwrap().all().len();
        assert_eq!(Roots::load(Some(&file), true).unwrap().all().len(), known);
    }
}
