//! Every metric of the injector.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::decide::Reason;

/// Bounds of the histogram of answers, in seconds; the budget is 10 ms.
const ANSWER_SECONDS: [f64; 7] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.1, 1.0];

/// Counts what the webhook did. Cheap to clone; every clone counts into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reviews: Family<ReviewLabels, Counter>,
    answers: Histogram,
    events: Family<EventLabels, Counter>,
    /// When the served certificate runs out, in seconds since 1970.
    pub(crate) certificate_expiry: Gauge,
    /// How often the certificates could not be kept.
    pub(crate) certificate_failures: Counter,
    /// In how many namespaces the authorities are.
    pub(crate) bundles: Gauge,
    /// How often they could not be written into one.
    pub(crate) bundle_failures: Counter,
}

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Injected,
    Skipped(Reason),
    Unreadable,
    Busy,
}

/// What became of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventOutcome {
    /// It was told.
    Told,
    /// The same was told a while ago.
    Repeated,
    /// Too many waited.
    Dropped,
    /// The API server did not take it.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    outcome: &'static str,
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remora_injector");
        let reviews = Family::default();
        let answers = Histogram::new(ANSWER_SECONDS);
        let events = Family::default();
        let certificate_expiry = Gauge::default();
        let certificate_failures = Counter::default();
        let bundles = Gauge::default();
        let bundle_failures = Counter::default();
        registry.register(
            "reviews",
            "Reviews by outcome, without dry runs",
            reviews.clone(),
        );
        registry.register(
            "answer_seconds",
            "Time from the whole review to the answer",
            answers.clone(),
        );
        registry.register(
            "events",
            "Events about pods that somebody should act on, by what became of the Event",
            events.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the served certificate runs out, in seconds since 1970",
            certificate_expiry.clone(),
        );
        registry.register(
            "ca_bundles",
            "Namespaces that the hub's authorities were published in",
            bundles.clone(),
        );
        registry.register(
            "ca_bundle_failures",
            "Times that they could not be published in a namespace",
            bundle_failures.clone(),
        );
        registry.register(
            "certificate_failures",
            "Times that the certificates could not be read, kept or published",
            certificate_failures.clone(),
        );
        Self {
            registry: Arc::new(registry),
            reviews,
            answers,
            events,
            certificate_expiry,
            certificate_failures,
            bundles,
            bundle_failures,
        }
    }
}

impl Metrics {
    pub(crate) fn count(&self, outcome: Outcome) {
        let (outcome, reason) = match outcome {
            Outcome::Injected => ("injected", ""),
            Outcome::Skipped(reason) => ("skipped", reason.code()),
            Outcome::Unreadable => ("unreadable", ""),
            Outcome::Busy => ("busy", ""),
        };
        self.reviews
            .get_or_create(&ReviewLabels { outcome, reason })
            .inc();
    }

    pub(crate) fn tell(&self, outcome: EventOutcome) {
        let outcome = match outcome {
            EventOutcome::Told => "told",
            EventOutcome::Repeated => "repeated",
            EventOutcome::Dropped => "dropped",
            EventOutcome::Failed => "failed",
        };
        self.events.get_or_create(&EventLabels { outcome }).inc();
    }

    pub(crate) fn observe(&self, took: Duration) {
        self.answers.observe(took.as_secs_f64());
    }

    /// The page that Prometheus reads.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}
