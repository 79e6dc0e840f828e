//! `/api/v1/faults`: faults begun, listed and stopped.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::body::read_body;
use crate::app::App;
use crate::auth::Caller;
use crate::coverage::{Coverage, Window};
use crate::error::{ApiError, ErrorBody};
use crate::faults::answer::{FaultAnswer, FaultJson, StoppedAnswer};
use crate::faults::request::FaultRequest;
use crate::faults::{self};
use crate::params::Params;

/// Largest body of a request, in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;

/// Faults, the oldest first; for ten minutes also those that have ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct FaultsAnswer {
    /// The faults.
    pub faults: Vec<FaultJson>,
    /// Always `null`: there are never more than fit.
    pub next: Option<String>,
    /// What may be missing.
    pub coverage: Coverage,
}

/// `POST /api/v1/faults`
#[utoipa::path(
    post, path = "/api/v1/faults", operation_id = "fault_start",
    summary = "Have the sidecars of a workload fail, delay, reset or slow down calls for a while",
    request_body = FaultRequest,
    responses(
        (status = 201, body = FaultAnswer, description = "It acts; or will, in the sidecars that have not answered"),
        (status = 400, body = ErrorBody, description = "The request is wrong; the error names the field"),
        (status = 403, body = ErrorBody, description = "The caller may not create faults there"),
        (status = 404, body = ErrorBody, description = "No sidecar of such a workload is connected"),
        (status = 409, body = ErrorBody, description = "The workload allows no faults, or has as many as a sidecar holds"),
    )
)]
pub async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<FaultAnswer>), ApiError> {
    let request: FaultRequest = read_body(&body)?;
    let begun = faults::start(&app, &caller, request).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

/// `GET /api/v1/faults`
#[utoipa::path(
    get, path = "/api/v1/faults", operation_id = "fault_list",
    summary = "Faults that act, and those that ended in the last ten minutes, with what they did",
    responses((status = 200, body = FaultsAnswer, description = "The faults"))
)]
pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<FaultsAnswer>, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Ok(Json(FaultsAnswer {
        faults: faults::list(&app, &caller.scope).await,
        next: None,
        coverage: Coverage::of(&app, &caller.scope, Window::default()).await?,
    }))
}

/// `DELETE /api/v1/faults/{id}`
#[utoipa::path(
    delete, path = "/api/v1/faults/{id}", operation_id = "fault_stop",
    summary = "End a fault before its time",
    params(("id" = String, Path, description = "Its id, such as f-7b1c09e4")),
    responses(
        (status = 200, body = StoppedAnswer, description = "It ends; one that had ended stays so"),
        (status = 403, body = ErrorBody, description = "The caller may not create faults there"),
        (status = 404, body = ErrorBody, description = "There is none, or it ended a while ago"),
    )
)]
pub async fn stop(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<StoppedAnswer>, ApiError> {
    faults::stop(&app, &caller, &id).await.map(Json)
}
