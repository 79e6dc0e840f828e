//! Who the addresses belong to.

use std::net::SocketAddr;

/// One end of a call, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Address as it was on the wire.
    pub address: SocketAddr,
    /// Workload; empty where the address is not known.
    pub workload: String,
    /// Pod; empty where unknown or outside a cluster.
    pub pod: String,
    /// Namespace; empty where unknown.
    pub namespace: String,
    /// Service that was addressed; empty where unknown.
    pub service: String,
    /// Revision of the workload; empty where unknown.
    pub revision: String,
}
