//! What one side of a call sent, as filters ask for it: a body without its coding, or what was kept of
//! messages, and the same as JSON. Each is read once, when it is first asked for.

use std::cell::OnceCell;

use serde_json::Value as Json;

use super::value::Value;
use crate::call::{Call, Message, MessageKind, Omitted, Side, Stream};
use crate::coding;

/// What one side of a call sent.
pub(super) struct Sent<'a> {
    call: &'a Call,
    side: Side,
    content: OnceCell<Content>,
    json: OnceCell<Option<Json>>,
}

impl<'a> Sent<'a> {
    /// What the client sent, or the server.
    pub(super) fn by(side: Side, call: &'a Call) -> Self {
        Self {
            call,
            side,
            content: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    /// The text as far as it was kept; absent where there is none.
    pub(super) fn text(&self) -> Value<'_> {
        match (self.content(), is_cut(self.message())) {
            (Some(bytes), false) => Value::Text(String::from_utf8_lossy(bytes)),
            (Some(bytes), true) => Value::Cut(String::from_utf8_lossy(whole_characters(bytes))),
            (None, false) => Value::Absent,
            (None, true) => Value::Unknown,
        }
    }

    /// The text as JSON; absent where it is none, and not known where it was cut.
    pub(super) fn json(&self) -> Value<'_> {
        if is_cut(self.message()) {
            return Value::Unknown;
        }
        let read = || serde_json::from_slice(self.content()?).ok();
        let json = self.json.get_or_init(read);
        json.as_ref().map_or(Value::Absent, Value::json)
    }

    /// Whether anything was sent at all, kept or not.
    pub(super) fn is_something(&self) -> bool {
        let stream = self.call.stream.as_deref();
        let mut messages = stream.iter().flat_map(|stream| &stream.messages);
        self.message().body_size > 0 || messages.any(|message| message.from == self.side)
    }

    fn message(&self) -> &'a Message {
        match self.side {
            Side::Server => &self.call.response,
            Side::Client | Side::Sidecar => &self.call.request,
        }
    }

    fn content(&self) -> Option<&[u8]> {
        let message = self.message();
        let content = self.content.get_or_init(|| {
            let stream = self.call.stream.as_deref();
            let joined = stream.and_then(|stream| payloads(stream, self.side));
            joined.map_or_else(|| content(message), Content::Decoded)
        });
        match content {
            Content::AsKept => Some(&message.body),
            Content::Decoded(bytes) => Some(bytes),
            Content::Unknown => None,
        }
    }
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
fn payloads(stream: &Stream, from: Side) -> Option<Vec<u8>> {
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
