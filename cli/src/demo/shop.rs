//! The demo's shop: four small services that call each other over plain HTTP.
//!
//! ```text
//! customers ─▶ storefront ─▶ orders ─▶ inventory
//!                                  └─▶ payments
//! ```
//!
//! The services know nothing of Remora: each calls the address it was given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ledger::{Entry, Ledger};
use crate::http::Client;

/// The token that customers log in with. The demo shows that it never reaches the hub.
pub(super) const CUSTOMER_TOKEN: &str = "shop-customer-4711-secret-token";

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

/// Stock by article.
pub(super) fn inventory() -> Router {
    Router::new().route(
        "/items/{sku}",
        get(|Path(sku): Path<u64>| async move {
            if sku > 100 {
                return (
                    StatusCode::NOT_FOUND,
                    axum::Json(json!({"error": "no such item", "sku": sku})),
                );
            }
            let item = json!({"sku": sku, "name": format!("item {sku}"), "in_stock": sku % 7});
            (StatusCode::OK, axum::Json(item))
        }),
    )
}

/// Charges cards; every fifth charge fails at first, as payment providers do.
pub(super) fn payments() -> Router {
    let charges = Arc::new(AtomicU64::new(0));
    Router::new().route(
        "/charge",
        post(move |axum::Json(charge): axum::Json<Value>| {
            let number = charges.fetch_add(1, Ordering::Relaxed);
            async move {
                if number % 5 == 4 {
                    let busy = json!({"error": "provider is busy"});
                    return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(busy));
                }
                let receipt =
                    json!({"receipt": format!("r-{number}"), "amount": charge.get("amount")});
                (StatusCode::CREATED, axum::Json(receipt))
            }
        }),
    )
}

/// Where the orders service finds the services behind it.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) caller: Caller,
    pub(super) inventory: SocketAddr,
    pub(super) payments: SocketAddr,
}

/// Orders: each lookup asks for the stock of its articles, each new order is charged.
pub(super) fn orders(state: Orders) -> Router {
    Router::new()
        .route("/orders/{id}", get(show_order))
        .route("/orders", post(place_order))
        .with_state(state)
}

async fn show_order(State(shop): State<Orders>, Path(id): Path<u64>) -> Result<Response, Failure> {
    let mut items = Vec::new();
    for sku in (0..3).map(|n| id * 3 + n) {
        let (_, item) = shop
            .caller
            .call("GET", shop.inventory, &format!("/items/{sku}"), None, None)
            .await?;
        items.push(item);
    }
    let order = json!({"id": id, "items": items});
    let headers = [("cache-control", HeaderValue::from_static("max-age=60"))];
    Ok((headers, axum::Json(order)).into_response())
}

async fn place_order(
    State(shop): State<Orders>,
    headers: HeaderMap,
    axum::Json(order): axum::Json<Value>,
) -> Result<Response, Failure> {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let charge = json!({"amount": order.get("amount"), "card_number": order.get("card_number")});
    for _attempt in 0..2 {
        let (status, receipt) = shop
            .caller
            .call(
                "POST",
                shop.payments,
                "/charge",
                token,
                Some(charge.clone()),
            )
            .await?;
        if status < 500 {
            return Ok(
                (StatusCode::CREATED, axum::Json(json!({"receipt": receipt}))).into_response(),
            );
        }
    }
    Ok((
        StatusCode::BAD_GATEWAY,
        axum::Json(json!({"error": "payment failed"})),
    )
        .into_response())
}

/// Where the storefront finds the service behind it.
#[derive(Debug, Clone)]
pub(super) struct Storefront {
    pub(super) caller: Caller,
    pub(super) orders: SocketAddr,
}

/// What customers see.
pub(super) fn storefront(state: Storefront) -> Router {
    Router::new()
        .route("/api/orders/{id}", get(storefront_show))
        .route("/api/checkout", post(storefront_checkout))
        .with_state(state)
}

async fn storefront_show(
    State(shop): State<Storefront>,
    Path(id): Path<u64>,
) -> Result<Response, Failure> {
    let (status, order) = shop
        .caller
        .call("GET", shop.orders, &format!("/orders/{id}"), None, None)
        .await?;
    answer(status, order)
}

async fn storefront_checkout(
    State(shop): State<Storefront>,
    headers: HeaderMap,
    axum::Json(order): axum::Json<Value>,
) -> Result<Response, Failure> {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (status, order) = shop
        .caller
        .call("POST", shop.orders, "/orders", token, Some(order))
        .await?;
    answer(status, order)
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
