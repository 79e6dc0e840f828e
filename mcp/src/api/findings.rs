//! `GET /api/v1/findings`: what is wrong, without anybody having said what to expect.

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};

use crate::app::App;
use crate::auth::Caller;
use crate::checks::Kind;
use crate::error::{ApiError, ErrorBody};
use crate::params::Params;
use crate::tools::filter::FilterInput;
use crate::verify::{self, FindingsAnswer};

/// `GET /api/v1/findings`
#[utoipa::path(
    get, path = "/api/v1/findings", operation_id = "findings",
    summary = "What is wrong, the worst first, with evidence",
    params(
        ("snapshot" = Option<String>, Query, description = "Only what this snapshot holds: its id, or live:15m (default) for a window that ends now"),
        ("checks" = Option<String>, Query, description = "Comma list of the checks to make, such as retries,connections; default all that need no expectation"),
        ("filter" = Option<String>, Query, description = "CEL over one call: look only at these"),
    ),
    responses(
        (status = 200, body = FindingsAnswer, description = "The findings"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 404, body = ErrorBody, description = "There is no such snapshot"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn findings(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<FindingsAnswer>, ApiError> {
    let params = Params::parse(query.as_deref(), &["snapshot", "checks", "filter"])?;
    let names = params.text("checks").map(|names| names.split(','));
    let kinds = match names {
        None => Kind::FINDERS.to_vec(),
        Some(names) => names
            .map(|name| Kind::read_finder(name.trim(), "checks"))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let filter = params.text("filter").map(FilterInput::of_cel);
    let snapshot = params.text("snapshot");
    let answer = verify::find(&app, &caller.scope, snapshot, &kinds, filter).await?;
    Ok(Json(answer))
}
