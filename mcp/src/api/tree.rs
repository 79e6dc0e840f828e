//! `GET /api/v1/calls/{id}/tree`: a call and what it caused.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};

use crate::api::query::sight;
use crate::app::App;
use crate::auth::Caller;
use crate::coverage::{Coverage, Window};
use crate::error::{ApiError, ErrorBody};
use crate::params::Params;
use crate::tree::Limits;
use crate::tree::answer::{Rooted, TreeJson};

/// Calls one below the other if nothing is said.
const DEFAULT_DEPTH: usize = 10;
/// Most of them.
const MOST_DEPTH: usize = 32;
/// Calls in an answer if nothing is said.
const DEFAULT_LIMIT: usize = 200;
/// Most of them.
const MOST: usize = 1_000;

/// A call and what it caused.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct TreeAnswer {
    /// The tree.
    #[serde(flatten)]
    pub tree: TreeJson,
    /// What may be missing.
    pub coverage: Coverage,
}

/// `GET /api/v1/calls/{id}/tree`
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/tree", operation_id = "tree",
    summary = "A call and what it caused, as far as it can be told",
    params(
        ("id" = String, Path, description = "Name of either leg of the call, such as c12-7"),
        ("snapshot" = Option<String>, Query, description = "Only what this snapshot holds: its id, or live:15m for a window that ends now; default: everything"),
        ("depth" = Option<usize>, Query, description = "Most calls one below the other, 1 to 32; default 10", minimum = 1, maximum = 32),
        ("limit" = Option<usize>, Query, description = "Most calls in the answer, 1 to 1000; default 200", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = TreeAnswer, description = "The call, and behind each call those that it caused"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 404, body = ErrorBody, description = "There is no such call, or it was forgotten, or it is not part of the snapshot"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn tree(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<TreeAnswer>, ApiError> {
    let params = Params::parse(query.as_deref(), &["snapshot", "depth", "limit"])?;
    let limits = Limits {
        depth: params.number("depth", 1..=MOST_DEPTH, DEFAULT_DEPTH)?,
        calls: params.number("limit", 1..=MOST, DEFAULT_LIMIT)?,
    };
    let id = super::call::read_id(id)?;
    let sight = sight(&app, &caller.scope, &params).await?;
    let rooted = Rooted::read(&app, &sight, id).await?;
    let window = Window {
        since_ns: Some(rooted.since_ns()),
        until_ns: Some(rooted.until_ns()),
    };
    Ok(Json(TreeAnswer {
        tree: rooted.json(limits),
        coverage: Coverage::of(&app, &sight.scope, window).await?,
    }))
}
