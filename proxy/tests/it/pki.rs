//! Certificates of a test: an authority, and servers that it certifies or does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

/// The name that servers of tests have.
pub(crate) const NAME: &str = "api.test";

/// An authority, and a folder for what it makes.
pub(crate) struct Pki {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Expired,
    OtherName,
    SelfSigned,
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let made = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("authority.pem"), made.pem()).unwrap();
        Self {
            folder,
            certificate: made.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Where files of a test may lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority in PEM.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A folder with the authority in it, as OpenSSL looks for it.
    pub(crate) fn hashed(&self) -> PathBuf {
        let folder = self.folder.path().join("hashed");
        fs::create_dir_all(&folder).unwrap();
        let output = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-hash", "-in"])
            .arg(self.authority())
            .output()
            .expect("openssl is installed");
        let hash = String::from_utf8(output.stdout).unwrap();
        let file = folder.join(format!("{}.0", hash.trim()));
        fs::copy(self.authority(), file).unwrap();
        folder
    }

    /// A certificate for [`NAME`].
    pub(crate) fn identity(&self, flaw: Flaw) -> Identity {
        let name = match flaw {
            Flaw::OtherName => "other.test",
            _ => NAME,
        };
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if flaw == Flaw::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let made = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        Identity {
            chain: vec![made.unwrap().der().clone()],
            key,
        }
    }

    /// The files of a certificate and its key, in PEM.
    pub(crate) fn files(&self, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
        let at = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let (certificate, key) = (at("pem"), at("key"));
        let chain: String = identity.chain.iter().map(|der| pem(der)).collect();
        fs::write(&certificate, chain).unwrap();
        fs::write(&key, identity.key.serialize_pem()).unwrap();
        (certificate, key)
    }

    /// A server's side of TLS.
    pub(crate) fn server(
        &self,
        identity: &Identity,
        alpn: &[&str],
        asks: bool,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match asks {
            false => builder.with_no_client_auth(),
            true => {
                let roots = Arc::new(self.roots());
                let clients = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(clients.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let mut config = builder
            .with_single_cert(identity.chain.clone(), key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// This authority alone.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
