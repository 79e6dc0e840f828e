//! A hub in this process, asked over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that goes wrong should stop where it does"
)]

mod api;
mod auth;
mod clients;
mod conformance;
mod control;
mod http;
mod hub;
mod ingest;
mod mcp;
mod retried;
mod shop;
mod store;
mod streams;
mod tls;
mod trouble;
