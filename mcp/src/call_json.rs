//! A call in JSON: what it looks like in every answer of the API, documented for `/openapi.json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remora_store::about::About;
use remora_store::call::{Call, Detail, Injected, Message, Phases};
use remora_store::head::{response_status, shown};
use remora_store::names::Party;
use remora_store::outcome::refused;
use remora_store::query::FoundCall;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::descriptors::Descriptors;
use crate::related::{JoinedJson, ParentJson};

mod database;
mod stream;
mod tls;
mod unread;
mod withheld;

pub use database::{RedisJson, SqlErrorJson, SqlJson};
pub use stream::{GrpcJson, Http2Json, MessageCountsJson, ResetJson, StreamMessageJson};
pub use tls::{CertificateJson, TlsJson};
pub use unread::OpaqueJson;
pub use withheld::{BODIES_TAKE, NOT_PERMITTED};

/// One request with its response, as one sidecar saw it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallJson {
    /// Name of the call in this hub, for ever.
    #[schema(example = "c12-7")]
    pub id: String,
    /// When its first byte was seen: RFC 3339 in UTC.
    #[schema(example = "2026-11-22T18:26:00.123456789Z")]
    pub time: String,
    /// `http1`, `http2`, `grpc`, `websocket`, `tls`, `postgresql`, `redis` or `opaque`.
    pub protocol: &'static str,
    /// `outbound` if the caller's sidecar recorded it, `inbound` if the callee's did.
    pub leg: &'static str,
    /// Which engine carried the bytes: `splice` or `terminate`.
    pub engine: &'static str,
    /// `open`, `complete` or `lost`.
    pub state: &'static str,
    /// Whether it is a kubelet's health check.
    pub probe: bool,
    /// Who called.
    pub src: PartyJson,
    /// Who was called.
    pub dst: PartyJson,
    /// Request method, or command of a database call.
    pub method: Option<String>,
    /// Host that was asked for.
    pub host: Option<String>,
    /// Path without the query; fingerprint of a statement, key of a command of Redis.
    pub path: Option<String>,
    /// The path or key with its variable segments written `{id}`; fingerprint of a statement.
    pub route: Option<String>,
    /// Query without its `?`.
    pub query: Option<String>,
    /// Status of the response.
    pub status: Option<u16>,
    /// Code of the error that a database answered, such as `23505` or `WRONGTYPE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Why the call failed below its protocol, such as `connect_refused`; the word names who failed.
    pub error: Option<&'static str>,
    /// The injected fault that met the call: what it explains says nothing of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultMarkJson>,
    /// What the client sent.
    pub request: MessageJson,
    /// What the server sent.
    pub response: MessageJson,
    /// 1xx responses that came before the final one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interim: Vec<InterimJson>,
    /// When its parts passed.
    pub phases_ns: PhasesJson,
    /// From the first byte of the request to the last of the response, in milliseconds.
    pub latency_ms: Option<f64>,
    /// The TCP connection it travelled on.
    pub connection: ConnectionJson,
    /// Which end closed the connection while this call was the last on it.
    pub closed_by: Option<&'static str>,
    /// What it says as gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcJson>,
    /// What only a stream of HTTP/2 has, where there is such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2: Option<Http2Json>,
    /// What it says as a statement of SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlJson>,
    /// What it says as a command of Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisJson>,
    /// How many messages its bodies held: of gRPC, WebSocket, server-sent events or a subscription to Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_counts: Option<MessageCountsJson>,
    /// Those that were kept, at most 1024, in the order in which they ended; bodies of gRPC and
    /// WebSocket are not shown beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<StreamMessageJson>>,
    /// Its other leg; only in an answer about one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<JoinedJson>,
    /// The inbound call of the calling pod that it was made for; only in an answer about one call of which the
    /// caller's leg was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentJson>,
    /// What the recorder did about TLS, and why; and what it knows of it.
    pub tls: TlsJson,
    /// What is known of bytes that were not parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<OpaqueJson>,
}

/// One end of a call, as far as it is known; what is not known is left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Party)]
pub struct PartyJson {
    /// Workload.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workload: String,
    /// Pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Address on the wire.
    pub ip: String,
    /// Port on the wire.
    pub port: u16,
    /// Service that was addressed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Revision of the workload.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// The mark of an injected fault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FaultMark)]
pub struct FaultMarkJson {
    /// Its name.
    pub id: String,
    /// `status`, `delay`, `reset` or `throttle`.
    pub effect: &'static str,
}

impl FaultMarkJson {
    /// The mark as it was recorded.
    pub fn new(fault: &Injected) -> Self {
        Self {
            id: fault.id.to_string(),
            effect: fault.effect.as_str(),
        }
    }
}

/// One direction of a call.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageJson {
    /// Name and value of each header, in the order, case and number they were sent.
    pub headers: Vec<(String, String)>,
    /// The kept part of the body; `null` where none was kept or asked for.
    pub body: Option<String>,
    /// How `body` is written: `utf-8`, or `base64` where the bytes are not text.
    pub body_encoding: Option<&'static str>,
    /// True size of the body in bytes.
    pub size: u64,
    /// Whether less of the body is here than was sent.
    pub truncated: bool,
    /// Why less is here: `limit`, `budget`, `uninspectable`, `secret` or `head` say why less was kept, and `not_permitted` that you
    /// may not get the bodies of this call's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<&'static str>,
    /// Whether the content coding of the kept body was undone, because a secret in it was replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoded: bool,
    /// Name and value of each trailer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
}

/// A 1xx response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interim)]
pub struct InterimJson {
    /// Its status.
    pub status: Option<u16>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

/// When the parts of a call passed: nanoseconds since the connection was accepted; `null` where it
/// did not happen, or has not yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Phases)]
pub struct PhasesJson {
    /// The connection to the server was established.
    pub connected: Option<u64>,
    /// First byte of the request.
    pub request_first: Option<u64>,
    /// Last byte of the request.
    pub request_last: Option<u64>,
    /// First byte of the final response.
    pub response_first: Option<u64>,
    /// Last byte of the response.
    pub response_last: Option<u64>,
    /// The connection closed, or the stream of HTTP/2 was given up, if it was so within this call.
    pub closed: Option<u64>,
}

/// The TCP connection of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub struct ConnectionJson {
    /// Number of the connection within the run of its sidecar.
    pub id: u64,
    /// Which exchange on the connection this was, from 0.
    pub ordinal: u32,
    /// Whether another call went over it before.
    pub reused: bool,
}

impl CallJson {
    /// A call as the API shows it, its messages read as far as `descriptors` know their types.
    pub fn new(found: &FoundCall, descriptors: &Descriptors) -> Self {
        let call = &found.call;
        let request = shown::fields(&call.request.head);
        let about = About::of(call);
        let opaque = match &call.detail {
            Detail::Opaque(opaque) => Some(opaque.into()),
            _ => None,
        };
        let mut json = Self {
            id: found.id.to_string(),
            time: rfc3339(call.time_ns),
            protocol: call.protocol.as_str(),
            leg: call.leg.as_str(),
            engine: call.engine.as_str(),
            state: call.state.as_str(),
            probe: call.probe,
            src: PartyJson::new(&found.src),
            dst: PartyJson::new(&found.dst),
            method: known(&about.method),
            host: known(&about.host),
            path: known(&about.path),
            route: known(&about.route()),
            query: known(&about.query),
            status: response_status(&call.response.head),
            error_code: refused(call).map(|code| code.to_string()),
            error: call.error.map(|error| error.as_str()),
            fault: call.fault.as_ref().map(FaultMarkJson::new),
            request: MessageJson::new(&call.request, request),
            response: MessageJson::new(&call.response, shown::fields(&call.response.head)),
            interim: interim(call),
            phases_ns: PhasesJson::new(&call.phases),
            latency_ms: call.phases.latency_ns().map(milliseconds),
            connection: ConnectionJson {
                id: call.connection.id,
                ordinal: call.connection.ordinal,
                // The first stream of a client is 1 (RFC 9113 section 5.1.1), or 1 by upgrade.
                // A head with pseudo-header fields is one of HTTP/2, whatever passes inside.
                reused: call.connection.ordinal > u32::from(is_stream(call)),
            },
            closed_by: call.closed_by.map(|side| side.as_str()),
            grpc: stream::grpc(call, descriptors),
            http2: stream::http2(call),
            sql: database::sql(call),
            redis: database::redis(call),
            message_counts: call.stream.as_deref().map(MessageCountsJson::of),
            messages: call
                .stream
                .as_deref()
                .map(|stream| stream::messages(call, stream, descriptors)),
            joined: None,
            parent: None,
            tls: TlsJson::of(call),
            opaque,
        };
        if found.withheld {
            json.say_withheld();
        }
        json
    }
}

impl PartyJson {
    /// One end as the API shows it.
    pub fn new(party: &Party) -> Self {
        Self {
            workload: party.workload.clone(),
            pod: party.pod.clone(),
            namespace: party.namespace.clone(),
            ip: party.address.ip().to_string(),
            port: party.address.port(),
            service: party.service.clone(),
            revision: party.revision.clone(),
        }
    }
}

impl MessageJson {
    fn new(message: &Message, headers: Vec<(String, String)>) -> Self {
        let (body, body_encoding) = match message.body.as_ref() {
            [] => (None, None),
            bytes => match std::str::from_utf8(bytes) {
                Ok(text) => (Some(text.to_owned()), Some("utf-8")),
                Err(_) => (Some(STANDARD.encode(bytes)), Some("base64")),
            },
        };
        Self {
            headers,
            body,
            body_encoding,
            size: message.body_size,
            truncated: message.truncated(),
            omitted: message.omitted.map(|omitted| omitted.as_str()),
            decoded: message.decoded,
            trailers: shown::trailers(&message.trailers),
        }
    }
}

impl PhasesJson {
    /// The phases as the API shows them.
    pub fn new(phases: &Phases) -> Self {
        let Phases {
            connected,
            request_first,
            request_last,
            response_first,
            response_last,
            closed,
        } = *phases;
        Self {
            connected,
            request_first,
            request_last,
            response_first,
            response_last,
            closed,
        }
    }
}

fn is_stream(call: &Call) -> bool {
    call.protocol.is_http2() || call.request.head.first() == Some(&b':')
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn interim(call: &Call) -> Vec<InterimJson> {
    shown::responses(&call.interim)
        .into_iter()
        .map(|response| InterimJson {
            status: response.status,
            headers: response.fields,
        })
        .collect()
}

/// Nanoseconds as milliseconds, to the microsecond.
pub fn milliseconds(ns: u64) -> f64 {
    (ns as f64 / 1_000.0).round() / 1_000.0
}
