//! `GET /api/v1/calls/{id}`: one call, whole.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use remora_store::call::{BadCallId, CallId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::query::ask;
use crate::app::App;
use crate::auth::Caller;
use crate::call_json::CallJson;
use crate::coverage::{Coverage, Window};
use crate::error::{ApiError, ErrorBody};
use crate::fields::Fields;
use crate::metrics::Asked;
use crate::params::Params;
use crate::related::Related;

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallAnswer {
    /// The call, with the fields that were asked for.
    #[serde(flatten)]
    #[schema(value_type = CallJson)]
    pub call: Value,
    /// What may be missing.
    pub coverage: Coverage,
}

/// `GET /api/v1/calls/{id}`
#[utoipa::path(
    get, path = "/api/v1/calls/{id}", operation_id = "call",
    summary = "One call, whole",
    params(
        ("id" = String, Path, description = "Name of the call, such as c12-7"),
        ("fields" = Option<String>, Query, description = "Comma list of the parts to show, such as id,request.headers"),
    ),
    responses(
        (status = 200, body = CallAnswer, description = "The call"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 404, body = ErrorBody, description = "There is no such call, or it was forgotten"),
    )
)]
pub async fn call(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<CallAnswer>, ApiError> {
    let params = Params::parse(query.as_deref(), &["fields"])?;
    let fields = Fields::parse(params.text("fields"))?.read_by(&app.descriptors.now());
    let id = read_id(id)?;
    let found = ask(&app, Asked::Get, app.store.get(&caller.scope, id)).await?;
    let Some(found) = found else {
        return Err(
            ApiError::not_found("no_such_call", format!("there is no call {id}"))
                .field("id")
                .hint("it was never recorded here, or it is older than what the hub keeps"),
        );
    };
    let window = Window {
        since_ns: Some(found.call.time_ns),
        until_ns: Some(found.call.time_ns.saturating_add(1)),
    };
    let related = match fields.show_relations() {
        true => Related::of(&app, &caller.scope, &found).await?,
        false => Related::default(),
    };
    Ok(Json(CallAnswer {
        call: fields.select_related(&found, related),
        coverage: Coverage::of(&app, &caller.scope, window).await?,
    }))
}

/// Reads the name of a call in a path.
///
/// # Errors
///
/// It is none.
pub(super) fn read_id(id: Result<Path<String>, PathRejection>) -> Result<CallId, ApiError> {
    let Path(id) = id.map_err(|error| bad_id(error.body_text()))?;
    id.parse()
        .map_err(|error: BadCallId| bad_id(error.to_string()))
}

fn bad_id(message: String) -> ApiError {
    ApiError::bad_request("bad_call_id", message).field("id")
}
