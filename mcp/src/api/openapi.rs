//! `GET /openapi.json`: the contract of the API, generated from the code that fulfils it.

use axum::Json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{Modify, OpenApi};

use crate::api::{
    call, calls, compare, faults, findings, map, snapshots, status, summary, tree, verify,
};
use crate::error::ErrorBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Remora",
        description = "Real calls of real programs, as the sidecars beside them saw them on the wire.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        status::status, calls::calls, call::call, tree::tree, summary::summary, map::map,
        snapshots::start, snapshots::list, snapshots::one, snapshots::wait, snapshots::delete,
        findings::findings, verify::verify, compare::compare,
        faults::start, faults::list, faults::stop,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Selectable)
)]
struct Contract;

/// The schemas of a call and its parts, of which `fields=` shows some.
const SELECTABLE: &[&str] = &[
    "Call",
    "Joined",
    "Parent",
    "Party",
    "Message",
    "Phases",
    "Connection",
    "Tls",
    "Opaque",
    "Grpc",
    "Http2",
    "Sql",
    "SqlError",
    "Redis",
    "MessageCounts",
];

/// Takes back that a call has all its parts: `fields=` leaves out what was not asked for.
struct Selectable;

impl Modify for Selectable {
    fn modify(&self, contract: &mut utoipa::openapi::OpenApi) {
        let Some(components) = &mut contract.components else {
            return;
        };
        for name in SELECTABLE {
            if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(*name) {
                object.required.clear();
            }
        }
    }
}

/// `GET /openapi.json`
pub async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(contract())
}

/// The contract as a document.
pub fn contract() -> utoipa::openapi::OpenApi {
    Contract::openapi()
}
