//! The messages of a call, and what gRPC and HTTP/2 say of it, for reading. All of it stands inside the
//! fence.

use remora_store::call::{MessageKind, Side};
use serde_json::Value;

use super::{LINE_BYTES, why_less};
use crate::call_json::{CallJson, StreamMessageJson};
use crate::tools::fence::Fence;

/// Whether what `from` sent was kept as messages, and not as a body.
pub(super) fn hold_payloads(json: &CallJson, from: Side) -> bool {
    let is_own = |message: &StreamMessageJson| {
        message.from == from.as_str() && message.kind != MessageKind::Event.as_str()
    };
    json.messages.iter().flatten().any(is_own)
}

/// Writes the kept messages, one a line, at most `bytes` of them; of JSON and decoded ones only the
/// part at `pointer`, where one is given.
pub(super) fn write(json: &CallJson, bytes: usize, pointer: Option<&str>, fence: &mut Fence) {
    let (Some(counts), Some(messages)) = (&json.message_counts, &json.messages) else {
        return;
    };
    let kept = messages.len();
    let line = format!(
        "[messages: {} from the client, {} from the server; {kept} kept]",
        counts.client, counts.server
    );
    fence.line(&line, LINE_BYTES);
    let room = fence.len() + bytes;
    for (index, message) in messages.iter().enumerate() {
        let left = room.saturating_sub(fence.len());
        if left == 0 {
            let more = format!(
                "… {} more messages: parts=[\"messages\"], body_bytes=10000",
                kept - index
            );
            return fence.line(&more, LINE_BYTES);
        }
        fence.line(
            &format!("{} {}", facts(message), content(message, pointer)),
            left,
        );
    }
}

fn facts(message: &StreamMessageJson) -> String {
    let what = message.r#type.as_deref().unwrap_or(message.kind);
    let compressed = match (message.compressed, message.decoded) {
        (true, false) => ", compressed",
        _ => "",
    };
    let omitted = why_less(message.omitted);
    format!(
        "{} +{:.3} ms {what} {} bytes{compressed}{omitted}:",
        message.from, message.at_ms, message.size
    )
}

fn content(message: &StreamMessageJson, pointer: Option<&str>) -> String {
    if let Some(pointer) = pointer {
        let parsed = || serde_json::from_str::<Value>(message.payload.as_deref()?).ok();
        let value = message.message.clone().or_else(parsed);
        if let Some(value) = value {
            let part = value.pointer(pointer).map(Value::to_string);
            return part.unwrap_or_else(|| "[json_pointer: nothing there]".to_owned());
        }
    }
    match (&message.message, &message.fields, &message.payload) {
        (Some(value), None, _) => value.to_string(),
        (Some(value), Some(fields), _) => format!("{value}; by field number {}", by_number(fields)),
        (None, Some(fields), _) => by_number(fields),
        (None, None, Some(payload)) => payload.clone(),
        (None, None, None) => String::new(),
    }
}

/// Fields of the wire in short: `{1: 17, 2: "tea", 3: {1: 5}}`.
fn by_number(fields: &[Value]) -> String {
    let shown = fields.iter().map(|field| {
        let value = match (&field["type"], &field["value"]) {
            (kind, Value::Array(inner)) if kind == "message" => by_number(inner),
            (_, value) => value.to_string(),
        };
        format!("{}: {value}", field["field"])
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}

/// What gRPC and HTTP/2 say of the call.
pub(super) fn write_details(json: &CallJson, fence: &mut Fence) {
    if let Some(grpc) = &json.grpc {
        let status = grpc.status_name.as_deref().unwrap_or("no status");
        let message = grpc.message.as_deref().unwrap_or_default();
        let separator = if message.is_empty() { "" } else { ": " };
        let kind = match (grpc.kind, grpc.kind_from) {
            (Some(kind), Some("counts")) => format!(", {kind} as far as seen"),
            (Some(kind), _) => format!(", {kind}"),
            (None, _) => String::new(),
        };
        let deadline = grpc.deadline_ms;
        let deadline = deadline.map_or_else(String::new, |ms| format!(", deadline {ms} ms"));
        let line = format!("[gRPC {status}{separator}{message}{kind}{deadline}]");
        fence.line(&line, LINE_BYTES);
    }
    if let Some(reset) = json.http2.as_ref().and_then(|http2| http2.reset.as_ref()) {
        let line = format!("[HTTP/2 stream reset by {}: {}]", reset.by, reset.name);
        fence.line(&line, LINE_BYTES);
    }
    if json.http2.as_ref().is_some_and(|http2| http2.pushed) {
        fence.line("[HTTP/2 stream promised by the server]", LINE_BYTES);
    }
}
