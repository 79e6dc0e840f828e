//! `POST /api/v1/verify`: expectations, judged.

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};

use crate::api::body::read_body;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ErrorBody};
use crate::verify::{self, VerifyAnswer, VerifyRequest};

/// Largest body of a request, in bytes.
pub const REQUEST_BYTES: usize = 256 * 1024;

/// `POST /api/v1/verify`
#[utoipa::path(
    post, path = "/api/v1/verify", operation_id = "verify",
    summary = "Whether what is expected of calls holds, with evidence",
    request_body = VerifyRequest,
    responses(
        (status = 200, body = VerifyAnswer, description = "The verdict, whatever it is"),
        (status = 400, body = ErrorBody, description = "The request is wrong; the error names the field"),
        (status = 404, body = ErrorBody, description = "There is no such snapshot"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn verify(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<VerifyAnswer>, ApiError> {
    let request: VerifyRequest = read_body(&body)?;
    Ok(Json(verify::verify(&app, &caller.scope, request).await?))
}
