//! What customers see: orders, the catalog, and the checkout.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Build, Caller, Failure, answer};

/// By which the storefront is known to the inventory.
const RATES_KEY: &str = "key-of-the-storefront-5c1f9a";

/// Where the storefront finds the services behind it.
#[derive(Debug, Clone)]
pub(in super::super) struct Storefront {
    caller: Caller,
    build: Build,
    orders: SocketAddr,
    inventory: SocketAddr,
    /// The catalog, once it was asked for.
    catalog: Arc<OnceCell<(u16, Value)>>,
}

impl Storefront {
    pub(in super::super) fn new(
        caller: Caller,
        build: Build,
        orders: SocketAddr,
        inventory: SocketAddr,
    ) -> Self {
        Self {
            caller,
            build,
            orders,
            inventory,
            catalog: Arc::default(),
        }
    }
}

/// The pages of the shop.
pub(in super::super) fn service(state: Storefront) -> Router {
    Router::new()
        .route("/api/orders/{id}", get(show_order))
        .route("/api/catalog", get(show_catalog))
        .route("/api/checkout", post(check_out))
        .with_state(state)
}

async fn show_order(
    State(shop): State<Storefront>,
    Path(id): Path<u64>,
) -> Result<Response, Failure> {
    let path = format!("/orders/{id}");
    let (status, order) = shop
        .caller
        .call("GET", shop.orders, &path, None, None)
        .await?;
    answer(status, order)
}

/// The flawed shop has the catalog put together for each customer.
async fn show_catalog(State(shop): State<Storefront>) -> Result<Response, Failure> {
    let ask = || {
        shop.caller
            .call("GET", shop.inventory, "/catalog", None, None)
    };
    let (status, catalog) = match shop.build {
        Build::Flawed => ask().await?,
        Build::Fixed => shop.catalog.get_or_try_init(ask).await?.clone(),
    };
    answer(status, catalog)
}

/// The flawed shop asks for the rates of delivery once for each parcel, with its key in the URL, and sends
/// the customer's token on to whom it was not sent.
async fn check_out(
    State(shop): State<Storefront>,
    headers: HeaderMap,
    axum::Json(order): axum::Json<Value>,
) -> Result<Response, Failure> {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (rates, times, token) = match shop.build {
        Build::Flawed => (format!("/rates?api_key={RATES_KEY}"), 3, token),
        Build::Fixed => ("/rates".to_owned(), 1, None),
    };
    for _parcel in 0..times {
        shop.caller
            .call("GET", shop.inventory, &rates, None, None)
            .await?;
    }
    let order = Some(order);
    let (status, order) = shop
        .caller
        .call("POST", shop.orders, "/orders", token, order)
        .await?;
    answer(status, order)
}
