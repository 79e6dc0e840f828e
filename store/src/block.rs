//! The block: a few hundred calls of one sidecar, sealed; the unit that is spooled, shipped, stored
//! and expired.
//!
//! ```text
//! magic, version │ columns │ heads, 64 calls each … │ bodies, 16 calls each … │ open calls │ directory │ its length, its CRC-32
//! ```
//!
//! Every part has a codec and a CRC of its own, so a scan over columns touches no head and no body,
//! and one call is read without unpacking its neighbours. The directory lists the parts and holds
//! what the block says of itself. All of it is protobuf: old readers skip what newer writers add.
//! Where blocks are kept is not decided here.

mod columns;
mod convert;
mod directory;
mod drops;
mod index;
mod intern;
mod merge;
mod pack;
mod part;
mod read;
mod record;
mod seal;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

use std::net::SocketAddr;

pub(crate) use self::drops::join_drops;
pub use self::merge::merge;
pub use self::read::{Block, Heads};
pub use self::seal::seal;

/// Most calls in one block, merged or not.
pub const MAX_CALLS: usize = 65_536;

/// Most calls that [`seal`] takes; a sidecar seals far fewer.
pub const MAX_SEALED_CALLS: usize = 4_096;

/// Most open calls that a block lists; see [`BlockSummary::open`] for how many there were.
pub const MAX_OPEN_CALLS: usize = 4_096;

/// Most blocks that go into a merged one.
pub const MAX_SOURCES: usize = 8_192;

/// Most entries of [`BlockMeta::drops`]; what is beyond is counted under [`OTHER_DROPS`], and where blocks are
/// merged, with its neighbours in time.
pub const MAX_DROPS: usize = 64;

/// Reason under which drops are counted whose own reasons are too many to list.
pub const OTHER_DROPS: &str = "other";

/// Most entries of [`Origin::serves`] that are written.
pub const MAX_SERVES: usize = 256;

/// Longest text in [`Columns::texts`], in bytes; longer ones are cut there and whole in the head.
pub const COLUMN_TEXT_BYTES: usize = 2 * 1024;

/// How the bytes of a block's parts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    Raw,
    /// LZ4 block format: cheap enough for a sidecar.
    Lz4,
    /// Zstandard at level 1: what the hub keeps.
    Zstd,
}

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
    /// Records dropped since the previous block was sealed, by reason; traffic is never dropped. A merged block
    /// may tell of one reason several times: each of another stretch of time.
    pub drops: Vec<Drop>,
}

/// Records of calls that were not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// Why, in one of a few fixed words: `budget`, `queue`, `spool`, `rejected`; `crash` counts
    /// connections that were not watched because the sidecar had crashed twice within a minute.
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
    /// Path without the query, or what a database call is about. Number of the text.
    pub path: Vec<u32>,
    /// Query without its `?`. Number of the text.
    pub query: Vec<u32>,
    /// [`crate::about::About::route`]. Number of the text.
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
    /// [`crate::grpc::status`] plus one; 0 where there is none, and in blocks of sidecars that do not
    /// read gRPC.
    pub grpc_status: Vec<u16>,
    /// [`crate::call::Call::is_stream`]; false in blocks that were written before it was told.
    pub streams: Vec<bool>,
    /// Code of the error that a database answered ([`crate::outcome::refused`]); empty where it answered
    /// none. Number of the text.
    pub refused: Vec<u32>,
    /// Code of [`crate::call::EffectKind`] plus one, of the injected fault that met the call; 0 where none
    /// did, and in blocks that were written before it was told.
    pub faults: Vec<u8>,
}

/// What lets a question pass a block by without reading its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockSummary {
    /// How many finished calls there are.
    pub calls: u32,
    /// When the first of them began: nanoseconds since the Unix epoch; 0 where there is none.
    pub first_ns: i64,
    /// When the last of them began.
    pub last_ns: i64,
    /// Calls by class of their status: entry 0 counts those without one, entry 5 those with 5xx.
    pub statuses: [u32; 6],
    /// Statuses that occur, ascending, 0 for none; `None` if they are too many to list, or the block
    /// was written before they were listed.
    pub status_codes: Option<Vec<u16>>,
    /// Calls that failed below their protocol.
    pub errors: u32,
    /// Health checks among the calls.
    pub probes: u32,
    /// Codes of the protocols that occur, ascending.
    pub protocols: Vec<u8>,
    /// Codes of the legs that occur, ascending.
    pub legs: Vec<u8>,
    /// Methods that occur, sorted; `None` if they are too many to list.
    pub methods: Option<Vec<String>>,
    /// Hosts that occur, sorted; `None` if they are too many to list.
    pub hosts: Option<Vec<String>>,
    /// Routes that occur, sorted; `None` if they are too many to list.
    pub routes: Option<Vec<String>>,
    /// Request body bytes.
    pub request_bytes: u64,
    /// Response body bytes.
    pub response_bytes: u64,
    /// The longest latency, in nanoseconds; 0 where no call has an end.
    pub longest_ns: u64,
    /// How many calls were open when the block was sealed, listed or not; `None` if it does not say.
    pub open: Option<u32>,
}

/// One of the blocks that a merged block was made of. Its calls keep their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The hub's number of it.
    pub block: u64,
    /// Its [`BlockMeta::sequence`].
    pub sequence: u64,
    /// How many finished calls it had.
    pub calls: u32,
}

/// Why bytes cannot be read as a block, or blocks not be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The bytes do not begin as a block does.
    #[error("these bytes are not a block")]
    NotABlock,
    /// The format has changed since this version was built.
    #[error("the block has format {version}, this version reads up to {supported}: update the hub")]
    Newer {
        /// Format of the block.
        version: u8,
        /// Newest format that is understood.
        supported: u8,
    },
    /// The bytes are not the ones that were written, or their writer is broken.
    #[error("the block is damaged in its {part}: {reason}")]
    Damaged {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A part is written in a way that this version does not know.
    #[error("the block's {part} use codec {codec}, which is not known here: update the hub")]
    UnknownCodec {
        /// Which part.
        part: &'static str,
        /// Number of the codec.
        codec: u32,
    },
    /// Blocks do not belong in one.
    #[error("merge blocks: {0}")]
    Unmergeable(String),
}
