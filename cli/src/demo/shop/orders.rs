//! Orders: each lookup asks the database for the order and for the stock of its articles, each new order is
//! charged.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::{Build, Caller, Failure};
use crate::demo::stores::postgres::{Order, Postgres};

/// Customers who have ordered, and how often each has.
const CUSTOMERS: i32 = 20;
const ORDERS_OF_EACH: i32 = 6;
/// Articles of an order.
const ARTICLES: u64 = 8;
/// Attempts at a charge.
const ATTEMPTS: u32 = 4;
/// The delay before the first of them that is not the first.
const DELAY: Duration = Duration::from_millis(200);

const TOTAL_OF_ORDER: &str = "SELECT total FROM orders WHERE id = $1";
const ORDER: &str = "SELECT id, customer, total FROM orders WHERE id = $1";
const IDS_OF_CUSTOMER: &str = "SELECT id FROM orders WHERE customer = $1";
const ORDERS_OF_CUSTOMER: &str = "SELECT id, customer, total FROM orders WHERE customer = $1";

/// Where the orders service finds the services behind it.
#[derive(Debug, Clone)]
pub(in super::super) struct Orders {
    pub(in super::super) caller: Caller,
    pub(in super::super) build: Build,
    pub(in super::super) inventory: SocketAddr,
    pub(in super::super) payments: SocketAddr,
    pub(in super::super) postgres: Postgres,
}

/// Orders that the shop has when it opens.
pub(in super::super) fn placed() -> Vec<Order> {
    let order = |id| Order {
        id,
        customer: id % CUSTOMERS,
        total: 1000 + id,
    };
    (0..CUSTOMERS * ORDERS_OF_EACH).map(order).collect()
}

/// Lookups of orders, and new ones.
pub(in super::super) fn service(state: Orders) -> Router {
    Router::new()
        .route("/orders/{id}", get(show))
        .route("/customers/{id}/orders", get(list))
        .route("/orders", post(place))
        .with_state(state)
}

async fn show(State(shop): State<Orders>, Path(id): Path<u64>) -> Result<Response, Failure> {
    let skus = (0..ARTICLES).map(|n| id * 3 + n);
    let items = match shop.build {
        Build::Flawed => shop.stock_of_each(skus).await?,
        Build::Fixed => shop.stock_of_all(skus).await?,
    };
    let total = shop.postgres.query(TOTAL_OF_ORDER, id).await?;
    let total = total.first().and_then(|row| row.first());
    let order = axum::Json(json!({"id": id, "total": total, "items": items}));
    Ok(match shop.build {
        Build::Flawed => order.into_response(),
        Build::Fixed => ([(CACHE_CONTROL, "max-age=60")], order).into_response(),
    })
}

/// The flawed shop asks for each order of a customer by itself.
async fn list(State(shop): State<Orders>, Path(customer): Path<u64>) -> Result<Response, Failure> {
    let orders = match shop.build {
        Build::Fixed => shop.postgres.query(ORDERS_OF_CUSTOMER, customer).await?,
        Build::Flawed => {
            let mut orders = Vec::new();
            for row in shop.postgres.query(IDS_OF_CUSTOMER, customer).await? {
                let id = row.first().and_then(|id| id.parse().ok());
                let id = id.context("read the number of an order")?;
                orders.extend(shop.postgres.query(ORDER, id).await?);
            }
            orders
        }
    };
    // What somebody has ordered is nobody else's business.
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(orders)).into_response())
}

impl Orders {
    /// A call for each article, on a connection of its own.
    async fn stock_of_each(&self, skus: impl Iterator<Item = u64>) -> anyhow::Result<Value> {
        let caller = self.caller.without_reuse();
        let mut items = Vec::new();
        for sku in skus {
            let path = format!("/items/{sku}");
            let (_, item) = caller
                .call("GET", self.inventory, &path, None, None)
                .await?;
            items.push(item);
        }
        Ok(items.into())
    }

    /// One call for all of them.
    async fn stock_of_all(&self, skus: impl Iterator<Item = u64>) -> anyhow::Result<Value> {
        let skus: Vec<String> = skus.map(|sku| sku.to_string()).collect();
        let path = format!("/items?skus={}", skus.join(","));
        let (_, items) = self
            .caller
            .call("GET", self.inventory, &path, None, None)
            .await?;
        Ok(items)
    }

    /// How long is waited before an attempt; the flawed shop forgets to multiply.
    fn delay_before(&self, attempt: u32) -> Duration {
        match self.build {
            Build::Flawed => DELAY,
            Build::Fixed => DELAY * 2_u32.pow(attempt.saturating_sub(1)),
        }
    }
}

async fn place(
    State(shop): State<Orders>,
    axum::Json(order): axum::Json<Value>,
) -> Result<Response, Failure> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(shop.delay_before(attempt)).await;
        }
        let charge = Some(order.clone());
        let (status, receipt) = shop
            .caller
            .call("POST", shop.payments, "/charge", None, charge)
            .await?;
        if status < 500 {
            let receipt = axum::Json(json!({"receipt": receipt}));
            return Ok((StatusCode::CREATED, receipt).into_response());
        }
    }
    let failed = axum::Json(json!({"error": "payment failed"}));
    Ok((StatusCode::BAD_GATEWAY, failed).into_response())
}
