//! The injector: puts a sidecar beside the pods that ask for one.
//!
//! A pod and what is known of its namespace come in; a decision, a JSON patch and warnings come out
//! ([`inject`](fn@inject::inject)). That part is pure, and serves the webhook and `remora inject` alike. It never refuses
//! a pod: whatever cannot be injected starts as it is, and says why in `remora.dev/status`.
//!
//! The user's pod is patched, never written anew, so that fields this version does not know survive.

pub mod annotations;
mod bundles;
pub mod certificates;
pub mod check;
pub mod config;
pub mod decide;
pub mod events;
pub mod inject;
pub mod kubernetes;
pub mod maker;
pub mod manifests;
pub mod metrics;
pub mod patch;
pub mod pod;
pub mod quantity;
pub mod refusals;
pub mod server;
pub mod webhook;
pub mod workload;
