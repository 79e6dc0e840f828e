//! The mark that an injected fault leaves on a call.

use std::fmt;
use std::str::FromStr;

use super::UnknownWord;

/// A fault that a person switched on, and that the sidecar put into this call.
///
/// Whatever it explains (a status, a reset, the time that passed) says nothing of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// Name of the fault, as the hub gave it.
    pub id: Box<str>,
    /// What it did.
    pub effect: EffectKind,
}

words! {
    /// What an injected fault does to a call.
    EffectKind {
        /// The sidecar answered; the server was not asked.
        Status = 0 "status",
        /// The request was held back before it was passed on.
        Delay = 1 "delay",
        /// The sidecar reset the connection, or the stream of HTTP/2; the server was not asked.
        Reset = 2 "reset",
        /// The body of the response was slowed down.
        Throttle = 3 "throttle",
        /// An effect that only newer sidecars know.
        Other = 254 "other",
    }
}
