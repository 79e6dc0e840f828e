//! What comes in by the ingest port: blocks, and the connections that bring them.

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use remora_store::store::Ingested;

/// What is counted of it; every field is documented where it is registered.
#[derive(Debug, Default)]
pub struct Ingest {
    pub(crate) requests: Counter,
    blocks: Counter,
    duplicates: Counter,
    calls: Counter,
    bytes: Counter,
    refused: Family<RefusedLabels, Counter>,
    certificates: Family<CertificateLabels, Counter>,
    pub(crate) handshakes_failed: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

/// Why a sidecar's blocks were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// They cannot be read.
    Malformed,
    /// They are too large.
    TooLarge,
    /// The hub is busy, full, or its store failed.
    Unavailable,
}

impl Refused {
    /// The reason behind a status.
    pub fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            status if status.is_server_error() => Self::Unavailable,
            _ => Self::Malformed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    outcome: &'static str,
}

/// What became of a certificate that was read from its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRead {
    /// New connections are served under it.
    Served,
    /// It is not there or not a good one, and what was served before still is.
    Refused,
}

impl Ingest {
    /// Enters all of it.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ingest_requests",
            "Requests with blocks",
            self.requests.clone(),
        );
        registry.register(
            "ingest_blocks",
            "Blocks that were kept",
            self.blocks.clone(),
        );
        registry.register(
            "ingest_duplicate_blocks",
            "Blocks that were kept already",
            self.duplicates.clone(),
        );
        registry.register(
            "ingest_calls",
            "Calls in the blocks that were kept",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "ingest",
            "Bytes of requests whose blocks were kept",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "ingest_refused",
            "Requests with blocks that were not taken, by reason",
            self.refused.clone(),
        );
        registry.register(
            "ingest_certificates",
            "Certificates of the ingest port that were read, by what became of them",
            self.certificates.clone(),
        );
        registry.register(
            "ingest_handshakes_failed",
            "TLS handshakes on the ingest port that came to nothing",
            self.handshakes_failed.clone(),
        );
    }

    /// Counts blocks that were kept.
    pub fn stored(&self, ingested: &Ingested, request_bytes: usize) {
        self.blocks.inc_by(ingested.stored);
        self.duplicates.inc_by(ingested.duplicates);
        self.calls.inc_by(ingested.calls);
        self.bytes.inc_by(request_bytes as u64);
    }

    /// Counts a request whose blocks were not taken.
    pub fn refused(&self, reason: Refused) {
        self.refused
            .get_or_create(&RefusedLabels {
                reason: reason.as_str(),
            })
            .inc();
    }

    /// Counts a certificate that was read.
    pub fn certificate_read(&self, read: CertificateRead) {
        let outcome = match read {
            CertificateRead::Served => "served",
            CertificateRead::Refused => "refused",
        };
        self.certificates
            .get_or_create(&CertificateLabels { outcome })
            .inc();
    }
}
