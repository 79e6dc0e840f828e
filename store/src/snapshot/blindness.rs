//! What nobody would have seen: where no sidecar stood, or one that is not given everything.

/// What was not seen when a snapshot was sealed, whoever had handed over.
///
/// It is kept with the seal, so that a verdict over the snapshot does not change with what becomes of the
/// cluster later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blindness {
    /// Since when the API server of the cluster had not been heard: nanoseconds since the Unix epoch.
    pub not_watched_since_ns: Option<i64>,
    /// Beside whom something is not seen.
    pub beside: Vec<Blind>,
    /// How many more groups of pods are not recorded than are listed.
    pub omitted: u64,
}

/// What is not seen beside one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// Kubernetes namespace; `local` outside a cluster.
    pub namespace: String,
    /// Name of the workload.
    pub workload: String,
    /// Why.
    pub because: BlindBecause,
    /// How many pods or sidecars.
    pub count: u64,
}

/// Why calls of a workload are not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlindBecause {
    /// Pods of it have no sidecar that works.
    Unrecorded,
    /// Its sidecar gets outbound connections only of programs that ask it as their proxy.
    Proxied,
    /// Its sidecar gets no outbound connection.
    NoOutbound,
    /// Its sidecar gets no inbound connection.
    NoInbound,
}
