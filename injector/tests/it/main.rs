//! The injector from the outside: pods that people run, and pods that nobody would think of.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has failed, and nothing here is anybody's interface"
)]

mod chart;
mod people_run;
mod random_pods;
mod rotation;
mod support;
