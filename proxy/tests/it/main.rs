//! What the sidecar does, seen from outside the crate.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod blocked;
mod corpus;
mod faults;
mod forward;
mod goodbye;
mod h2spec;
mod hub;
mod identity;
mod intercepted;
mod namespaced;
mod netns;
mod observed;
mod oracle;
mod oracle_http2;
mod overheard;
mod pki;
mod recording;
mod rig;
mod rules;
mod secrets;
mod ship;
mod ship_tls;
mod shipping;
mod shutdown;
mod sidecar;
mod terminated;
mod websocket;
