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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use remora_store::call::Stream;

    use super::*;

    fn call() -> Call {
        use MessageKind::{Close, Ping, Text};
        let message = |from, kind, payload: &'static [u8]| StreamMessage {
            from,
            kind,
            at: 1,
            size: payload.len() as u64,
            compressed: false,
            payload: Bytes::from_static(payload),
            decoded: false,
            omitted: None,
        };
        let mut call = crate::redact::tests::call();
        call.stream = Some(Box::new(Stream {
            messages: vec![
                message(Side::Client, Text, b"first"),
                message(Side::Server, Text, b"answer"),
                message(Side::Client, Text, b"second"),
                message(Side::Client, Ping, b"are you there"),
                message(Side::Client, Close, b"\x03\xe8bye"),
            ],
            ..Stream::default()
        }));
        call
    }

    fn payloads(call: &Call) -> Vec<&[u8]> {
        let messages = &call.stream.as_ref().unwrap().messages;
        messages
            .iter()
            .map(|message| &message.payload[..])
            .collect()
    }

    #[test]
    fn the_limit_is_for_all_messages_of_a_direction() {
        let mut call = call();
        cut(&mut call, 8);
        let expected: [&[u8]; 5] = [b"first", b"answer", b"sec", b"are you ", b"\x03\xe8bye"];
        assert_eq!(payloads(&call), expected);
        assert_eq!(call.request.omitted, Some(Omitted::Limit));
        assert_eq!(call.response.omitted, None);
        let messages = &call.stream.unwrap().messages;
        assert_eq!(messages[0].omitted, None);
        assert_eq!(messages[2].omitted, Some(Omitted::Limit));
    }

    #[test]
    fn without_any_body_the_code_of_a_close_is_left() {
        let mut call = call();
        cut(&mut call, 0);
        let expected: [&[u8]; 5] = [b"", b"", b"", b"", b"\x03\xe8"];
        assert_eq!(payloads(&call), expected);
    }
}
