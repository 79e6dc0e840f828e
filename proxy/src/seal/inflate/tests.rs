use flate2::{Compress, Compression, FlushCompress};
use remora_store::call::{MessageKind, Stream};

use super::*;
use crate::redact::tests::call;

const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn message(from: Side, payload: &[u8]) -> StreamMessage {
    StreamMessage {
        from,
        kind: MessageKind::Text,
        at: 1,
        size: payload.len() as u64,
        compressed: true,
        payload: Bytes::copy_from_slice(payload),
        decoded: false,
        omitted: None,
    }
}

/// A WebSocket with this answer to `Sec-WebSocket-Extensions`, and these messages.
fn websocket(extensions: &str, messages: Vec<StreamMessage>) -> Call {
    let mut call = call();
    call.protocol = Protocol::WebSocket;
    let head = format!("HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n");
    call.response.head = Bytes::from(head);
    call.stream = Some(Box::new(Stream {
        messages,
        ..Stream::default()
    }));
    call
}

/// Inflates; gives the payloads, and `None` for those that could not be had.
fn inflated(call: &mut Call) -> Vec<Option<Vec<u8>>> {
    inflate(call);
    let messages = &call.stream.as_ref().unwrap().messages;
    let payload = |message: &StreamMessage| {
        let uninspectable = message.omitted == Some(Omitted::Uninspectable);
        assert_eq!(message.decoded, !uninspectable);
        (!uninspectable).then(|| message.payload.to_vec())
    };
    messages.iter().map(payload).collect()
}

fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// The messages as a sender compresses them that goes on with one window.
fn deflated(contents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut state = Compress::new(Compression::default(), false);
    let one = |content: &Vec<u8>| {
        let mut out = Vec::with_capacity(content.len() + 100);
        state
            .compress_vec(content, &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    };
    contents.iter().map(one).collect()
}

/// RFC 7692 section 7.2.3.
#[test]
fn the_examples_of_the_rfc_are_read() {
    for payload in [
        HELLO,
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0x00,
        ],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    ] {
        let mut call = websocket("permessage-deflate", vec![message(Side::Client, payload)]);
        assert_eq!(inflated(&mut call), [text("Hello")]);
    }
    let shared = [HELLO, &[0xf2, 0x00, 0x11, 0x00, 0x00]];
    let messages = shared.map(|payload| message(Side::Server, payload)).into();
    let mut call = websocket("permessage-deflate", messages);
    assert_eq!(inflated(&mut call), [text("Hello"), text("Hello")]);
}

#[test]
fn each_direction_has_a_window_of_its_own() {
    let contents: Vec<_> = (0..40)
        .map(|i| format!("{{\"order\":{i},\"item\":\"a thing\"}}").into_bytes())
        .collect();
    let [client, server] = [deflated(&contents), deflated(&contents)];
    let messages = client
        .iter()
        .zip(&server)
        .flat_map(|(c, s)| [message(Side::Client, c), message(Side::Server, s)])
        .collect();
    let mut call = websocket("permessage-deflate", messages);
    let expected: Vec<_> = contents
        .iter()
        .flat_map(|content| [Some(content.clone()), Some(content.clone())])
        .collect();
    assert_eq!(inflated(&mut call), expected);
    assert_eq!(call.request.omitted, None);
}

#[test]
fn behind_a_message_that_was_cut_the_window_is_lost() {
    let contents = [b"first".to_vec(), vec![b'x'; 50_000], b"third".to_vec()];
    let payloads = deflated(&contents);
    let mut messages: Vec<_> = payloads.iter().map(|p| message(Side::Client, p)).collect();
    messages[1].payload.truncate(40);
    messages[1].omitted = Some(Omitted::Limit);
    let mut cut = websocket("permessage-deflate", messages.clone());
    let found = inflated(&mut cut);
    assert_eq!(found[0], text("first"));
    let second = found[1].as_ref().unwrap();
    assert!(contents[1].starts_with(second), "the beginning is kept");
    assert_eq!(found[2], None);
    assert_eq!(cut.request.omitted, Some(Omitted::Uninspectable));
}

#[test]
fn who_begins_anew_is_followed_again() {
    let broken = message(Side::Client, &[0xff; 20]);
    let whole = message(Side::Client, HELLO);
    let messages = vec![broken, whole];
    let mut goes_on = websocket("permessage-deflate", messages.clone());
    assert_eq!(inflated(&mut goes_on), [None, None]);
    let resets = "permessage-deflate; client_no_context_takeover";
    assert_eq!(
        inflated(&mut websocket(resets, messages.clone())),
        [None, text("Hello")]
    );
    let other = "permessage-deflate; server_no_context_takeover";
    assert_eq!(inflated(&mut websocket(other, messages)), [None, None]);
}

#[test]
fn a_window_is_gone_behind_a_final_block() {
    let last = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let messages = [last, HELLO].map(|payload| message(Side::Client, payload));
    let mut call = websocket("permessage-deflate", messages.into());
    assert_eq!(inflated(&mut call), [text("Hello"), None]);
    let many: Vec<u8> = [0x03, 0x00].repeat(1_000);
    let mut call = websocket("permessage-deflate", vec![message(Side::Client, &many)]);
    assert_eq!(inflated(&mut call), [None]);
}

#[test]
fn more_than_honest_senders_send_is_not_inflated() {
    let payloads = deflated(&[vec![0; 8 << 20], b"next".to_vec()]);
    let messages = payloads.iter().map(|p| message(Side::Server, p)).collect();
    let mut call = websocket("permessage-deflate", messages);
    assert_eq!(inflated(&mut call), [None, None]);
}

#[test]
fn what_another_extension_made_is_not_kept() {
    let plain = StreamMessage {
        compressed: false,
        ..message(Side::Client, b"plain")
    };
    let messages = vec![message(Side::Client, HELLO), plain];
    let mut call = websocket("x-other", messages);
    inflate(&mut call);
    let messages = &call.stream.as_ref().unwrap().messages;
    assert_eq!(messages[0].omitted, Some(Omitted::Uninspectable));
    assert_eq!(messages[1].payload, "plain");
}

#[test]
fn a_message_that_was_not_kept_says_why_itself() {
    let mut messages: Vec<_> = (0..3).map(|_| message(Side::Client, HELLO)).collect();
    for message in &mut messages[..2] {
        message.payload = Bytes::new();
        message.omitted = Some(Omitted::Limit);
    }
    let mut call = websocket("permessage-deflate", messages);
    inflate(&mut call);
    let messages = &call.stream.as_ref().unwrap().messages;
    let omitted: Vec<_> = messages.iter().map(|message| message.omitted).collect();
    let limit = Some(Omitted::Limit);
    assert_eq!(omitted, [limit, limit, Some(Omitted::Uninspectable)]);
}
