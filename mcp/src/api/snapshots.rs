//! `/api/v1/snapshots`: snapshots made, waited for, listed and deleted.
//!
//! The bodies of requests are small JSON objects; a field that is not known is an error that names
//! the nearest one.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http_body_util::channel::{Channel, Sender};
use remora_store::snapshot::Snapshot;
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use utoipa::ToSchema;

use crate::api::body::read_body;
use crate::app::App;
use crate::auth::Caller;
use crate::coverage::{Coverage, Window};
use crate::error::{ApiError, ErrorBody};
use crate::params::Params;
use crate::snapshot::barrier::{self, Progress, Settled, Wait};
use crate::snapshot::{self, SnapshotJson, StartRequest};
use crate::tools::filter::FilterInput;

/// Largest body of a request, in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;
/// How long no call that matches may arrive, if nothing is said.
const DEFAULT_IDLE_MS: u64 = 2_000;
/// Shortest and longest of it.
const IDLE_MS: std::ops::RangeInclusive<u64> = 0..=30_000;
/// How long is waited if nothing is said.
const DEFAULT_WAIT_S: u64 = 30;
/// Longest wait: clients give up after 60 s.
const LONGEST_WAIT_S: u64 = 45;
/// How often a waiting caller that asked for lines hears how far it is.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Lines that wait to be sent.
const LINES_AHEAD: usize = 2;

/// What is waited for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// How long no call that matches may arrive, in ms; default 2000
    #[schemars(range(min = 0, max = 30000))]
    #[schema(maximum = 30000)]
    pub idle_ms: Option<u64>,
    /// How many matching records there have to be, of which a call can have two; default 1
    pub min_calls: Option<u64>,
    /// Which calls; default all
    pub filter: Option<FilterInput>,
    /// Longest wait in s, 1 to 45; default 30
    #[schemars(range(min = 1, max = 45))]
    #[schema(minimum = 1, maximum = 45)]
    pub max_wait_s: Option<u64>,
    /// Seal the snapshot once settled; default true
    pub seal: Option<bool>,
}

/// What came of a wait. The counts are of what is stored: once the snapshot is sealed they stay so.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct WaitAnswer {
    /// Whether nothing more was to be expected.
    pub settled: bool,
    /// `idle`, `timeout`, `draining` (the hub stops), or `sealed` (it was before).
    pub reason: &'static str,
    /// Whether the snapshot is sealed now.
    pub sealed: bool,
    /// Records of ended calls that match, as a list has them: two of a call that both sides recorded.
    pub calls: u64,
    /// Those of them that were recorded beside the callee.
    pub inbound: u64,
    /// Those that were recorded beside the caller.
    pub outbound: u64,
    /// Calls that match and still run, without health checks and streams.
    pub in_flight: u64,
    /// Sidecars that handed over what they had.
    pub sidecars_flushed: u64,
    /// Connected sidecars that were asked to.
    pub sidecars: u64,
    /// What may be missing.
    pub blind_spots: Vec<String>,
    /// What to do next.
    pub next: String,
}

/// Snapshots, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotsAnswer {
    /// The snapshots.
    pub snapshots: Vec<SnapshotJson>,
    /// Always `null`: there are never more than fit.
    pub next: Option<String>,
    /// What may be missing.
    pub coverage: Coverage,
}

/// A snapshot that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedAnswer {
    /// Its id.
    pub deleted: String,
}

/// `POST /api/v1/snapshots`
#[utoipa::path(
    post, path = "/api/v1/snapshots", operation_id = "snapshot_start",
    summary = "Begin a named window over recorded calls, kept from expiry",
    request_body = Option<StartRequest>,
    responses(
        (status = 201, body = SnapshotJson, description = "The snapshot"),
        (status = 400, body = ErrorBody, description = "The request is wrong; the error names the field"),
        (status = 403, body = ErrorBody, description = "It names what the caller may not see"),
        (status = 409, body = ErrorBody, description = "There are as many snapshots as a hub keeps"),
    )
)]
pub async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<SnapshotJson>), ApiError> {
    let request: StartRequest = read_body(&body)?;
    let made = snapshot::start(&app, &caller.scope, request).await?;
    let json = SnapshotJson::of(&app, &caller.scope, &made).await?;
    Ok((StatusCode::CREATED, Json(json)))
}

/// `GET /api/v1/snapshots`
#[utoipa::path(
    get, path = "/api/v1/snapshots", operation_id = "snapshot_list",
    summary = "Snapshots, the oldest first",
    responses((status = 200, body = SnapshotsAnswer, description = "The snapshots"))
)]
pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<SnapshotsAnswer>, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let mut snapshots = Vec::new();
    for snapshot in snapshot::list(&app, &caller.scope).await? {
        snapshots.push(SnapshotJson::of(&app, &caller.scope, &snapshot).await?);
    }
    Ok(Json(SnapshotsAnswer {
        snapshots,
        next: None,
        coverage: Coverage::of(&app, &caller.scope, Window::default()).await?,
    }))
}

/// `GET /api/v1/snapshots/{id}`
#[utoipa::path(
    get, path = "/api/v1/snapshots/{id}", operation_id = "snapshot",
    summary = "One snapshot",
    params(("id" = String, Path, description = "Its id, such as snp_abcdefghijklmnop")),
    responses(
        (status = 200, body = SnapshotJson, description = "The snapshot"),
        (status = 404, body = ErrorBody, description = "There is none, or it has expired"),
    )
)]
pub async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<SnapshotJson>, ApiError> {
    let found = snapshot::find(&app, &caller.scope, &id).await?;
    SnapshotJson::of(&app, &caller.scope, &found)
        .await
        .map(Json)
}

/// `DELETE /api/v1/snapshots/{id}`
#[utoipa::path(
    delete, path = "/api/v1/snapshots/{id}", operation_id = "snapshot_delete",
    summary = "Delete a snapshot and let go what it pins",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = DeletedAnswer, description = "It is gone"),
        (status = 403, body = ErrorBody, description = "It holds what the caller may not see"),
        (status = 404, body = ErrorBody, description = "There is none, or it has expired"),
    )
)]
pub async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<DeletedAnswer>, ApiError> {
    let gone = snapshot::delete(&app, &caller.scope, &id).await?;
    Ok(Json(DeletedAnswer {
        deleted: gone.id.to_string(),
    }))
}

/// `POST /api/v1/snapshots/{id}/wait`
#[utoipa::path(
    post, path = "/api/v1/snapshots/{id}/wait", operation_id = "snapshot_wait",
    summary = "Wait until its calls have settled, and seal it",
    params(
        ("id" = String, Path, description = "Its id"),
        ("format" = Option<String>, Query, description = "json (default), or ndjson: a line with progress each second, and the answer (or an error) as the last line"),
    ),
    request_body = Option<WaitRequest>,
    responses(
        (status = 200, description = "What came of it, settled or not", content((WaitAnswer = "application/json"), (WaitAnswer = "application/x-ndjson"))),
        (status = 400, body = ErrorBody, description = "The request is wrong; the error names the field"),
        (status = 403, body = ErrorBody, description = "It holds what the caller may not see"),
        (status = 404, body = ErrorBody, description = "There is none, or it has expired"),
        (status = 503, body = ErrorBody, description = "Too many callers wait, or the store failed"),
    )
)]
pub async fn wait(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), &["format"])?;
    let lines = params.word("format", &[("json", false), ("ndjson", true)], false)?;
    let wait = read_body::<WaitRequest>(&body)?.check()?;
    let found = snapshot::find(&app, &caller.scope, &id).await?;
    let (progress, watched) = watch::channel(Progress::default());
    if lines {
        let (sender, body) = Channel::<Bytes, Infallible>::new(LINES_AHEAD);
        let waiting = Waiting {
            app,
            scope: caller.scope,
            snapshot: found,
            wait,
        };
        tokio::spawn(waiting.send_lines(progress, watched, sender));
        let mut response = Body::new(body).into_response();
        let kind = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return Ok(response);
    }
    let settled = barrier::wait(&app, &caller.scope, found, &wait, &progress).await?;
    Ok(Json(WaitAnswer::of(&settled, next_path)).into_response())
}

/// A wait that is told of line by line.
struct Waiting {
    app: App,
    scope: Scope,
    snapshot: Snapshot,
    wait: Wait,
}

impl Waiting {
    /// Ends early when the caller hangs up.
    async fn send_lines(
        self,
        progress: watch::Sender<Progress>,
        watched: watch::Receiver<Progress>,
        mut sender: Sender<Bytes>,
    ) {
        let settled = barrier::wait(&self.app, &self.scope, self.snapshot, &self.wait, &progress);
        let mut settled = std::pin::pin!(settled);
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let line = tokio::select! {
                settled = settled.as_mut() => {
                    let last = match settled {
                        Ok(settled) => json!(WaitAnswer::of(&settled, next_path)),
                        Err(error) => error.to_json(),
                    };
                    // The caller may have hung up.
                    let _ = sender.send_data(format!("{last}\n").into()).await;
                    return;
                }
                _ = ticks.tick() => progress_line(*watched.borrow()),
            };
            if sender.send_data(line.into()).await.is_err() {
                return;
            }
        }
    }
}

fn progress_line(progress: Progress) -> String {
    let line = json!({"progress": {
        "calls": progress.calls, "in_flight": progress.in_flight,
        "sidecars_flushed": progress.flushed, "sidecars": progress.sidecars,
        "message": progress.message(),
    }});
    format!("{line}\n")
}

fn next_path(snapshot: &Snapshot, settled: bool) -> String {
    let id = &snapshot.id;
    match settled {
        true => format!("GET /api/v1/summary?snapshot={id}"),
        false => format!("POST /api/v1/snapshots/{id}/wait"),
    }
}

impl WaitRequest {
    /// What is waited for.
    ///
    /// # Errors
    ///
    /// A field has a value that it does not take.
    pub fn check(self) -> Result<Wait, ApiError> {
        let idle_ms = within("idle_ms", self.idle_ms, DEFAULT_IDLE_MS, IDLE_MS)?;
        let wait_s = within(
            "max_wait_s",
            self.max_wait_s,
            DEFAULT_WAIT_S,
            1..=LONGEST_WAIT_S,
        )?;
        Ok(Wait {
            filter: FilterInput::read(self.filter)?,
            idle: Duration::from_millis(idle_ms),
            min_calls: self.min_calls.unwrap_or(1),
            patience: Duration::from_secs(wait_s),
            seal: self.seal.unwrap_or(true),
        })
    }
}

impl WaitAnswer {
    /// What is told of a wait; `next` names the step after it.
    pub fn of(settled: &Settled, next: impl Fn(&Snapshot, bool) -> String) -> Self {
        Self {
            settled: settled.reason.settled(),
            reason: settled.reason.as_str(),
            sealed: settled.snapshot.seal.is_some(),
            calls: settled.inbound + settled.outbound,
            inbound: settled.inbound,
            outbound: settled.outbound,
            in_flight: settled.progress.in_flight,
            sidecars_flushed: settled.progress.flushed,
            sidecars: settled.progress.sidecars,
            blind_spots: settled.blind_spots.clone(),
            next: next(&settled.snapshot, settled.reason.settled()),
        }
    }
}

fn within(
    field: &'static str,
    given: Option<u64>,
    default: u64,
    bounds: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    match given {
        None => Ok(default),
        Some(number) if bounds.contains(&number) => Ok(number),
        Some(number) => Err(ApiError::bad_request(
            "bad_parameter",
            format!(
                "{field} is {number}; it takes a number from {} to {}",
                bounds.start(),
                bounds.end()
            ),
        )
        .field(field)),
    }
}
