//! The hub: it takes in the blocks of the sidecars, keeps them, and answers questions about them.
//!
//! Two ports. The ingest port is for sidecars: [`ingest`] takes their blocks and [`control`] tells
//! them what to do. The other one is for people and models: [`api`] over plain HTTP, and [`mcp`], which
//! wraps the functions of [`tools`]. Every route is in [`router`], and who may ask for what in
//! [`auth`]. Where calls are kept is behind [`remora_store::store::CallStore`].

mod access;
pub mod api;
mod app;
mod around;
pub mod auth;
pub mod call_json;
pub mod causality;
pub mod checks;
pub mod clock;
pub mod cluster;
pub mod compare;
pub mod completion;
pub mod confidence;
pub mod config;
pub mod control;
pub mod coverage;
pub mod descriptors;
pub mod error;
pub mod faults;
pub mod fields;
pub mod har;
mod hub;
pub mod ingest;
pub mod join;
pub mod keys;
pub mod mcp;
pub mod metrics;
pub mod params;
pub mod prompts;
pub mod reflection;
pub mod related;
pub mod resources;
mod retention;
pub mod router;
mod server;
pub mod snapshot;
pub mod tls;
pub mod tools;
pub mod traffic;
pub mod tree;
pub mod verify;
pub mod watches;
pub mod wire;
pub mod writer;

pub use config::{Config, Keep, Options};
pub use control::{Flushed, SidecarName};
pub use hub::{Hub, StartError, run};
