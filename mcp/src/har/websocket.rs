//! The messages of a WebSocket in the field `_webSocketMessages`, as Chrome's developer tools write and
//! read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remora_store::call::{MessageKind, Side, StreamMessage};
use remora_store::query::FoundCall;
use serde::Serialize;

use crate::call_json::{BODIES_TAKE, NOT_PERMITTED};

/// One message, or one control frame.
#[derive(Debug, Serialize)]
pub(super) struct WebSocketMessage {
    /// `send` or `receive`, as the client has it.
    r#type: &'static str,
    /// When its last byte passed: seconds since the Unix epoch.
    time: f64,
    /// As on the wire (RFC 6455 section 5.2).
    opcode: u8,
    /// The text of a text message, and of any other base64.
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// The messages of a WebSocket that were kept, in the order in which they ended.
pub(super) fn messages(found: &FoundCall) -> Vec<WebSocketMessage> {
    let call = &found.call;
    let began = call.phases.request_first.unwrap_or_default();
    let messages = call.stream.iter().flat_map(|stream| &stream.messages);
    let shown = messages.filter_map(|message| {
        let since_ns = i64::try_from(message.at.saturating_sub(began)).unwrap_or(i64::MAX);
        Some(WebSocketMessage {
            r#type: match message.from {
                Side::Server => "receive",
                Side::Client | Side::Sidecar => "send",
            },
            // To the microsecond, which is what such a number has room for.
            time: (call.time_ns.saturating_add(since_ns) / 1_000) as f64 / 1e6,
            opcode: opcode(message.kind)?,
            data: data(message),
            comment: match found.withheld && message.size > 0 {
                true => Some(format!("withheld ({NOT_PERMITTED}): {BODIES_TAKE}")),
                false => comment(message),
            },
        })
    });
    shown.collect()
}

fn opcode(kind: MessageKind) -> Option<u8> {
    match kind {
        MessageKind::Text => Some(1),
        MessageKind::Binary => Some(2),
        MessageKind::Close => Some(8),
        MessageKind::Ping => Some(9),
        MessageKind::Pong => Some(10),
        MessageKind::Grpc | MessageKind::Event | MessageKind::Push | MessageKind::Other => None,
    }
}

fn data(message: &StreamMessage) -> String {
    let is_text = message.kind == MessageKind::Text && !is_deflated(message);
    match is_text {
        true => String::from_utf8_lossy(&message.payload).into_owned(),
        false => STANDARD.encode(&message.payload),
    }
}

/// Whether the payload is still compressed, because that could not be undone.
fn is_deflated(message: &StreamMessage) -> bool {
    message.compressed && !message.decoded
}

/// What a reader must know who takes the data for the message.
fn comment(message: &StreamMessage) -> Option<String> {
    let mut notes = Vec::new();
    if let Some(omitted) = message.omitted {
        let (kept, sent) = (message.payload.len(), message.size);
        notes.push(format!(
            "truncated ({omitted}): {kept} bytes were kept of {sent} on the wire"
        ));
    }
    if is_deflated(message) && !message.payload.is_empty() {
        notes.push("the compression could not be undone".to_owned());
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}
