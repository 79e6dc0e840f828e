//! A stand-in for PostgreSQL: one table of orders, and version 3.0 of the protocol with simple and extended
//! queries.
//!
//! Knows `SELECT column, … FROM orders [WHERE column = value]` over columns that are whole numbers,
//! `SELECT 1`, and where a transaction begins and ends; anything else is answered with an error. Nobody
//! needs a password, and nothing is encrypted.

mod client;
mod query;
mod session;
mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(in super::super) use client::Postgres;

/// An order.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Order {
    pub(in super::super) id: i32,
    pub(in super::super) customer: i32,
    pub(in super::super) total: i32,
}

/// Serves clients until the task is aborted.
pub(in super::super) async fn serve(listener: TcpListener, orders: Vec<Order>) {
    let orders: Arc<[Order]> = orders.into();
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let orders = Arc::clone(&orders);
        clients.spawn(async move {
            // A client that breaks off, or says what is no message, is let go.
            if let Err(error) = session::attend(stream, &orders).await {
                tracing::debug!(%error, "a client of the demo's database left");
            }
        });
        while clients.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
