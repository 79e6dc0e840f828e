//! What passes inside the bodies of a call, piece by piece: gRPC messages, WebSocket messages and
//! server-sent events; and how a stream of HTTP/2 ended.
//!
//! What the pieces mean is read where a call is shown.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::{Omitted, Side, UnknownWord};

/// Most messages of one call that are kept; those beyond are counted. Of a WebSocket the last two
/// places are for the Close frames.
pub const MAX_KEPT_MESSAGES: usize = 1024;

/// The messages inside the bodies of a call.
///
/// A call whose payloads stand here has empty bodies with their true sizes, and
/// [`super::Message::omitted`] says whether all payloads of a direction are here whole. Server-sent
/// events are text, so their text stays in the body and only their places stand here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// How many messages the client sent, whether or not they were kept. Control frames of
    /// WebSocket are not counted.
    pub client_messages: u64,
    /// How many messages the server sent, in the same way.
    pub server_messages: u64,
    /// The first ones of both sides, in the order in which they ended; at most
    /// [`MAX_KEPT_MESSAGES`].
    pub messages: Vec<StreamMessage>,
}

/// One message inside a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMessage {
    /// Who sent it.
    pub from: Side,
    /// What it is.
    pub kind: MessageKind,
    /// When its last byte was read: nanoseconds since the connection was accepted.
    pub at: u64,
    /// Size on the wire in bytes, without framing: compressed, if it was compressed.
    pub size: u64,
    /// Whether it was compressed on the wire (RFC 7692 section 6, gRPC's Compressed-Flag).
    pub compressed: bool,
    /// Payload as far as it was kept; unmasked, and without its compression where `decoded` says so.
    pub payload: Bytes,
    /// `payload` is what was left when the compression was undone.
    pub decoded: bool,
    /// Why less of the payload was kept than was sent.
    pub omitted: Option<Omitted>,
}

/// What only a stream of HTTP/2 has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http2 {
    /// RST_STREAM, if one ended the stream (RFC 9113 section 6.4): the first of both sides.
    pub reset: Option<Reset>,
    /// The stream was promised by the server (RFC 9113 section 8.4).
    pub pushed: bool,
}

/// A stream that one side ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Who sent RST_STREAM.
    pub by: Side,
    /// Its error code (RFC 9113 section 7).
    pub code: u32,
}

impl Reset {
    /// Name of the error code, such as `CANCEL`; one that RFC 9113 does not have is written in hex.
    pub fn name(&self) -> Cow<'static, str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        match NAMES.get(self.code as usize) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("{:#x}", self.code)),
        }
    }
}

words! {
    /// What a message inside a body is.
    MessageKind {
        /// A length-prefixed message of gRPC.
        Grpc = 0 "grpc",
        /// A text message of WebSocket (RFC 6455 section 5.6).
        Text = 1 "text",
        /// A binary message of WebSocket.
        Binary = 2 "binary",
        /// A Close frame (RFC 6455 section 5.5.1).
        Close = 3 "close",
        /// A Ping frame.
        Ping = 4 "ping",
        /// A Pong frame.
        Pong = 5 "pong",
        /// A server-sent event.
        Event = 6 "event",
        /// What a server of Redis sent unasked: a published message, invalidated keys.
        Push = 7 "push",
        /// A kind that only newer sidecars know.
        Other = 254 "other",
    }
}

impl MessageKind {
    /// Whether it is one of WebSocket.
    pub const fn is_of_websocket(self) -> bool {
        matches!(
            self,
            Self::Text | Self::Binary | Self::Close | Self::Ping | Self::Pong
        )
    }
}
