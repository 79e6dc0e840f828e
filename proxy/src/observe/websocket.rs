//! WebSocket (RFC 6455): the messages of both sides, and how they took leave.
//!
//! Begins behind the handshake, over HTTP/1 or as a stream of HTTP/2. Masking is undone;
//! compression (RFC 7692) is not: who seals the record does that, off the way of the traffic.

mod frame;
mod frames;

use remora_store::call::{CallError, Omitted, Protocol, Side};

use super::Limits;
use super::draft::Draft;
use crate::extensions::Extensions;
use frames::Frames;

/// Both directions of a WebSocket.
#[derive(Debug)]
pub(super) struct WebSocket {
    client: Frames,
    server: Frames,
}

impl WebSocket {
    /// The handshake that `draft` has kept was accepted; its record becomes that of the WebSocket.
    pub(super) fn open(draft: &mut Draft) -> Self {
        draft.protocol = Protocol::WebSocket;
        draft.expect_messages();
        if let Some(messages) = &mut draft.messages {
            messages.await_closes();
        }
        let extensions = match draft.response.omitted {
            // The rest of the head may name any.
            Some(Omitted::Head) => Extensions::Unknown,
            _ => Extensions::in_head(&draft.response.head),
        };
        // Both sides go on, so neither has said its last.
        let asked = draft.phases.request_last.take();
        let answered = draft.phases.response_last.take();
        Self {
            client: Frames::new(Side::Client, extensions, asked),
            server: Frames::new(
                Side::Server,
                extensions,
                answered.or(draft.phases.response_first),
            ),
        }
    }

    /// Bytes that `from` sent behind the handshake, in pieces of any size.
    pub(super) fn bytes(
        &mut self,
        draft: &mut Draft,
        limits: &Limits,
        from: Side,
        bytes: &[u8],
        at: u64,
    ) {
        let (frames, message) = match from {
            Side::Server => (&mut self.server, &mut draft.response),
            Side::Client | Side::Sidecar => (&mut self.client, &mut draft.request),
        };
        message.body_size = message.body_size.saturating_add(bytes.len() as u64);
        let Some(messages) = &mut draft.messages else {
            message.omitted.get_or_insert(Omitted::Budget);
            return frames.skip(at);
        };
        if frames
            .read(messages, limits, &mut draft.grant, bytes, at)
            .is_err()
        {
            let error = match from {
                Side::Server => CallError::MalformedResponse,
                Side::Client | Side::Sidecar => CallError::MalformedRequest,
            };
            draft.error.get_or_insert(error);
        }
    }

    /// The WebSocket is over. `failure` is why its connection ended, whatever the reason: after a
    /// Close frame a close is none, and after one of both sides nothing is.
    pub(super) fn finish(mut self, draft: &mut Draft, failure: Option<CallError>) {
        if let Some(messages) = &mut draft.messages {
            self.client.end(messages);
            self.server.end(messages);
        }
        draft.phases.request_last = self.client.last_byte();
        draft.phases.response_last = self.server.last_byte();
        let leave = [self.client.has_closed(), self.server.has_closed()];
        let failure = match leave {
            [true, true] => None,
            [false, false] => failure,
            _ => failure
                .filter(|why| !matches!(why, CallError::ClientClosed | CallError::ServerClosed)),
        };
        draft.error = draft.error.or(failure);
    }
}
