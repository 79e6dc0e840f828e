//! Every metric of the sidecar's data plane, and the page that shows them.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use remora_store::call::{CallError, Leg, Side, TlsHandling, TlsReason};

use crate::budget::Budget;

/// What the data plane counts. Cheap to clone; every clone counts the same.
#[derive(Clone)]
pub(crate) struct Metrics {
    connections: Family<LegLabel, Counter>,
    /// Connections that are open now.
    pub(crate) open_connections: Gauge,
    bytes: Family<BytesLabels, Counter>,
    dial_failures: Family<DialLabels, Counter>,
    tls: Family<TlsLabels, Counter>,
    /// Connections that would lead back to the sidecar for ever.
    pub(crate) loops_refused: Counter,
    /// Pauses in accepting because the process ran out of file descriptors or memory.
    pub(crate) accept_pauses: Counter,
    /// Whether observers run: 1, or 0 where recording is off.
    pub(crate) recording: Gauge,
    /// What the recorder counts.
    pub(crate) record: RecordMetrics,
}

/// What the recorder of a thread counts.
#[derive(Clone)]
pub(crate) struct RecordMetrics {
    /// Calls recorded.
    pub(crate) calls: Counter,
    /// Observers that panicked.
    pub(crate) observer_panics: Counter,
    dropped: Family<DropLabel, Counter>,
}

/// The counters of one leg that move with every message. Its default counts what nobody reads.
#[derive(Clone, Default)]
pub(crate) struct Traffic {
    from_client: Counter,
    from_server: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LegLabel {
    leg: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BytesLabels {
    leg: &'static str,
    from: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DialLabels {
    leg: &'static str,
    error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TlsLabels {
    handling: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabel {
    reason: &'static str,
}

impl Metrics {
    /// Metrics under `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            connections: Family::default(),
            open_connections: Gauge::default(),
            bytes: Family::default(),
            dial_failures: Family::default(),
            tls: Family::default(),
            loops_refused: Counter::default(),
            accept_pauses: Counter::default(),
            recording: Gauge::default(),
            record: RecordMetrics::register(registry),
        };
        registry.register(
            "connections",
            "Connections accepted, by leg",
            metrics.connections.clone(),
        );
        registry.register(
            "open_connections",
            "Connections that are open now",
            metrics.open_connections.clone(),
        );
        registry.register_with_unit(
            "forwarded",
            "Data passed on, by leg and by the side that sent it",
            Unit::Bytes,
            metrics.bytes.clone(),
        );
        registry.register(
            "dial_failures",
            "Connections whose server was not reached, by leg and error",
            metrics.dial_failures.clone(),
        );
        registry.register(
            "tls_connections",
            "TLS connections that were to be looked into, by what became of that and why",
            metrics.tls.clone(),
        );
        registry.register(
            "loops_refused",
            "Connections that would have led back to the sidecar for ever, which were refused",
            metrics.loops_refused.clone(),
        );
        registry.register(
            "accept_pauses",
            "Pauses in accepting because descriptors or memory ran out",
            metrics.accept_pauses.clone(),
        );
        registry.register(
            "recording",
            "1 while calls are recorded, 0 where the sidecar is a plain relay",
            metrics.recording.clone(),
        );
        metrics
    }

    /// Counts an accepted connection.
    pub(crate) fn accepted(&self, leg: Leg) {
        let leg = leg.as_str();
        self.connections.get_or_create(&LegLabel { leg }).inc();
    }

    /// Counts a server that was not reached.
    pub(crate) fn dial_failed(&self, leg: Leg, error: CallError) {
        let labels = DialLabels {
            leg: leg.as_str(),
            error: error.as_str(),
        };
        self.dial_failures.get_or_create(&labels).inc();
    }

    /// Counts a TLS connection that was to be looked into.
    pub(crate) fn tls(&self, handling: TlsHandling, reason: TlsReason) {
        let labels = TlsLabels {
            handling: handling.as_str(),
            reason: reason.as_str(),
        };
        self.tls.get_or_create(&labels).inc();
    }

    /// The byte counters of a leg, looked up once for all its messages.
    pub(crate) fn traffic(&self, leg: Leg) -> Traffic {
        let counter = |from: Side| {
            let labels = BytesLabels {
                leg: leg.as_str(),
                from: from.as_str(),
            };
            Counter::clone(&self.bytes.get_or_create(&labels))
        };
        Traffic {
            from_client: counter(Side::Client),
            from_server: counter(Side::Server),
        }
    }
}

impl RecordMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Counter::default(),
            observer_panics: Counter::default(),
            dropped: Family::default(),
        };
        registry.register("calls_recorded", "Calls recorded", metrics.calls.clone());
        registry.register(
            "observer_panics",
            "Observers that panicked; their connections were relayed unobserved",
            metrics.observer_panics.clone(),
        );
        registry.register(
            "calls_dropped",
            "Calls observed and not handed to the shipper, by reason",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// Counts calls that were not kept.
    pub(crate) fn dropped(&self, reason: &'static str, calls: u64) {
        self.dropped
            .get_or_create(&DropLabel { reason })
            .inc_by(calls);
    }
}

impl Traffic {
    /// Counts bytes that this side sent.
    pub(crate) fn count(&self, from: Side, bytes: usize) {
        let counter = match from {
            Side::Client => &self.from_client,
            _ => &self.from_server,
        };
        counter.inc_by(bytes as u64);
    }
}

/// Looks the capture budget up when metrics are asked for, so that it costs nothing in between.
#[derive(Debug)]
struct CaptureMemory(Budget);

impl Collector for CaptureMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let numbers = [
            (
                "capture_used",
                "Memory that captured records take up.",
                self.0.used_bytes(),
            ),
            (
                "capture_limit",
                "Memory that captured records may take up.",
                self.0.limit_bytes(),
            ),
        ];
        for (name, help, bytes) in numbers {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let metric =
                encoder.encode_descriptor(name, help, Some(&Unit::Bytes), gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

/// Shows the use of the capture budget under `registry`.
pub(crate) fn register_budget(registry: &mut Registry, budget: &Budget) {
    registry.register_collector(Box::new(CaptureMemory(budget.clone())));
}

/// A registry for everything that a sidecar counts.
pub(crate) fn registry() -> Registry {
    Registry::with_prefix("remora_proxy")
}

/// The page that Prometheus reads.
pub(crate) fn page(registry: &Arc<Registry>) -> String {
    let mut page = String::new();
    // Writing to a String does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut page, registry);
    page
}
