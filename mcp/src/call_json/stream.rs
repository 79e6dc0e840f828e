//! What passed inside the bodies of a call, in JSON: its messages, what gRPC says of it, and the end
//! of a stream of HTTP/2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remora_store::call::{Call, Detail, MessageKind, Stream, StreamMessage};
use remora_store::grpc::{Grpc, status_name};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::milliseconds;
use crate::descriptors::{Descriptors, Method};
use crate::wire;

/// What a call says as gRPC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grpc)]
pub struct GrpcJson {
    /// Full name of the service.
    #[schema(example = "shop.v1.Orders")]
    pub service: Option<String>,
    /// Name of the method.
    pub method: Option<String>,
    /// Number of the status; `null` where none was sent, or not yet.
    pub status: Option<u16>,
    /// Name of the status, such as `NOT_FOUND`.
    pub status_name: Option<String>,
    /// What the server said of the status.
    pub message: Option<String>,
    /// `unary`, `client_stream`, `server_stream` or `bidi`.
    pub kind: Option<&'static str>,
    /// Where the kind is from: `descriptors` where the service was declared to the hub, or `counts`:
    /// a stream of one message looks like none.
    pub kind_from: Option<&'static str>,
    /// How long the client was ready to wait, in milliseconds.
    pub deadline_ms: Option<f64>,
    /// How the client's messages are compressed, where it says so.
    pub request_encoding: Option<String>,
    /// The same of the server's.
    pub response_encoding: Option<String>,
}

/// What only a stream of HTTP/2 has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Http2)]
pub struct Http2Json {
    /// RST_STREAM, if one ended the stream.
    pub reset: Option<ResetJson>,
    /// The server promised the stream.
    pub pushed: bool,
}

/// A stream that one side ended early.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reset)]
pub struct ResetJson {
    /// `client` or `server`.
    pub by: &'static str,
    /// The error code.
    pub code: u32,
    /// Its name, such as `CANCEL`.
    pub name: String,
}

/// How many messages there were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageCounts)]
pub struct MessageCountsJson {
    /// From the client; control frames of WebSocket are not counted.
    pub client: u64,
    /// From the server, in the same way.
    pub server: u64,
}

/// One message inside a body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamMessage)]
pub struct StreamMessageJson {
    /// `client` or `server`.
    pub from: &'static str,
    /// `grpc`, `text`, `binary`, `close`, `ping`, `pong`, `event`, or `push` of Redis.
    pub kind: &'static str,
    /// When its last byte was read: milliseconds from the first byte of the request.
    pub at_ms: f64,
    /// Its size on the wire in bytes, without framing.
    pub size: u64,
    /// Whether it was compressed on the wire.
    pub compressed: bool,
    /// What was kept of it; `null` where nothing was. Of a server-sent event its fields as sent.
    pub payload: Option<String>,
    /// How `payload` is written: `utf-8`, or `base64` where the bytes are not text.
    pub payload_encoding: Option<&'static str>,
    /// Whether the compression of the kept payload was undone.
    pub decoded: bool,
    /// Whether less of it is here than was sent.
    pub truncated: bool,
    /// Why less is here, as with bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<&'static str>,
    /// Name of its protobuf type, where the hub was given the descriptors of its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The message as JSON, by that type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    /// Fields of a protobuf message as the wire has them, `{field, type, value}` each: where its type
    /// is not known, or does not know all of them. Whether bytes are text, a message or neither is a
    /// guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Value>>,
    /// There are more fields than are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fields_cut: bool,
}

/// What a call says as gRPC; `None` where it is not.
pub(super) fn grpc(call: &Call, descriptors: &Descriptors) -> Option<GrpcJson> {
    let grpc = Grpc::of(call)?;
    let declared = method_of(&grpc, descriptors).map(|method| method.kind());
    let (kind, kind_from) = match (declared, grpc.observed) {
        (Some(kind), _) => (Some(kind.as_str()), Some("descriptors")),
        (None, Some(kind)) => (Some(kind.as_str()), Some("counts")),
        (None, None) => (None, None),
    };
    let nanoseconds = |deadline: std::time::Duration| u64::try_from(deadline.as_nanos()).ok();
    Some(GrpcJson {
        status_name: grpc.status.map(|status| status_name(status).into_owned()),
        deadline_ms: grpc.deadline.and_then(nanoseconds).map(milliseconds),
        service: grpc.service,
        method: grpc.method,
        status: grpc.status,
        message: grpc.message,
        kind,
        kind_from,
        request_encoding: grpc.request_encoding,
        response_encoding: grpc.response_encoding,
    })
}

fn method_of(grpc: &Grpc, descriptors: &Descriptors) -> Option<Method> {
    descriptors.method(grpc.service.as_deref()?, grpc.method.as_deref()?)
}

/// What only a stream of HTTP/2 has.
pub(super) fn http2(call: &Call) -> Option<Http2Json> {
    let Detail::Http2(http2) = &call.detail else {
        return None;
    };
    Some(Http2Json {
        reset: http2.reset.map(|reset| ResetJson {
            by: reset.by.as_str(),
            code: reset.code,
            name: reset.name().into_owned(),
        }),
        pushed: http2.pushed,
    })
}

impl MessageCountsJson {
    /// How many messages a call has.
    pub(crate) fn of(stream: &Stream) -> Self {
        Self {
            client: stream.client_messages,
            server: stream.server_messages,
        }
    }
}

/// The kept messages of a call, in the order in which they ended.
pub(super) fn messages(
    call: &Call,
    stream: &Stream,
    descriptors: &Descriptors,
) -> Vec<StreamMessageJson> {
    let method = Grpc::of(call).and_then(|grpc| method_of(&grpc, descriptors));
    let began = call.phases.request_first.unwrap_or_default();
    let has_events = stream
        .messages
        .iter()
        .any(|message| message.kind == MessageKind::Event);
    let mut events = match has_events {
        true => events(&call.response.body).into_iter(),
        false => Vec::new().into_iter(),
    };
    let shown = stream.messages.iter().map(|message| {
        let payload = match message.kind {
            MessageKind::Event => events.next().map(|text| (text, "utf-8")),
            _ => payload(message),
        };
        let mut json = StreamMessageJson {
            from: message.from.as_str(),
            kind: message.kind.as_str(),
            at_ms: milliseconds(message.at.saturating_sub(began)),
            size: message.size,
            compressed: message.compressed,
            payload_encoding: payload.as_ref().map(|(_, encoding)| *encoding),
            payload: payload.map(|(text, _)| text),
            decoded: message.decoded,
            truncated: message.omitted.is_some(),
            omitted: message.omitted.map(|omitted| omitted.as_str()),
            r#type: None,
            message: None,
            fields: None,
            fields_cut: false,
        };
        if message.kind == MessageKind::Grpc && message.compressed == message.decoded {
            json.read_protobuf(message, method.as_ref());
        }
        json
    });
    shown.collect()
}

fn payload(message: &StreamMessage) -> Option<(String, &'static str)> {
    if message.payload.is_empty() {
        return None;
    }
    // A gRPC message of plain letters is still no text.
    match std::str::from_utf8(&message.payload) {
        Ok(text) if message.kind != MessageKind::Grpc => Some((text.to_owned(), "utf-8")),
        _ => Some((STANDARD.encode(&message.payload), "base64")),
    }
}

impl StreamMessageJson {
    fn read_protobuf(&mut self, message: &StreamMessage, method: Option<&Method>) {
        let whole = message.omitted.is_none();
        let decoded = method
            .filter(|_| whole)
            .and_then(|method| method.decode(message.from, &message.payload));
        let complete = decoded.as_ref().is_some_and(|decoded| !decoded.unknown);
        if let Some(decoded) = decoded {
            self.r#type = Some(decoded.r#type);
            self.message = Some(decoded.value);
        }
        if !complete && let Some(read) = wire::fields(&message.payload, !whole) {
            self.fields_cut = read.cut;
            self.fields = Some(read.fields);
        }
    }
}

/// The events in the kept part of a body, in order (WHATWG HTML, section 9.2.6): what stands before
/// each empty line and has a `data` field.
fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_data = |line: &str| line == "data" || line.starts_with("data:");
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
    blocks
        .filter(|block| block.lines().any(is_data))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_at_their_empty_lines() {
        let body =
            b"\xef\xbb\xbf: hello\r\n\r\nid: 1\r\ndata: a\r\n\r\n\n\nevent: x\rdata\r\rdata: cut";
        assert_eq!(
            events(body),
            ["id: 1\ndata: a", "event: x\ndata", "data: cut"]
        );
    }
}
