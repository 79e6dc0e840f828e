//! The admin port: metrics and probes. It never shows what was recorded.

mod tcp_probe;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;

use crate::metrics;
use tcp_probe::{PodAddress, Probes};

/// Whether the sidecar takes connections. Cheap to clone; every clone says the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the sidecar takes connections from now on.
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Admin {
    registry: Arc<Registry>,
    readiness: Readiness,
    probes: Probes,
}

impl FromRef<Admin> for Probes {
    fn from_ref(admin: &Admin) -> Self {
        admin.probes.clone()
    }
}

/// Serves the admin port on `listener` until the returned future is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    readiness: Readiness,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .route("/probe/tcp/{port}", get(tcp_probe::probe))
        .with_state(Admin {
            registry,
            readiness,
            probes: Probes::default(),
        });
    let service = router.into_make_service_with_connect_info::<PodAddress>();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, service).await
}

async fn show_metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, content_type)],
        metrics::page(&admin.registry),
    )
}

async fn show_readiness(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not taking connections\n")
    }
}
