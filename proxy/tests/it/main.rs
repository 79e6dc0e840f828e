//! What the sidecar does with real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod identity;
mod recording;
mod rig;
mod shutdown;
