//! `GET /api/v1/compare`: how two stretches of traffic differ.

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};

use crate::app::App;
use crate::auth::Caller;
use crate::compare::{self, CompareAnswer, CompareRequest};
use crate::error::{ApiError, ErrorBody};
use crate::params::Params;
use crate::tools::filter::FilterInput;

/// `GET /api/v1/compare`
#[utoipa::path(
    get, path = "/api/v1/compare", operation_id = "compare",
    summary = "What is new, gone, slower or fails more on one side than on the other",
    params(
        ("base" = String, Query, description = "What it was: the id of a snapshot, a window such as live:2h, or workload@revision"),
        ("head" = String, Query, description = "What it is now: the same"),
        ("snapshot" = Option<String>, Query, description = "Where revisions are looked for: the id of a snapshot, or live:15m (default)"),
        ("filter" = Option<String>, Query, description = "CEL over one call: look only at these"),
    ),
    responses(
        (status = 200, body = CompareAnswer, description = "The differences"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 404, body = ErrorBody, description = "There is no such snapshot"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn compare(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<CompareAnswer>, ApiError> {
    let params = Params::parse(query.as_deref(), &["base", "head", "snapshot", "filter"])?;
    let needed = |field: &'static str| {
        params.text(field).map(str::to_owned).ok_or_else(|| {
            let error = ApiError::bad_request("missing_parameter", format!("{field} is missing"));
            error
                .field(field)
                .hint("the id of a snapshot, live:2h, or workload@revision")
        })
    };
    let request = CompareRequest {
        base: needed("base")?,
        head: needed("head")?,
        snapshot: params.text("snapshot").map(str::to_owned),
        filter: params.text("filter").map(FilterInput::of_cel),
    };
    Ok(Json(compare::compare(&app, &caller.scope, request).await?))
}
