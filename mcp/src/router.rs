//! Every route of the hub, grouped by who calls it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};

use remora_store::filter::nearest;

use crate::app::App;
use crate::auth::{Gate, admit, identify, recognise};
use crate::error::ApiError;
use crate::params::quoted;
use crate::writer::prove;
use crate::{access, api, control, ingest, metrics};

/// The paths that people and models ask; what an unknown path is compared with.
const API_PATHS: &[&str] = &[
    "/",
    "/api/v1/status",
    "/api/v1/calls",
    "/api/v1/calls/{id}",
    "/api/v1/calls/{id}/tree",
    "/api/v1/summary",
    "/api/v1/map",
    "/api/v1/snapshots",
    "/api/v1/snapshots/{id}",
    "/api/v1/snapshots/{id}/wait",
    "/api/v1/findings",
    "/api/v1/compare",
    "/api/v1/verify",
    "/api/v1/faults",
    "/api/v1/faults/{id}",
    "/openapi.json",
    "/mcp",
    "/metrics",
    "/healthz",
    "/readyz",
];

/// The paths that sidecars ask.
const INGEST_PATHS: &[&str] = &["/ingest/v1/blocks", "/ingest/v1/control"];

/// What is served on the port for people and models, with `mcp` as the MCP endpoint.
pub fn api(app: App, gate: Gate, mcp: MethodRouter<App>) -> Router {
    let guard = (gate, app.clone());
    let asked = Router::new()
        .route("/api/v1/status", get(api::status::status))
        .route("/api/v1/calls", get(api::calls::calls))
        .route("/api/v1/calls/{id}", get(api::call::call))
        .route("/api/v1/calls/{id}/tree", get(api::tree::tree))
        .route("/api/v1/summary", get(api::summary::summary))
        .route("/api/v1/map", get(api::map::map))
        .route("/api/v1/findings", get(api::findings::findings))
        .route("/api/v1/compare", get(api::compare::compare))
        .route(
            "/api/v1/verify",
            post(api::verify::verify).layer(DefaultBodyLimit::max(api::verify::REQUEST_BYTES)),
        )
        .merge(snapshots())
        .merge(faults())
        .route("/openapi.json", get(api::openapi::openapi))
        .route("/mcp", mcp)
        .fallback(|uri: Uri| async move { unknown_path(&uri, API_PATHS) })
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(guard.clone(), admit));
    // For kubelet and Prometheus, which come by the pod's address and have no token; and for MCP
    // clients that were refused without one: told plainly that nobody here gives out tokens, they ask
    // their user instead of trying to register.
    let open = Router::new()
        .route(
            "/.well-known/{*name}",
            get(|uri: Uri| async move { unknown_path(&uri, API_PATHS) }),
        )
        .route(
            "/metrics",
            get(metrics::metrics).layer(from_fn_with_state(guard, recognise)),
        )
        .route("/", get(api::page::page))
        .route("/healthz", get(api::health::healthz))
        .route("/readyz", get(api::health::readyz))
        .method_not_allowed_fallback(wrong_method);
    asked
        .merge(open)
        .layer(from_fn(access::log))
        .with_state(app)
}

fn snapshots() -> Router<App> {
    use api::snapshots;
    Router::new()
        .route(
            "/api/v1/snapshots",
            get(snapshots::list).post(snapshots::start),
        )
        .route(
            "/api/v1/snapshots/{id}",
            get(snapshots::one).delete(snapshots::delete),
        )
        .route("/api/v1/snapshots/{id}/wait", post(snapshots::wait))
        .layer(DefaultBodyLimit::max(snapshots::REQUEST_BYTES))
}

fn faults() -> Router<App> {
    use api::faults;
    Router::new()
        .route("/api/v1/faults", get(faults::list).post(faults::start))
        .route("/api/v1/faults/{id}", delete(faults::stop))
        .layer(DefaultBodyLimit::max(faults::REQUEST_BYTES))
}

/// What is served on the port for sidecars.
pub fn ingest(app: App, gate: Gate) -> Router {
    Router::new()
        // The handler has its own limit, which it takes room for before it reads.
        .route(
            "/ingest/v1/blocks",
            post(ingest::blocks).layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/ingest/v1/control",
            get(control::control)
                .post(control::control)
                .layer(DefaultBodyLimit::max(control::QUESTION_BYTES)),
        )
        .fallback(|uri: Uri| async move { unknown_path(&uri, INGEST_PATHS) })
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), prove))
        .layer(from_fn_with_state(gate, identify))
        .layer(from_fn(access::log))
        .with_state(app)
}

fn unknown_path(uri: &Uri, known: &'static [&'static str]) -> ApiError {
    let error = ApiError::not_found(
        "unknown_path",
        format!("there is no path {}", quoted(uri.path())),
    );
    match nearest(uri.path(), known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("the paths are {}", known.join(", "))),
    }
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let allowed = match path.strip_prefix("/api/v1/snapshots") {
        Some("") => "GET, HEAD, POST",
        Some(rest) if rest.ends_with("/wait") => "POST",
        Some(_) => "GET, HEAD, DELETE",
        None if matches!(path, "/ingest/v1/blocks" | "/api/v1/verify") => "POST",
        None if matches!(path, "/ingest/v1/control" | "/api/v1/faults") => "GET, HEAD, POST",
        None if path.starts_with("/api/v1/faults/") => "DELETE",
        None => "GET, HEAD",
    };
    let error = ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} is not asked with {method}", quoted(uri.path())),
    );
    let mut response = error.hint(format!("use {allowed}")).into_response();
    response
        .headers_mut()
        .insert(header::ALLOW, axum::http::HeaderValue::from_static(allowed));
    response
}
