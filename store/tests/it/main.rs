//! Integration tests of the stores.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail, and then says where"
)]

mod agreement;
mod conformance;
mod crash;
mod damage;
mod full;
mod merge;
mod snapshots;
mod support;
