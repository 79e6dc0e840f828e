//! The same of what a sidecar did about TLS.

use super::known;
use crate::block::record::{CertificateRecord, SecureRecord, TlsRecord};
use crate::call::{Certificate, Secure, TlsHandling, TlsReason};

impl From<&Secure> for SecureRecord {
    fn from(secure: &Secure) -> Self {
        Self {
            handling: secure.handling.code().into(),
            reason: secure.reason.code().into(),
            hello: Some(TlsRecord::of(&secure.hello)),
            alpn: secure.alpn.clone(),
            version: secure.version.map(Into::into),
            certificate: secure
                .certificate
                .as_ref()
                .map(|certificate| CertificateRecord {
                    subject: certificate.subject.clone(),
                    expires_s: certificate.expires_s,
                }),
        }
    }
}

impl From<SecureRecord> for Secure {
    fn from(record: SecureRecord) -> Self {
        Self {
            handling: known(record.handling, TlsHandling::from_code)
                .unwrap_or(TlsHandling::Passthrough),
            reason: known(record.reason, TlsReason::from_code).unwrap_or(TlsReason::Other),
            hello: record.hello.unwrap_or_default().into_hello(),
            alpn: record.alpn,
            version: record
                .version
                .and_then(|version| u16::try_from(version).ok()),
            certificate: record.certificate.map(|certificate| Certificate {
                subject: certificate.subject,
                expires_s: certificate.expires_s,
            }),
        }
    }
}
