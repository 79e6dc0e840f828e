//! What is known of the TLS of a call, in JSON.

use remora_store::call::{Call, Certificate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;

/// What the recorder did about TLS, and what it knows of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tls)]
pub struct TlsJson {
    /// `plaintext`: there was none. `passthrough`: nothing is known of what was inside. `intercepted`: the
    /// sidecar looked inside.
    #[schema(example = "intercepted")]
    pub handling: &'static str,
    /// Why, such as `asked`, `not_asked` or `client_certificate`.
    #[schema(example = "asked")]
    pub reason: &'static str,
    /// Server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Application protocols that the client offered, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Vec<String>>,
    /// Versions that the client offered, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["TLS1.3", "TLS1.2"]))]
    pub versions: Option<Vec<String>>,
    /// Application protocol that the server chose, where the sidecar asked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_alpn: Option<String>,
    /// Version between sidecar and server, where the sidecar spoke it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The server's certificate, where the sidecar checked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateJson>,
}

/// What a certificate says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateJson {
    /// Whose it is.
    #[schema(example = "CN=api.example.com")]
    pub subject: String,
    /// Until when it is good: RFC 3339 in UTC.
    pub expires: String,
}

impl TlsJson {
    pub(super) fn of(call: &Call) -> Self {
        let (handling, reason) = call.tls_handling();
        let hello = call.tls_hello();
        let secure = call.secure.as_deref();
        Self {
            handling: handling.as_str(),
            reason: reason.as_str(),
            sni: hello.and_then(|hello| hello.sni.clone()),
            alpn: hello.map(|hello| hello.alpn.clone()),
            versions: hello.map(|hello| hello.versions.iter().map(|&v| version(v)).collect()),
            chosen_alpn: secure.and_then(|secure| secure.alpn.clone()),
            version: secure.and_then(|secure| secure.version).map(version),
            certificate: secure
                .and_then(|secure| secure.certificate.as_ref())
                .map(CertificateJson::of),
        }
    }
}

impl CertificateJson {
    fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            expires: rfc3339(certificate.expires_s.saturating_mul(1_000_000_000)),
        }
    }
}

/// Name of a TLS version (RFC 8446 section 4.2.1); numbers without one, such as GREASE, in hex.
fn version(version: u16) -> String {
    match version {
        0x0300 => "SSL3.0".to_owned(),
        0x0301 => "TLS1.0".to_owned(),
        0x0302 => "TLS1.1".to_owned(),
        0x0303 => "TLS1.2".to_owned(),
        0x0304 => "TLS1.3".to_owned(),
        other => format!("{other:#06x}"),
    }
}
