//! The demo's shop: four small services that call each other over plain HTTP, and the stores behind them.
//!
//! ```text
//! customers ─▶ storefront ─▶ orders ─▶ inventory
//!                       │          ├─▶ payments
//!                       │          └─▶ postgres
//!                       ├─▶ inventory
//!                       └─▶ redis
//! ```
//!
//! The services know nothing of Remora: each calls the address it was given. Each has what is wrong with it
//! on purpose beside what it would be like if somebody had mended it.

pub(super) mod backends;
pub(super) mod orders;
pub(super) mod storefront;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ledger::{Entry, Ledger};
use crate::http::Client;

/// The token that customers log in with. The demo shows that it never reaches the hub.
pub(super) const CUSTOMER_TOKEN: &str = "shop-customer-4711-secret-token";

/// Whether the shop is as its authors left it, or mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    Flawed,
    Fixed,
}

/// What a service needs in order to call another one.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client,
    ledger: Ledger,
    /// Whether this caller has a sidecar.
    recorded: bool,
    next_request: Arc<AtomicU64>,
    name: &'static str,
}

impl Caller {
    pub(super) fn new(name: &'static str, ledger: Ledger, recorded: bool) -> Self {
        Self {
            client: Client::new(),
            ledger,
            recorded,
            next_request: Arc::default(),
            name,
        }
    }

    /// The same caller on connections that are used once.
    pub(super) fn without_reuse(&self) -> Self {
        Self {
            client: Client::without_reuse(),
            ..self.clone()
        }
    }

    /// Calls another service and writes the call into the ledger.
    pub(super) async fn call(
        &self,
        method: &'static str,
        to: SocketAddr,
        target: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("{}-{number}", self.name);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{to}{target}"))
            .header("x-request-id", &request_id)
            .header(
                "user-agent",
                concat!("remora-shop/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let answer = self.client.send(request.body(Full::from(body))?).await?;
        let status = answer.status().as_u16();
        self.ledger.write(Entry {
            request_id,
            method,
            target: target.to_owned(),
            status,
            caller_recorded: self.recorded,
        });
        Ok((
            status,
            serde_json::from_slice(answer.body()).unwrap_or(Value::Null),
        ))
    }
}

/// A listener for a service, on a free port.
pub(super) async fn bind() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("bind a port for the shop")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until the task is aborted.
pub(super) fn serve(listener: TcpListener, service: Router) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "a service of the demo's shop ended");
        }
    })
}

fn answer(status: u16, body: Value) -> Result<Response, Failure> {
    let status = StatusCode::from_u16(status).context("read status")?;
    Ok((status, axum::Json(body)).into_response())
}

/// A call to the service behind failed; the caller gets a 502 that says so.
struct Failure(anyhow::Error);

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error": format!("{:#}", self.0)});
        (StatusCode::BAD_GATEWAY, axum::Json(body)).into_response()
    }
}
