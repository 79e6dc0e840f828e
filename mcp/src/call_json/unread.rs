//! What is shown of bytes that were not read: TLS that was passed through, and opaque connections.

use remora_store::call::{Opaque, TlsHello};
use serde::Serialize;
use utoipa::ToSchema;

/// What a ClientHello says in the clear.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tls)]
pub struct TlsJson {
    /// Server name asked for.
    pub sni: Option<String>,
    /// Application protocols offered, in order.
    pub alpn: Vec<String>,
    /// Versions offered, in order.
    #[schema(example = json!(["TLS1.3", "TLS1.2"]))]
    pub versions: Vec<String>,
}

/// What is known of bytes that were not parsed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Opaque)]
pub struct OpaqueJson {
    /// Which side sent the first byte.
    pub first_speaker: Option<&'static str>,
    /// Name of the protocol where its first bytes tell.
    pub recognised: Option<String>,
    /// Byte of the client's stream from which on nothing was parsed.
    pub from_byte: u64,
    /// Why parsing ended, where it had begun.
    pub reason: Option<String>,
}

impl From<&TlsHello> for TlsJson {
    fn from(hello: &TlsHello) -> Self {
        Self {
            sni: hello.sni.clone(),
            alpn: hello.alpn.clone(),
            versions: hello
                .versions
                .iter()
                .map(|&version| tls_version(version))
                .collect(),
        }
    }
}

/// Name of a TLS version (RFC 8446 section 4.2.1); numbers without one, such as GREASE, in hex.
fn tls_version(version: u16) -> String {
    match version {
        0x0300 => "SSL3.0".to_owned(),
        0x0301 => "TLS1.0".to_owned(),
        0x0302 => "TLS1.1".to_owned(),
        0x0303 => "TLS1.2".to_owned(),
        0x0304 => "TLS1.3".to_owned(),
        other => format!("{other:#06x}"),
    }
}

impl From<&Opaque> for OpaqueJson {
    fn from(opaque: &Opaque) -> Self {
        Self {
            first_speaker: opaque.first_speaker.map(|side| side.as_str()),
            recognised: opaque.recognised.clone(),
            from_byte: opaque.from_byte,
            reason: opaque.reason.clone(),
        }
    }
}
