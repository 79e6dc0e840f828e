//! End to end: the built program, real processes, real sockets, real signals.
//!
//! Each file is one story. Tests that need a privilege or a program say so in one line when they
//! cannot run; with `REMORA_REQUIRE=all` that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has failed, and nothing here is anybody's interface"
)]

mod support;

mod access;
mod agreement;
mod annotations;
mod authorities;
mod barrier;
mod cache_story;
mod chart;
mod cluster;
mod command_line;
mod damage;
mod demo;
mod dialling;
mod faults;
mod forward;
mod full_speed;
mod goodbye;
mod house;
mod hub_away;
mod hub_blocked;
mod hub_drained;
mod hub_killed;
mod inject;
mod interception;
mod joined;
mod mcp_bridge;
mod mcp_kubernetes;
mod node;
mod open_calls;
mod over_tls;
mod postgres;
mod questions;
mod redirected;
mod redis;
mod reflection;
mod restarted_in_place;
mod run;
mod secrets;
mod sidecar_killed;
mod snapshots;
mod streams;
mod verdicts;
mod verify;
mod webhook;
