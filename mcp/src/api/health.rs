//! `GET /healthz` and `GET /readyz`, for kubelet: no token, no detail.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the hub takes blocks and is not about to stop.
pub async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if *app.draining.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the hub stops\n");
    }
    if !app.store.health().await.writable {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store takes no blocks; the hub's log says why\n",
        );
    }
    (StatusCode::OK, "ok\n")
}
