//! What is kept of bodies and messages, cut to the user's limit.

use remora_store::call::{Call, Message, MessageKind, Omitted, Side, StreamMessage};

/// Bytes of a Close frame that are its code (RFC 6455 section 5.5.1), which is no content.
const CLOSE_CODE_BYTES: usize = 2;

/// Cuts each direction to `limit` bytes. Control frames of WebSocket have that limit each, since the
/// last of them is the one that tells most.
pub(super) fn cut(call: &mut Call, limit: usize) {
    cut_body(&mut call.request, limit);
    cut_body(&mut call.response, limit);
    let Some(stream) = &mut call.stream else {
        return;
    };
    let (mut request_room, mut response_room) = (limit, limit);
    for message in &mut stream.messages {
        let (direction, room) = match message.from {
            Side::Server => (&mut call.response, &mut response_room),
            Side::Client | Side::Sidecar => (&mut call.request, &mut request_room),
        };
        let cut = match message.kind {
            MessageKind::Close => cut_payload(message, limit.max(CLOSE_CODE_BYTES)),
            MessageKind::Ping | MessageKind::Pong => cut_payload(message, limit),
            _ => {
                let cut = cut_payload(message, *room);
                *room -= message.payload.len();
                cut
            }
        };
        if cut {
            direction.omitted.get_or_insert(Omitted::Limit);
        }
    }
}

fn cut_body(message: &mut Message, limit: usize) {
    if message.body.len() > limit {
        message.body.truncate(limit);
        message.omitted.get_or_insert(Omitted::Limit);
    }
}

fn cut_payload(message: &mut StreamMessage, room: usize) -> bool {
    if message.payload.len() <= room {
        return false;
    }
    message.payload.truncate(room);
    message.omitted.get_or_insert(Omitted::Limit);
    true
}
