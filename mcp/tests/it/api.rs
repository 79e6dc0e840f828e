//! The HTTP API, a module per URL.

mod call;
mod calls;
mod compare;
mod fields;
mod ground;
mod health;
mod map;
mod metrics;
mod openapi;
mod page;
mod paths;
mod snapshots;
mod status;
mod summary;
mod tree;
mod verify;
