//! The services that call nobody: what is in stock, and who charges cards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::Build;
use crate::demo::stores::redis;

/// Articles from this number on are gone.
const GONE: u64 = 110;
/// How long the catalog takes to put together.
const CATALOG_TAKES: Duration = Duration::from_millis(8);
/// Of so many charges one finds the provider busy.
const BUSY_EVERY: u64 = 5;
/// So many attempts in a row find it so.
const BUSY_FOR: u64 = 3;

/// The names of all articles, as the shop keeps them in Redis.
pub(in super::super) fn articles() -> redis::Store {
    let store = redis::Store::default();
    for sku in 0..GONE {
        store.set(&format!("item:{sku}"), &item(sku).to_string());
    }
    store
}

/// Stock by article, one or several at a time; the catalog, and the rates of delivery.
pub(in super::super) fn inventory() -> Router {
    Router::new()
        .route(
            "/items/{sku}",
            get(|Path(sku): Path<u64>| async move { one(sku) }),
        )
        .route(
            "/items",
            get(|RawQuery(query): RawQuery| async move {
                axum::Json(several(&query.unwrap_or_default()))
            }),
        )
        .route(
            "/catalog",
            get(|| async {
                tokio::time::sleep(CATALOG_TAKES).await;
                axum::Json((0..20).map(item).collect::<Value>())
            }),
        )
        .route(
            "/rates",
            get(|| async { axum::Json(json!({"standard": 490, "express": 990})) }),
        )
}

/// Those of `skus=1,2,3` that are there.
fn several(query: &str) -> Value {
    let skus = query.strip_prefix("skus=").unwrap_or_default().split(',');
    let skus = skus.filter_map(|sku| sku.parse().ok());
    skus.filter(|sku| *sku < GONE).map(item).collect()
}

fn one(sku: u64) -> (StatusCode, axum::Json<Value>) {
    match sku < GONE {
        true => (StatusCode::OK, axum::Json(item(sku))),
        false => (
            StatusCode::NOT_FOUND,
            axum::Json(json!({"error": "no such item", "sku": sku})),
        ),
    }
}

fn item(sku: u64) -> Value {
    json!({"sku": sku, "name": format!("item {sku}"), "in_stock": sku % 7})
}

/// Charges cards. In the flawed shop every fifth charge finds the provider busy at first, and says when to
/// come again.
pub(in super::super) fn payments(build: Build) -> Router {
    let attempts = Arc::new(AtomicU64::new(0));
    Router::new().route(
        "/charge",
        post(move |axum::Json(charge): axum::Json<Value>| {
            let number = attempts.fetch_add(1, Ordering::Relaxed);
            async move {
                let busy = build == Build::Flawed && number % (BUSY_EVERY + BUSY_FOR) >= BUSY_EVERY;
                if busy {
                    let busy = axum::Json(json!({"error": "provider is busy"}));
                    let later = [(header::RETRY_AFTER, "1")];
                    return (StatusCode::SERVICE_UNAVAILABLE, later, busy).into_response();
                }
                let amount = charge.get("amount");
                let receipt = json!({"receipt": format!("r-{number}"), "amount": amount});
                (StatusCode::CREATED, axum::Json(receipt)).into_response()
            }
        }),
    )
}
