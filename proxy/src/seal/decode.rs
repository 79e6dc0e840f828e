//! The compression of gRPC's messages, undone within bounds: each stands for itself, coded as the
//! head of its direction says. What cannot be undone is not kept, since nobody could look for
//! secrets in it.

use bytes::Bytes;
use remora_store::call::{Call, Omitted, Protocol, Side};
use remora_store::coding::{self, Undecodable};
use remora_store::head;

/// Decodes the messages of a gRPC call in place.
pub(super) fn decode(call: &mut Call) {
    if call.protocol != Protocol::Grpc {
        return;
    }
    let messages = call.stream.iter_mut().flat_map(|s| &mut s.messages);
    for message in messages.filter(|message| message.compressed) {
        let direction = match message.from {
            Side::Server => &mut call.response,
            Side::Client | Side::Sidecar => &mut call.request,
        };
        let cut = message.omitted.is_some();
        let content = head::find_field(&direction.head, b"grpc-encoding")
            .ok_or(Undecodable)
            .and_then(|coding| coding::decoded_message(coding, &message.payload, cut));
        match content {
            Ok(content) => {
                message.payload = Bytes::from(content);
                message.decoded = true;
            }
            Err(Undecodable) => {
                message.payload = Bytes::new();
                message.omitted = Some(Omitted::Uninspectable);
                direction.omitted.get_or_insert(Omitted::Uninspectable);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use remora_store::call::{MessageKind, Stream, StreamMessage};

    use super::*;

    fn compressed(coding: &str, payload: &[u8]) -> Call {
        let mut call = crate::redact::tests::call();
        call.protocol = Protocol::Grpc;
        call.response.head = Bytes::from(format!(":status: 200\r\ngrpc-encoding: {coding}\r\n"));
        call.stream = Some(Box::new(Stream {
            server_messages: 1,
            messages: vec![StreamMessage {
                from: Side::Server,
                kind: MessageKind::Grpc,
                at: 1,
                size: payload.len() as u64,
                compressed: true,
                payload: Bytes::copy_from_slice(payload),
                decoded: false,
                omitted: None,
            }],
            ..Stream::default()
        }));
        decode(&mut call);
        call
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_message_is_decoded_as_its_head_says() {
        let call = compressed("gzip", &gzip(b"an order"));
        let message = &call.stream.unwrap().messages[0];
        assert_eq!(
            (&message.payload[..], message.decoded),
            (&b"an order"[..], true)
        );
        assert_eq!(call.response.omitted, None);
    }

    #[test_case::test_case("snappy", b"an order"; "an unknown coding")]
    #[test_case::test_case("identity", b"an order"; "a coding that is none")]
    #[test_case::test_case("gzip", b"an order"; "broken data")]
    #[test_case::test_case("gzip", &gzip(&vec![0; 8 << 20]); "too much of it")]
    fn what_cannot_be_decoded_is_not_kept(coding: &str, payload: &[u8]) {
        let call = compressed(coding, payload);
        let message = &call.stream.unwrap().messages[0];
        assert_eq!(message.payload.len(), 0);
        assert_eq!(message.omitted, Some(Omitted::Uninspectable));
        assert_eq!(call.response.omitted, Some(Omitted::Uninspectable));
    }
}
