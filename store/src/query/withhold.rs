//! Taking out of a call what its asker may not see: what was sent in bodies and messages. Heads, trailers, sizes, times and
//! counts stay.

use bytes::Bytes;

use crate::call::{Call, Message, Stream, StreamMessage};

/// Takes bodies and payloads out.
///
/// Each field is named, so that one which is added is decided over here.
pub(super) fn withhold(call: &mut Call) {
    let Call {
        time_ns: _,
        protocol: _,
        leg: _,
        engine: _,
        state: _,
        probe: _,
        src: _,
        dst: _,
        connection: _,
        request,
        response,
        interim: _,
        phases: _,
        closed_by: _,
        error: _,
        // Of head and body together, under a key that nobody is told; legs are joined by it.
        join_digest: _,
        detail: _,
        stream,
        fault: _,
        secure: _,
    } = call;
    withhold_body(request);
    withhold_body(response);
    if let Some(Stream {
        client_messages: _,
        server_messages: _,
        messages,
    }) = stream.as_deref_mut()
    {
        messages.iter_mut().for_each(withhold_payload);
    }
}

fn withhold_body(message: &mut Message) {
    let Message {
        head: _,
        body,
        body_size: _,
        // Tells which bodies are the same.
        body_digest,
        trailers: _,
        omitted: _,
        decoded: _,
    } = message;
    *body = Bytes::new();
    *body_digest = None;
}

fn withhold_payload(message: &mut StreamMessage) {
    let StreamMessage {
        from: _,
        kind: _,
        at: _,
        size: _,
        compressed: _,
        payload,
        decoded: _,
        omitted: _,
    } = message;
    *payload = Bytes::new();
}
