//! Secrets in messages: masked like those in bodies, wherever the call told them first.

use remora_store::call::{MessageKind, Side, Stream, StreamMessage};
use test_case::test_case;

use super::*;

fn message(from: Side, kind: MessageKind, payload: impl Into<Bytes>) -> StreamMessage {
    let payload = payload.into();
    StreamMessage {
        from,
        kind,
        at: 1,
        size: payload.len() as u64,
        compressed: false,
        payload,
        decoded: false,
        omitted: None,
    }
}

fn masked(mut call: Call, messages: Vec<StreamMessage>) -> (Call, Vec<StreamMessage>) {
    call.protocol = Protocol::WebSocket;
    call.stream = Some(Box::new(Stream {
        messages,
        ..Stream::default()
    }));
    redact(&mut call);
    let messages = std::mem::take(&mut call.stream.as_mut().unwrap().messages);
    (call, messages)
}

#[test_case(r#"{"password":"hunter2"}"#, r#"{"password":"[redacted secret # 7 text]"}"#; "a field")]
#[test_case("42[\"auth\",{\"token\":\"hunter2\"}]", "42[\"auth\",{\"token\":\"[redacted secret # 7 text]\"}]"; "socket.io")]
#[test_case("CONNECT\nAuthorization: Bearer abc123def456xyz\n\n\0", "CONNECT\nAuthorization: Bearer [redacted bearer #]\n\n\0"; "stomp")]
#[test_case("hello", "hello"; "nothing to hide")]
fn a_message_is_masked_whatever_its_kind(payload: &str, expected: &str) {
    for kind in [MessageKind::Text, MessageKind::Binary, MessageKind::Ping] {
        let payload = payload.to_owned();
        let (_, messages) = masked(call(), vec![message(Side::Client, kind, payload)]);
        assert_eq!(untagged(&messages[0].payload), expected);
    }
}

#[test]
fn a_secret_of_the_handshake_is_masked_in_messages_and_the_reverse() {
    let mut call = call();
    call.request.head = Bytes::from(
        "GET /chat HTTP/1.1\r\nAuthorization: Bearer abc123def456xyz\r\nX-Trace: zyx654fed321cba\r\n\r\n",
    );
    let messages = vec![
        message(Side::Server, MessageKind::Text, "hello abc123def456xyz"),
        message(
            Side::Client,
            MessageKind::Text,
            r#"{"token":"zyx654fed321cba"}"#,
        ),
        message(Side::Server, MessageKind::Text, "welcome zyx654fed321cba"),
    ];
    let (call, messages) = masked(call, messages);
    assert_eq!(untagged(&messages[0].payload), "hello [redacted bearer #]");
    assert_eq!(
        untagged(&messages[2].payload),
        "welcome [redacted secret #]"
    );
    assert!(untagged(&call.request.head).contains("X-Trace: [redacted secret #]"));
}

#[test]
fn the_beginning_of_a_token_at_the_end_of_a_cut_message_is_masked() {
    let mut cut = message(Side::Client, MessageKind::Text, "Bearer abc123def4");
    cut.omitted = Some(Omitted::Limit);
    let (_, messages) = masked(call(), vec![cut]);
    assert_eq!(untagged(&messages[0].payload), "Bearer [redacted bearer #]");
}

#[test]
fn a_compressed_file_in_a_message_is_looked_into() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(br#"{"password":"hunter2"}"#).unwrap();
    let file = encoder.finish().unwrap();
    let broken = [&file[..10], b"broken"].concat();
    let messages = vec![
        message(Side::Server, MessageKind::Binary, file),
        message(Side::Server, MessageKind::Binary, broken),
    ];
    let (call, messages) = masked(call(), messages);
    let expected = r#"{"password":"[redacted secret # 7 text]"}"#;
    assert_eq!(untagged(&messages[0].payload), expected);
    assert!(messages[0].decoded);
    assert_eq!(messages[1].payload, "");
    assert_eq!(messages[1].omitted, Some(Omitted::Uninspectable));
    assert_eq!(call.response.omitted, Some(Omitted::Uninspectable));
}

#[test]
fn what_is_still_compressed_does_not_leave() {
    let mut coded = message(Side::Client, MessageKind::Text, "f2 48 cd");
    coded.compressed = true;
    let (_, messages) = masked(call(), vec![coded]);
    assert_eq!(messages[0].payload, "");
    assert_eq!(messages[0].omitted, Some(Omitted::Uninspectable));
}
