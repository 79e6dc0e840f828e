//! Every metric of the hub.
//!
//! What is known to the store and the control channel alone is read when the metrics are asked for.
//! The hub's own are told to everybody; what was recorded ([`traffic`]) only to who may ask for it.

mod ingest;
mod traffic;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use remora_store::store::Scope;

use crate::app::App;
use crate::auth::Caller;
use crate::coverage::{DROP_REASONS, drop_reason};
use crate::error::ApiError;
use crate::snapshot::barrier::WAITERS;
pub use ingest::{CertificateRead, Ingest, Refused};
use traffic::Traffic;

/// What is counted; every field is documented where it is registered.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) ingest: Ingest,
    pub(crate) control_questions: Counter,
    queries: Family<QueryLabels, Counter>,
    query_seconds: Family<QueryLabels, Histogram, fn() -> Histogram>,
    sidecars_live: Gauge,
    sidecars_silent: Gauge,
    snapshot_waiters: Gauge,
    sidecar_drops: Family<DropLabels, Gauge<u64, AtomicU64>>,
    missing_blocks: Gauge<u64, AtomicU64>,
    store_writable: Gauge,
    store_calls: Gauge<u64, AtomicU64>,
    store_blocks: Gauge<u64, AtomicU64>,
    store_bytes: Gauge<u64, AtomicU64>,
    store_quarantined: Gauge<u64, AtomicU64>,
    freed_calls: Counter,
    pub(crate) traffic: Arc<Traffic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    query: &'static str,
}

/// What was asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A page of calls.
    List,
    /// One call.
    Get,
    /// Groups of calls.
    Summary,
}

impl Asked {
    fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Summary => "summary",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("remora_hub"),
            ingest: Ingest::default(),
            control_questions: Counter::default(),
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 8))
            }),
            sidecars_live: Gauge::default(),
            sidecars_silent: Gauge::default(),
            snapshot_waiters: Gauge::default(),
            sidecar_drops: Family::default(),
            missing_blocks: Gauge::default(),
            store_writable: Gauge::default(),
            store_calls: Gauge::default(),
            store_blocks: Gauge::default(),
            store_bytes: Gauge::default(),
            store_quarantined: Gauge::default(),
            freed_calls: Counter::default(),
            traffic: Arc::default(),
        };
        metrics.ingest.register(&mut metrics.registry);
        metrics.register_store();
        metrics.register_sidecars();
        metrics
    }

    fn register_store(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "queries",
            "Questions asked of the store",
            self.queries.clone(),
        );
        registry.register_with_unit(
            "query",
            "Time the store took to answer",
            Unit::Seconds,
            self.query_seconds.clone(),
        );
        registry.register(
            "store_writable",
            "Whether the store takes blocks: 1 or 0",
            self.store_writable.clone(),
        );
        registry.register(
            "store_calls",
            "Calls that are kept",
            self.store_calls.clone(),
        );
        registry.register(
            "store_blocks",
            "Blocks that are kept",
            self.store_blocks.clone(),
        );
        registry.register_with_unit(
            "store",
            "Bytes that the kept calls take up",
            Unit::Bytes,
            self.store_bytes.clone(),
        );
        registry.register(
            "store_quarantined",
            "Damaged parts that were set aside",
            self.store_quarantined.clone(),
        );
        registry.register(
            "store_freed_calls",
            "Calls forgotten by retention",
            self.freed_calls.clone(),
        );
    }

    fn register_sidecars(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "control_questions",
            "Questions of sidecars on the control channel",
            self.control_questions.clone(),
        );
        registry.register(
            "sidecars_live",
            "Sidecars that were heard of lately",
            self.sidecars_live.clone(),
        );
        registry.register(
            "sidecars_silent",
            "Sidecars that were heard of before, and are not any more, without a goodbye",
            self.sidecars_silent.clone(),
        );
        registry.register(
            "snapshot_waiters",
            "Callers that wait until a snapshot has settled",
            self.snapshot_waiters.clone(),
        );
        registry.register(
            "sidecar_dropped_calls",
            "Calls whose records the sidecars dropped, by reason, as far as kept blocks tell",
            self.sidecar_drops.clone(),
        );
        registry.register(
            "missing_blocks",
            "Blocks that sidecars sealed and that never came",
            self.missing_blocks.clone(),
        );
    }

    /// Counts a question and the time it took.
    pub fn asked(&self, query: Asked, took: Duration) {
        let labels = QueryLabels {
            query: query.as_str(),
        };
        self.queries.get_or_create(&labels).inc();
        self.query_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Counts calls that retention forgot.
    pub fn freed(&self, calls: u64) {
        self.freed_calls.inc_by(calls);
    }

    async fn refresh(&self, app: &App) -> Result<(), ApiError> {
        let health = app.store.health().await;
        self.store_writable.set(i64::from(health.writable));
        self.store_calls.set(health.calls);
        self.store_blocks.set(health.blocks);
        self.store_bytes.set(health.bytes);
        self.store_quarantined.set(health.quarantined.len() as u64);

        let recorders = app.store.recorders(&Scope::ALL).await?;
        self.missing_blocks
            .set(recorders.iter().fold(0, |sum: u64, recorder| {
                sum.saturating_add(recorder.missing_blocks)
            }));
        for reason in DROP_REASONS.into_iter().chain(["other"]) {
            let drops = recorders.iter().flat_map(|recorder| &recorder.drops);
            let calls = drops
                .filter(|drop| drop_reason(&drop.reason) == reason)
                .fold(0, |sum: u64, drop| sum.saturating_add(drop.calls));
            self.sidecar_drops
                .get_or_create(&DropLabels { reason })
                .set(calls);
        }

        let sidecars = app.control.sidecars();
        let live = sidecars.iter().filter(|sidecar| sidecar.live).count();
        self.sidecars_live.set(live as i64);
        self.sidecars_silent.set((sidecars.len() - live) as i64);
        let waiters = WAITERS.saturating_sub(app.waiters.available_permits());
        self.snapshot_waiters.set(waiters as i64);
        Ok(())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// `GET /metrics`. Without a `caller`, only what says nothing of anybody's traffic.
pub async fn metrics(
    State(app): State<App>,
    Extension(caller): Extension<Option<Caller>>,
) -> Result<impl IntoResponse, ApiError> {
    app.metrics.refresh(&app).await?;
    let mut traffic = Registry::with_prefix("remora");
    let shown = Gauge::<i64>::default();
    shown.set(i64::from(caller.is_some()));
    traffic.register(
        "hub_traffic_shown",
        "Whether the metrics of recorded calls are shown: 0 to who has no token, or comes by a strange name",
        shown,
    );
    if let Some(caller) = caller {
        traffic.register_collector(app.metrics.traffic.shown_to(&caller.scope));
    }
    let mut text = String::new();
    let encoded = encode_registry(&mut text, &app.metrics.registry)
        .and_then(|()| encode_registry(&mut text, &traffic))
        .and_then(|()| encode_eof(&mut text));
    if encoded.is_err() {
        // A `String` takes everything that is written to it; only a metric's own encoding can fail.
        let _ = writeln!(text, "# EOF");
    }
    Ok((
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    ))
}
