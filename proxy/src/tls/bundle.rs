//! What the application's clients need in order to trust a sidecar: certificates in the forms that they read, and
//! the variables that lead them there. No key is among them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use super::authority::Authority;
use super::folder::{Folder, FolderError};
use super::{keystore, name_hash};

/// The sidecar's own authority alone, for clients that add it to what they trust.
const CA_FILE: &str = "ca.pem";
/// It and everybody whom the sidecar trusts, for clients that trust nobody else then.
const BUNDLE_FILE: &str = "bundle.pem";
/// The same for Java.
const KEYSTORE_FILE: &str = "truststore.jks";
/// Directory with all of them, each under the name by which OpenSSL looks for it: clients that are told of it may look
/// nowhere else.
const HASHED_DIR: &str = "certs";

/// Columns of a line in PEM (RFC 7468 section 2).
const PEM_COLUMNS: usize = 64;

/// A variable by which a client is told whom to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value, in which `{dir}` is the directory of the certificates.
    pub value: &'static str,
    /// For which clients.
    pub reader: Reader,
}

/// Which clients a variable is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Those who share a file system with the sidecar, so that it knows whom they trust: all of it is in the bundle.
    Beside,
    /// Those in an image of their own, whose authorities nobody here knows: ours come in addition.
    Apart,
    /// Both. Most bring authorities of their own, which are Mozilla's.
    Any,
}

/// The variables, and who reads each.
pub const VARIABLES: &[Variable] = {
    use Reader::{Any, Apart, Beside};
    const fn variable(reader: Reader, name: &'static str, value: &'static str) -> Variable {
        Variable {
            name,
            value,
            reader,
        }
    }
    &[
        // OpenSSL and most of what stands on it (Python, Ruby, PHP, curl), Go, rustls-native-certs.
        variable(Beside, "SSL_CERT_FILE", "{dir}/bundle.pem"),
        variable(Beside, "CURL_CA_BUNDLE", "{dir}/bundle.pem"),
        variable(Beside, "GIT_SSL_CAINFO", "{dir}/bundle.pem"),
        variable(Beside, "NIX_SSL_CERT_FILE", "{dir}/bundle.pem"),
        // The same. Most go on reading the image's file of authorities, and its directory counts where OpenSSL finds
        // them in it; for others those in ours are what they have.
        variable(Apart, "SSL_CERT_DIR", "{dir}/certs:/etc/ssl/certs"),
        variable(Apart, "GIT_SSL_CAPATH", "{dir}/certs"),
        variable(Any, "NODE_EXTRA_CA_CERTS", "{dir}/ca.pem"),
        variable(Any, "DENO_CERT", "{dir}/ca.pem"),
        // Python's requests, and pip.
        variable(Any, "REQUESTS_CA_BUNDLE", "{dir}/bundle.pem"),
        variable(Any, "PIP_CERT", "{dir}/bundle.pem"),
        // The command line of AWS, and its SDKs.
        variable(Any, "AWS_CA_BUNDLE", "{dir}/bundle.pem"),
        // The same of Google, and its older Python clients.
        variable(
            Any,
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
            "{dir}/bundle.pem",
        ),
        variable(Any, "HTTPLIB2_CA_CERTS", "{dir}/bundle.pem"),
        // gRPC on its C core: Python, Ruby, PHP, C++.
        variable(Any, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "{dir}/bundle.pem"),
        // An image's own options, heap limits and agents among them, would be gone.
        variable(
            Beside,
            "JAVA_TOOL_OPTIONS",
            "-Djavax.net.ssl.trustStore={dir}/truststore.jks -Djavax.net.ssl.trustStoreType=JKS",
        ),
    ]
};

/// Certificates that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    directory: PathBuf,
}

/// The certificates could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write the certificates for the application's clients to {directory} (--ca-dir)")]
pub struct BundleError {
    /// The directory.
    pub directory: PathBuf,
    /// Why not.
    pub source: FolderError,
}

impl Bundle {
    /// Writes `authority`, and it together with `roots`, into `directory`, which is made if it is not there.
    /// Each file is there whole or not at all, and everybody may read it. What an earlier run wrote is replaced;
    /// a directory with anything of somebody else's in the places of these files is refused.
    pub(super) fn write(
        directory: &Path,
        authority: &Authority,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, BundleError> {
        let authority = authority.certificate();
        let all = [std::slice::from_ref(authority), roots].concat();
        let bundle: String = all.iter().map(|certificate| pem(certificate)).collect();
        let files = [
            (CA_FILE, pem(authority).into_bytes()),
            (BUNDLE_FILE, bundle.into_bytes()),
            (KEYSTORE_FILE, keystore::trusting(&all)),
        ];
        let hashed = hashed(&all);
        let ours = [CA_FILE, BUNDLE_FILE, KEYSTORE_FILE];
        let written = Folder::take(directory, &ours, HASHED_DIR).and_then(|folder| {
            for (name, certificate) in &hashed {
                folder.write_certificate(name, &pem(certificate))?;
            }
            files
                .iter()
                .try_for_each(|(name, it)| folder.write(name, it))
        });
        let named = |source| BundleError {
            directory: directory.to_owned(),
            source,
        };
        written.map_err(named).map(|()| Self {
            directory: directory.to_owned(),
        })
    }

    /// The file with the sidecar's own authority alone.
    pub fn authority(&self) -> PathBuf {
        self.directory.join(CA_FILE)
    }

    /// Name and value of each variable by which a client beside the sidecar finds the certificates. One that is set
    /// already is somebody else's to decide.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let directory = self.directory.to_string_lossy();
        let beside = VARIABLES.iter().filter(|it| it.reader != Reader::Apart);
        beside.map(move |variable| {
            let value = variable.value.replace("{dir}", &directory);
            (variable.name, value)
        })
    }
}

/// Names of files by which OpenSSL finds the certificates: of several with one number, each has its place.
fn hashed<'a, 'b>(all: &'a [CertificateDer<'b>]) -> Vec<(String, &'a CertificateDer<'b>)> {
    let mut places: HashMap<u32, Vec<&CertificateDer<'_>>> = HashMap::new();
    let mut named = Vec::new();
    for certificate in all {
        let Some(hash) = name_hash::of(certificate) else {
            continue;
        };
        let alike = places.entry(hash).or_default();
        if !alike.contains(&certificate) {
            let name = format!("{HASHED_DIR}/{hash:08x}.{}", alike.len());
            named.push((name, certificate));
            alike.push(certificate);
        }
    }
    named
}

/// Reads a file of at most `most` bytes.
pub(super) fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut content)?;
    match content.len() as u64 > most {
        true => Err(io::Error::other(format!("it is longer than {most} bytes"))),
        false => Ok(content),
    }
}

pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(PEM_COLUMNS) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls::pki_types::pem::PemObject as _;

    use super::super::authority::Authority;
    use super::*;

    #[test]
    fn everything_that_is_written_reads_and_holds_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new().unwrap();
        let root = Authority::new().unwrap().certificate().clone();
        let path = directory.path().join("certificates");
        for _ in 0..2 {
            // The second time over the first, as after a restart.
            let roots = std::slice::from_ref(&root);
            let bundle = Bundle::write(&path, &authority, roots).unwrap();
            assert!(bundle.variables().any(|(name, _)| name == "SSL_CERT_FILE"));
        }
        let read = |name| -> Vec<CertificateDer<'static>> {
            let pem = fs::read(path.join(name)).unwrap();
            assert!(!String::from_utf8_lossy(&pem).contains("PRIVATE"));
            CertificateDer::pem_slice_iter(&pem)
                .map(Result::unwrap)
                .collect()
        };
        assert_eq!(read(CA_FILE), [authority.certificate().clone()]);
        assert_eq!(read(BUNDLE_FILE), [authority.certificate().clone(), root]);
        let mut files: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, [BUNDLE_FILE, CA_FILE, HASHED_DIR, KEYSTORE_FILE]);
        let hashed = fs::read_dir(path.join(HASHED_DIR)).unwrap();
        assert_eq!(hashed.count(), 2);
        let secret = authority.secret();
        for file in [BUNDLE_FILE, CA_FILE, KEYSTORE_FILE] {
            let content = fs::read(path.join(file)).unwrap();
            assert!(memchr::memmem::find(&content, &secret).is_none());
        }
    }

    #[test]
    fn openssl_trusts_everybody_in_the_directory_and_needs_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new().unwrap();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        // Some are there twice where the system knows what a file names too.
        let roots = [roots, roots].concat();
        Bundle::write(directory.path(), &authority, &roots).unwrap();
        let output = std::process::Command::new("openssl")
            .args([
                "verify",
                "-no_check_time",
                "-no-CAfile",
                "-no-CAstore",
                "-CApath",
            ])
            .arg(directory.path().join(HASHED_DIR))
            .args(
                hashed(&roots)
                    .iter()
                    .map(|(name, _)| directory.path().join(name)),
            )
            .arg(directory.path().join(CA_FILE))
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        let files = fs::read_dir(directory.path().join(HASHED_DIR)).unwrap();
        assert_eq!(files.count(), roots.len() / 2 + 1);
    }

    #[test]
    fn every_variable_leads_to_a_file_that_is_written() {
        let files = [CA_FILE, BUNDLE_FILE, KEYSTORE_FILE, HASHED_DIR];
        for variable in VARIABLES {
            let leads = |file: &&&str| variable.value.contains(&format!("{{dir}}/{file}"));
            assert_eq!(files.iter().filter(leads).count(), 1, "{variable:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let authority = Authority::new().unwrap();
        let below = file.path().join("below");
        let error = Bundle::write(&below, &authority, &[]).unwrap_err();
        assert_eq!(error.directory, below);
    }
}
