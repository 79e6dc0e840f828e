//! `GET /api/v1/status`: what is recorded, by whom, and what is missing.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use remora_store::store::{Recorder, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Window};
use crate::descriptors::known::ReflectedServer;
use crate::error::{ApiError, ErrorBody};
use crate::params::Params;

/// How the hub and its sidecars are doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Version of the hub.
    pub version: &'static str,
    /// How the calls are kept.
    pub store: StoreStatus,
    /// Workloads of which calls are kept, the one recorded last first.
    pub workloads: Vec<Workload>,
    /// How secrets are replaced.
    pub redaction: Redaction,
    /// Servers that are asked what their services are made of, where the hub was given some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reflection: Vec<ReflectedServer>,
    /// What may be missing.
    pub coverage: Coverage,
}

/// How the calls are kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreStatus {
    /// Whether blocks are taken.
    pub writable: bool,
    /// Calls kept.
    pub calls: u64,
    /// Blocks kept.
    pub blocks: u64,
    /// Bytes they take up.
    pub bytes: u64,
    /// When the oldest kept call began.
    pub oldest: Option<String>,
    /// When the newest kept call began.
    pub newest: Option<String>,
    /// What was found damaged and set aside, a line each.
    pub quarantined: Vec<String>,
}

/// A workload of which calls are kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Workload {
    /// Its name.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revisions, as far as they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// How many runs of sidecars recorded it.
    pub recorders: u64,
    /// Calls kept of it.
    pub calls: u64,
    /// When the oldest of them began.
    pub first: String,
    /// When the newest of them began.
    pub last: String,
}

/// How secrets are replaced.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redaction {
    /// Name of the key that sidecars make the tags of secrets with; the same secret has the same
    /// tag wherever this key was used.
    pub key: String,
}

/// `GET /api/v1/status`
#[utoipa::path(
    get, path = "/api/v1/status", operation_id = "status",
    summary = "What is recorded, by whom, and what is missing",
    responses(
        (status = 200, body = Status, description = "The status"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 503, body = ErrorBody, description = "The store failed"),
    )
)]
pub async fn status(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Status>, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Status::of(&app, &caller.scope).await.map(Json)
}

impl Status {
    /// How the hub and its sidecars are doing now.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of(app: &App, scope: &Scope) -> Result<Self, ApiError> {
        let health = app.store.health().await;
        let recorders = app.store.recorders(scope).await?;
        let coverage = Coverage::of(app, scope, Window::default()).await?;
        let kept = coverage.kept;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            store: StoreStatus {
                writable: health.writable,
                calls: kept.calls,
                blocks: health.blocks,
                bytes: health.bytes,
                oldest: kept.oldest_ns.map(rfc3339),
                newest: kept.newest_ns.map(rfc3339),
                quarantined: health.quarantined,
            },
            workloads: workloads(&recorders),
            redaction: Redaction {
                key: app.control.key_id().to_owned(),
            },
            reflection: app.descriptors.asked(),
            coverage,
        })
    }
}

/// Adds the runs of each workload up.
pub fn workloads(recorders: &[Recorder]) -> Vec<Workload> {
    let mut by_name: BTreeMap<(&str, &str), Vec<&Recorder>> = BTreeMap::new();
    for recorder in recorders.iter().filter(|recorder| recorder.calls > 0) {
        let origin = &recorder.origin;
        by_name
            .entry((&origin.namespace, &origin.workload))
            .or_default()
            .push(recorder);
    }
    let mut workloads: Vec<(i64, Workload)> = by_name
        .into_iter()
        .map(|((namespace, workload), runs)| {
            let last_ns = runs.iter().map(|run| run.last_ns).max().unwrap_or_default();
            let first_ns = runs
                .iter()
                .map(|run| run.first_ns)
                .min()
                .unwrap_or_default();
            let mut revisions: Vec<String> =
                runs.iter().map(|run| run.origin.revision.clone()).collect();
            revisions.retain(|revision| !revision.is_empty());
            revisions.sort();
            revisions.dedup();
            let workload = Workload {
                workload: workload.to_owned(),
                namespace: namespace.to_owned(),
                revisions,
                recorders: runs.len() as u64,
                calls: runs.iter().map(|run| run.calls).sum(),
                first: rfc3339(first_ns),
                last: rfc3339(last_ns),
            };
            (last_ns, workload)
        })
        .collect();
    workloads.sort_by(|(a, _), (b, _)| b.cmp(a));
    workloads
        .into_iter()
        .map(|(_, workload)| workload)
        .collect()
}
