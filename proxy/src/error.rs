//! Why a sidecar does not start or stops early. Failures of single connections are records, not
//! errors.

use std::io;
use std::net::SocketAddr;

use crate::tls::SetupError;

/// Why a sidecar could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, not ours, or not allowed.
    #[error("listen on {address} for {purpose}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What it was to listen for, such as `inbound connections`.
        purpose: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("start the {part}, maybe the limit of threads or open files is too low")]
    Start {
        /// What could not be started.
        part: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// TLS was to be looked into, and cannot be.
    #[error("prepare to look into TLS (--intercept-tls)")]
    Interception(#[from] SetupError),
    /// The data plane's thread ended by a panic.
    #[error("the data plane panicked, its connections are broken")]
    DataPlanePanicked,
}
