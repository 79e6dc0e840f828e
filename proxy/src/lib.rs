//! The sidecar: it passes bytes on unchanged, watches them, and ships what it understood.
//!
//! The life of a connection: accept, find the original destination, dial at once, copy both ways;
//! each piece of bytes is shown to the connection's observer before it is written on. The observer
//! gives calls, which are batched, redacted, sealed into blocks, spooled and shipped to the hub.

pub mod budget;
pub mod detect;
pub mod observe;
