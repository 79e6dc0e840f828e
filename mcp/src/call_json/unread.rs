//! What is shown of bytes that were not read: opaque connections.

use remora_store::call::Opaque;
use serde::Serialize;
use utoipa::ToSchema;

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
