//! What customers see: orders, the catalog, and the checkout.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

use super::{Build, Caller, Failure, answer};
use crate::demo::stores::redis::Redis;

/// By which the storefront is known to the inventory.
const RATES_KEY: &str = "key-of-the-storefront-5c1f9a";
/// How long the mended shop keeps pages in Redis.
const ORDER_SECONDS: u32 = 3600;
const CATALOG_SECONDS: u32 = 3600;
/// Articles in the cart of every customer.
const IN_CART: std::ops::Range<u64> = 3..11;

/// Where the storefront finds the services behind it.
#[derive(Debug, Clone)]
pub(in super::super) struct Storefront {
    pub(in super::super) caller: Caller,
    pub(in super::super) build: Build,
    pub(in super::super) orders: SocketAddr,
    pub(in super::super) inventory: SocketAddr,
    pub(in super::super) redis: Redis,
}

/// The pages of the shop.
pub(in super::super) fn service(state: Storefront) -> Router {
    Router::new()
        .route("/api/orders/{id}", get(show_order))
        .route("/api/customers/{id}/orders", get(show_history))
        .route("/api/catalog", get(show_catalog))
        .route("/api/cart", get(show_cart))
        .route("/api/checkout", post(check_out))
        .with_state(state)
}

async fn show_order(
    State(shop): State<Storefront>,
    Path(id): Path<u64>,
) -> Result<Response, Failure> {
    let path = format!("/orders/{id}");
    shop.kept(&path, shop.orders, &path, ORDER_SECONDS).await
}

/// What a customer has ordered, which is nobody else's business.
async fn show_history(
    State(shop): State<Storefront>,
    Path(customer): Path<u64>,
) -> Result<Response, Failure> {
    let path = format!("/customers/{customer}/orders");
    let (status, orders) = shop
        .caller
        .call("GET", shop.orders, &path, None, None)
        .await?;
    let answer = answer(status, orders)?;
    Ok(([(CACHE_CONTROL, "no-store")], answer).into_response())
}

impl Storefront {
    /// The page behind this path of a service. The mended shop keeps it in Redis for a while.
    async fn kept(
        &self,
        key: &str,
        service: SocketAddr,
        path: &str,
        seconds: u32,
    ) -> Result<Response, Failure> {
        if self.build == Build::Fixed
            && let Some(kept) = self.redis.get(key).await?
        {
            return answer(
                200,
                serde_json::from_str(&kept).context("read a page in redis")?,
            );
        }
        let (status, page) = self.caller.call("GET", service, path, None, None).await?;
        if self.build == Build::Fixed && status == 200 {
            self.redis.set(key, &page.to_string(), seconds).await?;
        }
        answer(status, page)
    }
}

/// The flawed shop has the catalog put together for each customer.
async fn show_catalog(State(shop): State<Storefront>) -> Result<Response, Failure> {
    shop.kept("catalog", shop.inventory, "/catalog", CATALOG_SECONDS)
        .await
}

/// The flawed shop looks its articles up one by one.
async fn show_cart(State(shop): State<Storefront>) -> Result<Response, Failure> {
    let keys: Vec<String> = IN_CART.map(|sku| format!("item:{sku}")).collect();
    let items = match shop.build {
        Build::Fixed => shop.redis.get_all(&keys).await?,
        Build::Flawed => {
            let mut items = Vec::new();
            for key in &keys {
                items.push(shop.redis.get(key).await?);
            }
            items
        }
    };
    let items = items.into_iter().flatten();
    let items = items.map(|item| serde_json::from_str::<Value>(&item));
    let items: Vec<Value> = items
        .collect::<Result<_, _>>()
        .context("read an article in redis")?;
    answer(200, items.into())
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
