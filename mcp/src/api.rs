//! The HTTP API: one file per resource, named like its URL.

mod body;
pub mod call;
pub mod calls;
pub mod compare;
pub mod faults;
pub mod findings;
pub mod health;
pub mod map;
pub mod openapi;
pub mod page;
pub mod query;
pub mod snapshots;
pub mod status;
pub mod summary;
pub mod tree;
pub mod verify;
