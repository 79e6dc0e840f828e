//! One line in the log for each request: what was asked and how it ended, never what was in it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// The layer that writes the line.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    // The route and not the path: a path may hold what somebody looked for.
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        target: "access",
        { http.method = %method, http.route = route, http.status = status, duration_ms },
        "request answered"
    );
    response
}
