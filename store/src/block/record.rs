//! The messages in which single calls are written.
//!
//! Fields are only ever added, under numbers that were never used: a reader skips the ones it does
//! not know and takes missing ones for their default.

use bytes::Bytes;

/// Everything of a call but its bodies.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeadRecord {
    #[prost(sfixed64, tag = "1")]
    pub(super) time_ns: i64,
    #[prost(uint32, tag = "2")]
    pub(super) protocol: u32,
    #[prost(uint32, tag = "3")]
    pub(super) leg: u32,
    #[prost(uint32, tag = "4")]
    pub(super) engine: u32,
    #[prost(uint32, tag = "5")]
    pub(super) state: u32,
    #[prost(bool, tag = "6")]
    pub(super) probe: bool,
    #[prost(message, optional, tag = "7")]
    pub(super) src: Option<AddressRecord>,
    #[prost(message, optional, tag = "8")]
    pub(super) dst: Option<AddressRecord>,
    #[prost(uint64, tag = "9")]
    pub(super) connection: u64,
    #[prost(uint32, tag = "10")]
    pub(super) ordinal: u32,
    #[prost(message, optional, tag = "11")]
    pub(super) forwarded_from: Option<AddressRecord>,
    #[prost(message, optional, tag = "12")]
    pub(super) request: Option<MessageRecord>,
    #[prost(message, optional, tag = "13")]
    pub(super) response: Option<MessageRecord>,
    #[prost(bytes = "bytes", tag = "14")]
    pub(super) interim: Bytes,
    #[prost(message, optional, tag = "15")]
    pub(super) phases: Option<PhasesRecord>,
    #[prost(uint32, optional, tag = "16")]
    pub(super) closed_by: Option<u32>,
    #[prost(uint32, optional, tag = "17")]
    pub(super) error: Option<u32>,
    #[prost(message, optional, tag = "18")]
    pub(super) join_digest: Option<DigestRecord>,
    #[prost(message, optional, tag = "19")]
    pub(super) tls: Option<TlsRecord>,
    #[prost(message, optional, tag = "20")]
    pub(super) opaque: Option<OpaqueRecord>,
    #[prost(message, optional, tag = "21")]
    pub(super) http2: Option<Http2Record>,
    #[prost(message, optional, tag = "22")]
    pub(super) stream: Option<StreamRecord>,
    #[prost(message, optional, tag = "23")]
    pub(super) fault: Option<FaultRecord>,
    #[prost(message, optional, tag = "24")]
    pub(super) secure: Option<SecureRecord>,
    #[prost(message, optional, tag = "25")]
    pub(super) sql: Option<SqlRecord>,
    #[prost(message, optional, tag = "26")]
    pub(super) redis: Option<RedisRecord>,
}

/// The bodies of a call, and the messages inside them.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BodyRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) request: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) response: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(super) messages: Vec<StreamMessageRecord>,
}

/// A call that still runs, whole.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpenRecord {
    #[prost(message, optional, tag = "1")]
    pub(super) head: Option<HeadRecord>,
    #[prost(message, optional, tag = "2")]
    pub(super) bodies: Option<BodyRecord>,
}

/// One direction of a call, without its body.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MessageRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) head: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) body_size: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) body_digest: Option<DigestRecord>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) trailers: Bytes,
    #[prost(uint32, optional, tag = "5")]
    pub(super) omitted: Option<u32>,
    #[prost(bool, tag = "6")]
    pub(super) decoded: bool,
}

/// An address in numbers, so that writing it costs no allocation.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct AddressRecord {
    /// Set for IPv4, which then is the whole address.
    #[prost(fixed32, optional, tag = "1")]
    pub(super) v4: Option<u32>,
    #[prost(fixed64, tag = "2")]
    pub(super) v6_high: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) v6_low: u64,
    #[prost(uint32, tag = "4")]
    pub(super) port: u32,
    #[prost(uint32, tag = "5")]
    pub(super) flow: u32,
    #[prost(uint32, tag = "6")]
    pub(super) scope: u32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct DigestRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) low: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct PhasesRecord {
    #[prost(uint64, optional, tag = "1")]
    pub(super) connected: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) request_first: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) request_last: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) response_first: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) response_last: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub(super) closed: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TlsRecord {
    #[prost(string, optional, tag = "1")]
    pub(super) sni: Option<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) alpn: Vec<String>,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) versions: Vec<u32>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) random: Bytes,
}

/// What a sidecar did about TLS; its hello stands in `tls` where it was passed through.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SecureRecord {
    #[prost(uint32, tag = "1")]
    pub(super) handling: u32,
    #[prost(uint32, tag = "2")]
    pub(super) reason: u32,
    #[prost(message, optional, tag = "3")]
    pub(super) hello: Option<TlsRecord>,
    #[prost(string, optional, tag = "4")]
    pub(super) alpn: Option<String>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) version: Option<u32>,
    #[prost(message, optional, tag = "6")]
    pub(super) certificate: Option<CertificateRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CertificateRecord {
    #[prost(string, tag = "1")]
    pub(super) subject: String,
    #[prost(sint64, tag = "2")]
    pub(super) expires_s: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpaqueRecord {
    #[prost(uint32, optional, tag = "1")]
    pub(super) first_speaker: Option<u32>,
    #[prost(string, optional, tag = "2")]
    pub(super) recognised: Option<String>,
    #[prost(uint64, tag = "3")]
    pub(super) from_byte: u64,
    #[prost(string, optional, tag = "4")]
    pub(super) reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Http2Record {
    #[prost(uint32, optional, tag = "1")]
    pub(super) reset_by: Option<u32>,
    #[prost(uint32, tag = "2")]
    pub(super) reset_code: u32,
    #[prost(bool, tag = "3")]
    pub(super) pushed: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FaultRecord {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(uint32, tag = "2")]
    pub(super) effect: u32,
}

/// A statement of SQL without its values.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SqlRecord {
    #[prost(string, tag = "1")]
    pub(super) command: String,
    #[prost(string, tag = "2")]
    pub(super) fingerprint: String,
    #[prost(uint32, tag = "3")]
    pub(super) sent: u32,
    #[prost(uint32, tag = "4")]
    pub(super) params: u32,
    #[prost(uint64, optional, tag = "5")]
    pub(super) rows: Option<u64>,
    /// Empty where there was no error.
    #[prost(string, tag = "6")]
    pub(super) error_code: String,
    #[prost(uint32, tag = "7")]
    pub(super) severity: u32,
    #[prost(string, optional, tag = "8")]
    pub(super) database: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub(super) user: Option<String>,
    #[prost(bool, tag = "10")]
    pub(super) in_transaction: bool,
}

/// A command of Redis without its arguments.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RedisRecord {
    #[prost(string, tag = "1")]
    pub(super) command: String,
    #[prost(string, tag = "2")]
    pub(super) key: String,
    #[prost(uint32, tag = "3")]
    pub(super) keys: u32,
    /// Empty where there was no error.
    #[prost(string, tag = "4")]
    pub(super) error_code: String,
    #[prost(uint32, optional, tag = "5")]
    pub(super) database: Option<u32>,
    #[prost(string, optional, tag = "6")]
    pub(super) user: Option<String>,
    #[prost(uint32, tag = "7")]
    pub(super) version: u32,
    #[prost(bool, tag = "8")]
    pub(super) in_transaction: bool,
}

/// How many messages there were; the kept ones stand with the bodies.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct StreamRecord {
    #[prost(uint64, tag = "1")]
    pub(super) client_messages: u64,
    #[prost(uint64, tag = "2")]
    pub(super) server_messages: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StreamMessageRecord {
    #[prost(uint32, tag = "1")]
    pub(super) from: u32,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(uint64, tag = "3")]
    pub(super) at: u64,
    #[prost(uint64, tag = "4")]
    pub(super) size: u64,
    #[prost(bool, tag = "5")]
    pub(super) compressed: bool,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) payload: Bytes,
    #[prost(bool, tag = "7")]
    pub(super) decoded: bool,
    #[prost(uint32, optional, tag = "8")]
    pub(super) omitted: Option<u32>,
}
