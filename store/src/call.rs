//! The call: one request with its response, or its failure, as one sidecar saw it.
//!
//! Owns the record; the small words it is made of are beneath. How calls are sealed is [`crate::block`]'s
//! business, and who the addresses belong to is looked up when a call is asked for.

#[macro_use]
mod words;

mod database;
mod fault;
mod id;
mod secure;
mod stream;

pub use database::{ErrorCode, MAX_ABOUT_BYTES, Redis, Severity, Sql, SqlError, SqlSent};
pub use fault::{EffectKind, Injected};
pub use id::{BadCallId, CallId};
pub use secure::{Certificate, Secure, TlsHandling, TlsReason};
pub use stream::{Http2, MAX_KEPT_MESSAGES, MessageKind, Reset, Stream, StreamMessage};
pub use words::{CallError, Engine, Leg, Omitted, Protocol, Side, State, UnknownWord};

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

/// How many bytes of a request's head and the body after it (transfer coding removed) go into
/// [`Call::join_digest`].
///
/// Fixed, so that two sidecars with different limits agree.
pub const JOIN_DIGEST_PREFIX_BYTES: usize = 2 * 1024;

/// How many bytes of a body go into [`Message::body_digest`]; the body's true size is digested after
/// them. Fixed for the same reason, and small because the sidecar pays for it on every call.
pub const BODY_DIGEST_PREFIX_BYTES: usize = 4 * 1024;

/// The same for what a database is asked: behind a long statement stand the values that tell one question
/// from the next.
pub const DATABASE_DIGEST_PREFIX_BYTES: usize = 64 * 1024;

/// One request with its response, on any protocol, seen from one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Wall clock at the first byte of the request: nanoseconds since the Unix epoch.
    ///
    /// The clock is read once per connection; this is that reading plus
    /// [`Phases::request_first`], so a clock that steps cannot reorder the calls of a connection.
    pub time_ns: i64,
    /// What was spoken.
    pub protocol: Protocol,
    /// Which side of the call this record is.
    pub leg: Leg,
    /// Which engine carried the bytes.
    pub engine: Engine,
    /// Whether the call has ended.
    pub state: State,
    /// A kubelet's health check; hidden from answers unless asked for.
    pub probe: bool,
    /// The peer that opened the connection to the sidecar.
    pub src: SocketAddr,
    /// Where the connection was going: the original destination. With mapped listeners the server of
    /// an outbound call, and the listener itself for an inbound one, since that is what was called.
    pub dst: SocketAddr,
    /// The TCP connection that the call travelled on.
    pub connection: Connection,
    /// What the client sent.
    pub request: Message,
    /// What the server sent; empty while nothing came.
    pub response: Message,
    /// Heads of the 1xx responses that came before the final one, verbatim, one after the other.
    pub interim: Bytes,
    /// When the parts of the call passed.
    pub phases: Phases,
    /// Who ended the connection while this call was the last on it.
    pub closed_by: Option<Side>,
    /// Why the call failed, if it did below its protocol. A 500 is a response, not an error.
    pub error: Option<CallError>,
    /// Keyed digest of the first [`JOIN_DIGEST_PREFIX_BYTES`] of the request, taken before redaction;
    /// equal on both legs of a call. `None` where the budget kept the bytes away.
    pub join_digest: Option<Digest>,
    /// What only some protocols have.
    pub detail: Detail,
    /// The messages inside the bodies, where the protocol has such.
    pub stream: Option<Box<Stream>>,
    /// What the sidecar itself did to the call, because a person switched a fault on.
    pub fault: Option<Injected>,
    /// The TLS that it travelled in, where the sidecar had something to decide about it.
    pub secure: Option<Arc<Secure>>,
}

impl Call {
    /// Whether it lasts as long as somebody wants to listen, so that its latency says nothing of how fast
    /// the server is: a WebSocket, server-sent events, a subscription, replication, a command that waits
    /// for what others do, or gRPC with several messages one way. A stream of gRPC that carried one message cannot
    /// be told from a plain call.
    pub fn is_stream(&self) -> bool {
        match (self.protocol, &self.stream) {
            (Protocol::WebSocket, _) => true,
            (Protocol::Grpc, Some(stream)) => {
                stream.client_messages > 1 || stream.server_messages > 1
            }
            (Protocol::Grpc, None) => false,
            (_, Some(_)) => true,
            (_, None) => match &self.detail {
                Detail::Redis(redis) => redis.waits(),
                Detail::Sql(sql) => sql.follows(),
                Detail::None | Detail::Tls(_) | Detail::Opaque(_) | Detail::Http2(_) => false,
            },
        }
    }

    /// What it says of how fast its server is, in nanoseconds: its latency; `None` where it has no end,
    /// and for a stream.
    pub fn pace_ns(&self) -> Option<u64> {
        self.phases.latency_ns().filter(|_| !self.is_stream())
    }
}

/// One direction of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The head as sent: order, case and duplicates kept.
    ///
    /// HTTP/1: the start line and the field lines with their line ends and the empty line.
    /// HTTP/2: one line `name: value` per field in the order of the field block, pseudo-header
    /// fields first (`:method: GET`), each with CR LF; bytes that may not stand in a value
    /// (RFC 9113 section 8.2.1) are replaced by spaces. Empty where the protocol has none.
    pub head: Bytes,
    /// Body with the transfer coding removed and the content coding kept, up to the limit. What a
    /// database was asked and what it answered stand here in a readable form ([`crate::sql`]).
    pub body: Bytes,
    /// True size of the body in bytes, whatever was kept of it. Of a database call the size of the
    /// values on the wire, whatever it takes to write them.
    pub body_size: u64,
    /// Keyed digest of the first [`BODY_DIGEST_PREFIX_BYTES`] of the body ([`DATABASE_DIGEST_PREFIX_BYTES`]
    /// of what a database was asked) and its size; taken before redaction.
    pub body_digest: Option<Digest>,
    /// Trailer field lines as sent.
    pub trailers: Bytes,
    /// Why less was kept than was sent.
    pub omitted: Option<Omitted>,
    /// The kept body was content-decoded, because a secret inside had to be replaced.
    pub decoded: bool,
}

impl Message {
    /// Whether the kept body is shorter than the one that was sent, or none of it was kept.
    pub fn truncated(&self) -> bool {
        self.omitted.is_some()
    }
}

/// The TCP connection of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Number of the connection within the sidecar's incarnation, from 1.
    pub id: u64,
    /// Which exchange on the connection this was, from 0; for HTTP/2 the stream id.
    pub ordinal: u32,
    /// The sidecar's own address towards the server. The callee's sidecar sees it as
    /// [`Call::src`]: the key by which two legs are joined.
    pub forwarded_from: Option<SocketAddr>,
}

/// When the parts of a call passed: nanoseconds since the connection was accepted, on the
/// monotonic clock. `None` where it did not happen, or has not yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// The connection to the server was established.
    pub connected: Option<u64>,
    /// First byte of the request was read.
    pub request_first: Option<u64>,
    /// Last byte of the request was read.
    pub request_last: Option<u64>,
    /// First byte of the final response was read.
    pub response_first: Option<u64>,
    /// Last byte of the response was read.
    pub response_last: Option<u64>,
    /// The connection closed, or the stream of HTTP/2 was given up, if it was so within this call.
    pub closed: Option<u64>,
}

impl Phases {
    /// From the first byte of the request to the last of the response, in nanoseconds.
    pub fn latency_ns(&self) -> Option<u64> {
        self.response_last?.checked_sub(self.request_first?)
    }
}

/// A keyed BLAKE3 digest, cut to 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

/// What only some protocols have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing beside the common fields.
    #[default]
    None,
    /// A TLS connection that was passed through.
    Tls(TlsHello),
    /// A connection, or the rest of one, of which only bytes and times are known.
    Opaque(Opaque),
    /// A stream of HTTP/2 that has more to tell than its messages.
    Http2(Http2),
    /// A statement of SQL.
    Sql(Sql),
    /// A command of Redis.
    Redis(Redis),
}

/// What a ClientHello says in the clear (RFC 8446 section 4.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsHello {
    /// Server name asked for (RFC 6066 section 3).
    pub sni: Option<String>,
    /// Application protocols offered, in order (RFC 7301).
    pub alpn: Vec<String>,
    /// Versions offered, in order: `supported_versions`, else the legacy version.
    pub versions: Vec<u16>,
    /// `ClientHello.random`: the same on both legs of a connection that is passed through.
    pub random: [u8; 32],
}

/// What is known of bytes that were not parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opaque {
    /// Which side sent the first byte.
    pub first_speaker: Option<Side>,
    /// Name of the protocol where its first bytes tell, such as `h2c`, `mysql` or `ssh`.
    pub recognised: Option<String>,
    /// Byte of the client's stream from which on nothing was parsed; 0 for a whole connection.
    pub from_byte: u64,
    /// Why parsing ended, in a few fixed words, where it had begun.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_that_waits_for_others_says_nothing_of_its_server() {
        assert!(crate::testing::redis_call(5, "BLPOP", "jobs").is_stream());
        assert!(!crate::testing::redis_call(5, "LPOP", "jobs").is_stream());
        assert!(crate::testing::sql_call(5, "START_REPLICATION SLOT s LOGICAL ?").is_stream());
        assert!(!crate::testing::sql_call(5, "SELECT ?").is_stream());
    }
}
