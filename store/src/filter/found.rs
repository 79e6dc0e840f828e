//! The facts of one whole call.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use super::eval::Facts;
use super::fields::{cookies, distinct_names, field_names, field_value, query_pairs};
use super::value::Value;
use super::vocabulary::{Field, Identity, Peer};
use crate::block::Origin;
use crate::call::{
    Call, Detail, Http2, Leg, Message, MessageKind, Omitted, Protocol, Side as End, Stream,
};
use crate::coding;
use crate::grpc;
use crate::head::{RequestHead, response_status};
use crate::names::Party;
use crate::outcome::Ending;
use crate::query::FoundCall;
use crate::route::route;

/// A whole call, with what was read from it so far.
pub(crate) struct WholeCall<'a> {
    found: &'a FoundCall,
    /// Whether the bodies of the call were read; without them questions about them stay open.
    bodies: bool,
    request: OnceCell<RequestHead<'a>>,
    sent: Side,
    answered: Side,
}

/// Whose bytes are asked for.
#[derive(Clone, Copy)]
enum From {
    Client,
    Server,
}

impl<'a> WholeCall<'a> {
    pub(crate) fn new(found: &'a FoundCall, bodies: bool) -> Self {
        Self {
            found,
            bodies,
            request: OnceCell::new(),
            sent: Side::default(),
            answered: Side::default(),
        }
    }

    fn call(&self) -> &'a Call {
        &self.found.call
    }

    fn request(&self) -> &RequestHead<'a> {
        self.request
            .get_or_init(|| RequestHead::parse(&self.found.call.request.head))
    }

    fn http_version(&self) -> Value<'_> {
        match self.call().protocol {
            protocol if protocol.is_http2() => Value::text("HTTP/2"),
            // A WebSocket may have been opened by extended CONNECT (RFC 8441).
            Protocol::WebSocket if self.call().request.head.first() == Some(&b':') => {
                Value::text("HTTP/2")
            }
            Protocol::Http1 | Protocol::WebSocket => {
                Value::text(http1_version(&self.call().request.head))
            }
            _ => Value::text(""),
        }
    }

    fn side(&self, from: From) -> (&'a Message, &Side) {
        match from {
            From::Client => (&self.found.call.request, &self.sent),
            From::Server => (&self.found.call.response, &self.answered),
        }
    }

    fn content(&self, from: From) -> Option<&[u8]> {
        let (message, side) = self.side(from);
        let content = side.content.get_or_init(|| match &self.call().stream {
            Some(stream) => match payloads(stream, from) {
                Some(joined) => Content::Decoded(joined),
                None => content(message),
            },
            None => content(message),
        });
        match content {
            Content::AsKept => Some(&message.body),
            Content::Decoded(bytes) => Some(bytes),
            Content::Unknown => None,
        }
    }

    fn body(&self, from: From) -> Value<'_> {
        if !self.bodies {
            return Value::Unknown;
        }
        match (self.content(from), is_cut(self.side(from).0)) {
            (Some(bytes), false) => Value::Text(String::from_utf8_lossy(bytes)),
            (Some(bytes), true) => Value::Cut(String::from_utf8_lossy(whole_characters(bytes))),
            (None, false) => Value::Absent,
            (None, true) => Value::Unknown,
        }
    }

    fn json(&self, from: From) -> Value<'_> {
        if !self.bodies {
            return Value::Unknown;
        }
        let (message, side) = self.side(from);
        if is_cut(message) {
            return Value::Unknown;
        }
        let parsed = side
            .json
            .get_or_init(|| serde_json::from_slice(self.content(from)?).ok());
        parsed.as_ref().map_or(Value::Absent, Value::json)
    }

    fn messages(&self, count: fn(&Stream) -> u64) -> Value<'_> {
        let stream = self.call().stream.as_deref();
        stream.map_or(Value::Absent, |stream| Value::int(count(stream)))
    }

    /// What the kept messages of a WebSocket are: the first one, or all, each once.
    fn opcodes(&self, field: Field) -> Value<'_> {
        let call = self.call();
        if call.protocol != Protocol::WebSocket {
            return Value::Absent;
        }
        if !self.bodies {
            return Value::Unknown;
        }
        let mut words: Vec<&str> = Vec::new();
        for message in call.stream.iter().flat_map(|stream| &stream.messages) {
            let word = message.kind.as_str();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        match field {
            Field::WsOpcode => words
                .first()
                .map_or(Value::Absent, |word| Value::text(word)),
            _ => Value::List(words.into_iter().map(Value::text).collect()),
        }
    }

    fn http2_reset(&self) -> Value<'_> {
        match &self.call().detail {
            Detail::Http2(Http2 {
                reset: Some(reset), ..
            }) => Value::Text(reset.name()),
            _ => Value::Absent,
        }
    }

    fn tls_sni(&self) -> Value<'_> {
        match &self.call().detail {
            Detail::Tls(hello) => hello.sni.as_deref().map_or(Value::Absent, Value::text),
            Detail::None | Detail::Opaque(_) | Detail::Http2(_) => Value::Absent,
        }
    }
}

impl Facts for WholeCall<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        let call = self.call();
        let head_size = |message: &Message| Value::int(message.head.len() as u64);
        match field {
            Field::Http => Value::Bool(call.protocol.is_http()),
            Field::Http1 => Value::Bool(call.protocol == Protocol::Http1),
            Field::Http2 => Value::Bool(call.protocol.is_http2()),
            Field::Grpc => Value::Bool(call.protocol == Protocol::Grpc),
            Field::WebSocket => Value::Bool(call.protocol == Protocol::WebSocket),
            Field::Tls => Value::Bool(call.protocol == Protocol::Tls),
            Field::Opaque => Value::Bool(call.protocol == Protocol::Opaque),
            Field::Method => Value::text(&self.request().method),
            Field::Host => Value::text(&self.request().host),
            Field::Path => Value::text(&self.request().path),
            Field::Query => Value::text(&self.request().query),
            Field::Url => url(&self.request().path, &self.request().query),
            Field::Route => Value::owned(route(&self.request().path)),
            Field::Status => Value::Int(
                response_status(&call.response.head)
                    .unwrap_or_default()
                    .into(),
            ),
            Field::HttpVersion => self.http_version(),
            Field::RequestHeadSize => head_size(&call.request),
            Field::ResponseHeadSize => head_size(&call.response),
            Field::RequestSize => Value::int(call.request.body_size),
            Field::ResponseSize => Value::int(call.response.body_size),
            Field::RequestBody => self.body(From::Client),
            Field::ResponseBody => self.body(From::Server),
            Field::RequestJson => self.json(From::Client),
            Field::ResponseJson => self.json(From::Server),
            Field::WsRequestPayload if call.protocol != Protocol::WebSocket => Value::Absent,
            Field::WsRequestPayload => self.body(From::Client),
            Field::WsOpcode | Field::WsOpcodes => self.opcodes(field),
            Field::RequestMessages => self.messages(|stream| stream.client_messages),
            Field::ResponseMessages => self.messages(|stream| stream.server_messages),
            Field::Http2Reset => self.http2_reset(),
            Field::Failed => Value::Bool(Ending::of(call).failed()),
            Field::GrpcService | Field::GrpcMethod => {
                grpc_name(field, call.protocol, &self.request().path)
            }
            Field::GrpcStatus => grpc_status(grpc::status(call)),
            Field::GrpcStatusName => grpc_status_name(grpc::status(call)),
            Field::Error => Value::text(call.error.map_or("", |error| error.as_str())),
            Field::State => Value::text(call.state.as_str()),
            Field::Probe => Value::Bool(call.probe),
            Field::Leg => Value::text(call.leg.as_str()),
            Field::Engine => Value::text(call.engine.as_str()),
            Field::Protocol => Value::text(call.protocol.as_str()),
            Field::Timestamp => Value::Time(call.time_ns),
            Field::ElapsedMicros => elapsed_micros(call.phases.latency_ns()),
            Field::LatencyMillis => latency_millis(call.phases.latency_ns()),
            Field::Id => Value::owned(self.found.id.to_string()),
            Field::Connection => Value::int(call.connection.id),
            Field::Ordinal => Value::Int(call.connection.ordinal.into()),
            Field::TlsSni => self.tls_sni(),
            Field::Workload | Field::Namespace | Field::Pod | Field::Revision => {
                origin_text(&self.found.origin, field)
            }
            Field::Namespaces | Field::Pods | Field::Services => {
                both(field, &self.found.src, &self.found.dst)
            }
            Field::End(Peer::Src, identity) => identified(&self.found.src, identity),
            Field::End(Peer::Dst, identity) => identified(&self.found.dst, identity),
            Field::NoText => Value::text(""),
            Field::NoNumber => Value::Int(0),
            Field::Unrecorded => Value::Absent,
            Field::QueryString
            | Field::RequestHeaders
            | Field::ResponseHeaders
            | Field::ResponseTrailers
            | Field::RequestCookies
            | Field::ResponseCookies
            | Field::LocalLabels
            | Field::RemoteLabels
            | Field::NoMap => Value::Map(field),
        }
    }

    fn entry(&self, field: Field, key: &str) -> Value<'_> {
        let call = self.call();
        let found = match field {
            Field::RequestHeaders => field_value(&call.request.head, key),
            Field::ResponseHeaders => field_value(&call.response.head, key),
            Field::ResponseTrailers => field_value(&call.response.trailers, key),
            Field::RequestCookies | Field::ResponseCookies | Field::QueryString => self
                .pairs(field)
                .into_iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            Field::LocalLabels | Field::RemoteLabels => self.label(field, key).map(Cow::Borrowed),
            _ => None,
        };
        found.map_or(Value::Absent, Value::Text)
    }

    fn keys(&self, field: Field) -> Option<Vec<String>> {
        let call = self.call();
        Some(match field {
            Field::RequestHeaders => field_names(&call.request.head),
            Field::ResponseHeaders => field_names(&call.response.head),
            Field::ResponseTrailers => field_names(&call.response.trailers),
            Field::LocalLabels | Field::RemoteLabels => self
                .label(field, REVISION_LABEL)
                .map(|_| REVISION_LABEL.to_owned())
                .into_iter()
                .collect(),
            _ => distinct_names(self.pairs(field)),
        })
    }
}

/// The only label that is known: the one that tells the revisions of a workload apart.
pub(crate) const REVISION_LABEL: &str = "pod-template-hash";

impl<'a> WholeCall<'a> {
    fn pairs(&self, field: Field) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        match field {
            Field::QueryString => query_pairs(&self.request().query),
            Field::RequestCookies => cookies(&self.call().request.head, "cookie"),
            Field::ResponseCookies => cookies(&self.call().response.head, "set-cookie"),
            _ => Vec::new(),
        }
    }

    fn label(&self, field: Field, key: &str) -> Option<&'a str> {
        let remote = match self.call().leg {
            Leg::Inbound => &self.found.src,
            Leg::Outbound => &self.found.dst,
        };
        let revision = match field {
            Field::LocalLabels => &self.found.origin.revision,
            _ => &remote.revision,
        };
        (key == REVISION_LABEL && !revision.is_empty()).then_some(revision)
    }
}

/// `HTTP/1.1` and the like, from a request's first line.
fn http1_version(head: &[u8]) -> &str {
    let line = head
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    line.rsplit(|byte| *byte == b' ')
        .next()
        .and_then(|last| std::str::from_utf8(last).ok())
        .filter(|last| last.starts_with("HTTP/"))
        .unwrap_or("")
}

/// What was read from one message so far.
#[derive(Default)]
struct Side {
    content: OnceCell<Content>,
    json: OnceCell<Option<Json>>,
}

/// The content of a body, without its coding.
enum Content {
    /// The bytes that were kept.
    AsKept,
    Decoded(Vec<u8>),
    /// It was not kept, or cannot be decoded.
    Unknown,
}

/// What one side sent in messages, as far as it was kept, a message a line; `None` where its body
/// stands for itself.
fn payloads(stream: &Stream, from: From) -> Option<Vec<u8>> {
    let from = match from {
        From::Client => End::Client,
        From::Server => End::Server,
    };
    let sent = stream
        .messages
        .iter()
        .filter(|message| message.from == from);
    let mut own = sent
        .filter(|message| message.kind != MessageKind::Event)
        .peekable();
    own.peek()?;
    let payloads: Vec<&[u8]> = own.map(|message| message.payload.as_ref()).collect();
    Some(payloads.join(&b'\n'))
}

fn content(message: &Message) -> Content {
    match message.omitted {
        None | Some(Omitted::Limit | Omitted::Head) => {}
        Some(_) => return Content::Unknown,
    }
    if message.decoded {
        return Content::AsKept;
    }
    let cut = message.omitted == Some(Omitted::Limit);
    match coding::decoded(&message.head, &message.body, cut) {
        Ok(None) => Content::AsKept,
        Ok(Some(bytes)) => Content::Decoded(bytes),
        Err(coding::Undecodable) => Content::Unknown,
    }
}

/// Whether a part of a body is missing. Bytes that are not parsed are no body, and of a long head only
/// the head was cut.
fn is_cut(message: &Message) -> bool {
    !matches!(
        message.omitted,
        None | Some(Omitted::Head | Omitted::Opaque)
    )
}

/// Text without the character that a cut went through, if it did.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => bytes,
    }
}

pub(crate) fn url<'a>(path: &'a str, query: &'a str) -> Value<'a> {
    match query {
        "" => Value::text(path),
        _ => Value::owned(format!("{path}?{query}")),
    }
}

pub(crate) fn grpc_status<'a>(status: Option<u16>) -> Value<'a> {
    status.map_or(Value::Absent, |status| Value::Int(status.into()))
}

pub(crate) fn grpc_status_name<'a>(status: Option<u16>) -> Value<'a> {
    status.map_or(Value::Absent, |status| {
        Value::Text(grpc::status_name(status))
    })
}

/// Service or method of a path, where the call is gRPC.
pub(crate) fn grpc_name(field: Field, protocol: Protocol, path: &str) -> Value<'_> {
    let names = grpc::split_path(path).filter(|_| protocol == Protocol::Grpc);
    names.map_or(Value::Absent, |(service, method)| match field {
        Field::GrpcService => Value::text(service),
        _ => Value::text(method),
    })
}

pub(crate) fn elapsed_micros<'a>(latency_ns: Option<u64>) -> Value<'a> {
    latency_ns.map_or(Value::Absent, |ns| Value::int(ns / 1_000))
}

pub(crate) fn latency_millis<'a>(latency_ns: Option<u64>) -> Value<'a> {
    latency_ns.map_or(Value::Absent, |ns| Value::Double(ns as f64 / 1e6))
}

pub(crate) fn origin_text(origin: &Origin, field: Field) -> Value<'_> {
    Value::text(match field {
        Field::Workload => &origin.workload,
        Field::Namespace => &origin.namespace,
        Field::Pod => &origin.pod,
        _ => &origin.revision,
    })
}

/// What is known of an end of a call; the text is empty where it is not known.
pub(crate) fn identified(party: &Party, identity: Identity) -> Value<'_> {
    match identity {
        Identity::Ip => Value::owned(party.address.ip().to_canonical().to_string()),
        Identity::Port => Value::Int(party.address.port().into()),
        Identity::Name => {
            let known = [&party.pod, &party.workload, &party.service];
            let first = known.into_iter().find(|text| !text.is_empty());
            Value::text(first.map_or("", String::as_str))
        }
        Identity::Workload => Value::text(&party.workload),
        Identity::Namespace => Value::text(&party.namespace),
        Identity::Pod => Value::text(&party.pod),
        Identity::Service => Value::text(&party.service),
        Identity::ServiceNamespace if party.service.is_empty() => Value::text(""),
        Identity::ServiceNamespace => Value::text(&party.namespace),
        Identity::Revision => Value::text(&party.revision),
    }
}

/// What is known of both ends together, without the empty texts.
pub(crate) fn both<'a>(field: Field, src: &'a Party, dst: &'a Party) -> Value<'a> {
    let known = |party: &'a Party| match field {
        Field::Namespaces => &party.namespace,
        Field::Pods => &party.pod,
        _ => &party.service,
    };
    let mut texts = vec![known(src)];
    if known(dst) != known(src) {
        texts.push(known(dst));
    }
    texts.retain(|text| !text.is_empty());
    Value::List(texts.into_iter().map(|text| Value::text(text)).collect())
}
