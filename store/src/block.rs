//! The block: a few hundred calls of one sidecar, sealed; the unit that is spooled, shipped, stored
//! and expired.

use std::net::SocketAddr;

/// Who recorded a block.
///
/// A sidecar claims these; where callers are authenticated, the hub replaces the namespace, pod and
/// uid by what the token says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Random number of the sidecar's run. With [`BlockMeta::sequence`] it names a block for ever.
    pub incarnation: u128,
    /// Name of the workload, such as the Deployment's.
    pub workload: String,
    /// Kubernetes namespace; `local` outside a cluster.
    pub namespace: String,
    /// Name of the pod; empty outside a cluster.
    pub pod: String,
    /// uid of the pod; empty outside a cluster.
    pub pod_uid: String,
    /// Which version of the workload this is, such as its `pod-template-hash`; may be empty.
    pub revision: String,
    /// Addresses at which this workload is called: the mapped inbound listeners, or the pod's
    /// addresses with port 0, which stands for every port.
    pub serves: Vec<SocketAddr>,
}

/// What a block says of itself beside its calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockMeta {
    /// Who recorded it.
    pub origin: Origin,
    /// Number of the block within the incarnation, from 1 and without gaps: a gap is a loss.
    pub sequence: u64,
    /// Wall clock when the block was sealed: nanoseconds since the Unix epoch.
    pub sealed_ns: i64,
    /// Which redaction key made the tags and digests in it: `local-…` for one that the sidecar made
    /// before it reached the hub; such tags are never compared across sidecars.
    pub redaction_key: String,
    /// Records dropped since the previous block was sealed, by reason; traffic is never dropped.
    pub drops: Vec<Drop>,
}

/// Records of calls that were not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// Why, in one of a few fixed words: `budget`, `queue`, `spool`, `rejected`.
    pub reason: String,
    /// How many calls.
    pub calls: u64,
    /// When the first of them was dropped: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// When the last of them was dropped.
    pub until_ns: i64,
}

/// The facts of a block's calls that most questions need, one vector per fact.
///
/// All vectors without a comment of their own have one entry per call. Texts and addresses are
/// numbers into [`Columns::texts`] and [`Columns::addresses`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Every distinct text of the block; entry 0 is the empty text.
    pub texts: Vec<String>,
    /// Every distinct address of the block.
    pub addresses: Vec<SocketAddr>,
    /// [`crate::call::Call::time_ns`].
    pub time_ns: Vec<i64>,
    /// Code of [`crate::call::Protocol`].
    pub protocol: Vec<u8>,
    /// Code of [`crate::call::Leg`].
    pub leg: Vec<u8>,
    /// Code of [`crate::call::State`].
    pub state: Vec<u8>,
    /// [`crate::call::Call::probe`].
    pub probe: Vec<bool>,
    /// Number of the address.
    pub src: Vec<u32>,
    /// Number of the address.
    pub dst: Vec<u32>,
    /// Number of the text.
    pub method: Vec<u32>,
    /// `Host` or `:authority`. Number of the text.
    pub host: Vec<u32>,
    /// Path without the query. Number of the text.
    pub path: Vec<u32>,
    /// Query without its `?`. Number of the text.
    pub query: Vec<u32>,
    /// The path with its variable segments written `{id}`. Number of the text.
    pub route: Vec<u32>,
    /// Status of the response; 0 where there is none.
    pub status: Vec<u16>,
    /// Code of [`crate::call::CallError`] plus one; 0 where there is none.
    pub error: Vec<u8>,
    /// [`crate::call::Phases::latency_ns`] plus one; 0 where the call has no end.
    pub latency_ns: Vec<u64>,
    /// [`crate::call::Message::body_size`] of the request.
    pub request_size: Vec<u64>,
    /// [`crate::call::Message::body_size`] of the response.
    pub response_size: Vec<u64>,
    /// [`crate::call::Connection::id`].
    pub connection: Vec<u64>,
    /// [`crate::call::Connection::ordinal`].
    pub ordinal: Vec<u32>,
}
