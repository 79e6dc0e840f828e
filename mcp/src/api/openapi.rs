//! `GET /openapi.json`: the contract of the API, generated from the code that fulfils it.

use axum::Json;
use utoipa::OpenApi;

use crate::api::{call, calls, status, summary};
use crate::error::ErrorBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Remora",
        description = "Real calls of real programs, as the sidecars beside them saw them on the wire.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(status::status, calls::calls, call::call, summary::summary),
    components(schemas(ErrorBody))
)]
struct Contract;

/// `GET /openapi.json`
pub async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(contract())
}

/// The contract as a document.
pub fn contract() -> utoipa::openapi::OpenApi {
    Contract::openapi()
}
