//! What the shipper counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Counters of the shipper. Cheap to clone; every clone counts the same.
#[derive(Debug, Clone, Default)]
pub struct ShipMetrics {
    /// Blocks sealed.
    pub blocks_sealed: Counter,
    /// Blocks that the hub has acknowledged.
    pub blocks_shipped: Counter,
    /// Calls that the hub has acknowledged.
    pub calls_shipped: Counter,
    /// Bytes of acknowledged blocks.
    pub shipped_bytes: Counter,
    /// Bytes of sealed blocks that wait in memory.
    pub queue_bytes: Gauge,
    /// Bytes of the spool on disk.
    pub spool_bytes: Gauge,
    /// Epochs that were answered.
    pub flushes: Counter,
    /// Calls whose redaction panicked, and which are gone for it.
    pub redaction_panics: Counter,
    requests: Family<OutcomeLabel, Counter>,
    dropped: Family<ReasonLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl ShipMetrics {
    /// Counters under `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "blocks_sealed",
            "Blocks sealed",
            metrics.blocks_sealed.clone(),
        );
        registry.register(
            "blocks_shipped",
            "Blocks that the hub has acknowledged",
            metrics.blocks_shipped.clone(),
        );
        registry.register(
            "calls_shipped",
            "Calls that the hub has acknowledged",
            metrics.calls_shipped.clone(),
        );
        registry.register_with_unit(
            "shipped",
            "Bytes of blocks that the hub has acknowledged",
            Unit::Bytes,
            metrics.shipped_bytes.clone(),
        );
        registry.register_with_unit(
            "ship_queue",
            "Bytes of sealed blocks that wait in memory",
            Unit::Bytes,
            metrics.queue_bytes.clone(),
        );
        registry.register_with_unit(
            "spool",
            "Bytes of the spool on disk",
            Unit::Bytes,
            metrics.spool_bytes.clone(),
        );
        registry.register("flushes", "Flush epochs answered", metrics.flushes.clone());
        registry.register(
            "redaction_panics",
            "Calls lost because looking for secrets in them panicked",
            metrics.redaction_panics.clone(),
        );
        registry.register(
            "ship_requests",
            "Requests to the hub's ingest port, by outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "ship_calls_dropped",
            "Calls dropped between observer and hub, by reason",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// Counts a request by what came of it.
    pub(super) fn request(&self, outcome: &'static str) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts calls that were dropped.
    pub(super) fn dropped(&self, reason: &'static str, calls: u64) {
        if calls > 0 {
            self.dropped
                .get_or_create(&ReasonLabel { reason })
                .inc_by(calls);
        }
    }

    /// Requests to the hub that came to `outcome` so far.
    pub fn requests_with(&self, outcome: &'static str) -> u64 {
        self.requests.get_or_create(&OutcomeLabel { outcome }).get()
    }

    /// Calls dropped for `reason` so far.
    pub fn calls_dropped(&self, reason: &'static str) -> u64 {
        self.dropped.get_or_create(&ReasonLabel { reason }).get()
    }
}
