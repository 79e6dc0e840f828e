//! The seam between the engines and the records: bytes in, calls out.
//!
//! An observer sees both directions of one connection. It is synchronous and bounded, it never
//! waits, and it can neither stop nor change a byte.

use std::net::SocketAddr;

use remora_store::call::{Call, Leg};

/// What is known of a connection when it is accepted.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    /// Number of the connection within the incarnation, from 1.
    pub id: u64,
    /// Which side of its calls this sidecar is on.
    pub leg: Leg,
    /// The peer that connected to the sidecar.
    pub src: SocketAddr,
    /// Where the connection goes, as the client addressed it.
    pub dst: SocketAddr,
    /// Wall clock at accept: nanoseconds since the Unix epoch.
    pub accepted_ns: i64,
}

/// How much of a call an observer keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest part of a body that is kept, each way, in bytes; at least
    /// [`remora_store::call::BODY_DIGEST_PREFIX_BYTES`], since the digests are taken from what is
    /// kept. What the user's body limit forbids is cut off after the digests are taken.
    pub body_bytes: usize,
    /// Largest head that is parsed and kept, in bytes. Default 64 KiB.
    pub head_bytes: usize,
}

/// How one direction of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender closed its direction (FIN).
    Closed,
    /// The sender reset the connection (RST), or it broke.
    Reset,
}

/// A call on its way to the hub, with what it took from the budget.
#[derive(Debug)]
pub struct Recorded {
    /// The call.
    pub call: Call,
    /// Bytes to give back to the [`crate::budget::Budget`] when this record is gone.
    pub cost_bytes: usize,
}
