//! What cannot be read on, and what there is too much of.

use super::*;
use crate::observe::http2::STREAMS;

#[test]
fn numbers_are_given_once_where_the_client_cannot_be_read_any_more() {
    let mut watched = Watched::new();
    watched.client(&get(1));
    watched.client(&frame(CONTINUATION, 0, 1, b""));
    watched.client(b"what comes now is counted alone");
    watched.server(&promise(2));
    watched.server(&ok(2, END_STREAM));
    watched.server(&ok(1, END_STREAM));
    watched.observer.closed(Side::Client, 1, &mut watched.out);
    let told: Vec<u32> = watched.told().iter().map(|call| call.1).collect();
    assert_eq!(told, [1, 2]);
    assert_eq!(watched.told()[1].0, Protocol::Opaque);
    assert_eq!(watched.observer.take_dropped(), 1, "the promised stream");
}

#[test]
fn where_a_preface_goes_wrong_does_not_depend_on_the_cut() {
    let sent = b"PRI * HTTP/2Iz\0";
    let mut told = [sent.len(), 1].map(|piece| {
        let mut watched = Watched::silent();
        for bytes in sent.chunks(piece) {
            watched.client(bytes);
        }
        watched.observer.closed(Side::Client, 1, &mut watched.out);
        let call = watched.out.remove(0).call;
        (call.detail, call.request.body_size)
    });
    let [whole, single] = &mut told;
    assert_eq!(whole, single);
    assert_eq!(whole.1, 3, "the bytes from the first wrong one on");
}

#[test]
fn after_a_malformed_request_responses_are_still_read() {
    let mut watched = Watched::new();
    watched.client(&get(1));
    watched.client(&frame(CONTINUATION, END_HEADERS, 9, &[]));
    watched.client(b"whatever");
    watched.server(&ok(1, 0));
    watched.server(&frame(DATA, END_STREAM, 1, b"hello"));
    watched.observer.closed(Side::Client, 100, &mut watched.out);
    assert_eq!(
        watched.told(),
        [(Protocol::Http2, 1, None), (Protocol::Opaque, 2, None)]
    );
    assert_eq!(&watched.out[0].call.response.body[..], b"hello");
    let Detail::Opaque(opaque) = &watched.out[1].call.detail else {
        panic!("it is opaque");
    };
    let parsed = PREFACE.len() + 9 + get(1).len() + 9;
    assert_eq!(opaque.from_byte, parsed as u64);
    assert_eq!(opaque.reason.as_deref(), Some("malformed frames"));
    assert_eq!(watched.out[1].call.request.body_size, 8);
}

#[test]
fn after_a_malformed_response_nothing_can_be_told() {
    let mut watched = Watched::new();
    watched.client(&get(1));
    watched.server(&frame(HEADERS, END_HEADERS, 1, &[0x80]));
    watched.client(&get(3));
    watched.observer.closed(Side::Server, 100, &mut watched.out);
    assert_eq!(
        watched.told(),
        [
            (Protocol::Http2, 1, Some(CallError::MalformedResponse)),
            (Protocol::Opaque, 2, None)
        ]
    );
}

#[test]
fn a_flood_of_continuations_is_not_followed() {
    let mut watched = Watched::new();
    watched.client(&frame(HEADERS, 0, 1, &block(&[(":method", "GET")])));
    let more = frame(
        CONTINUATION,
        0,
        1,
        &block(&[("x", &"y".repeat(100))]).repeat(100),
    );
    for _ in 0..30 {
        watched.client(&more);
    }
    watched.observer.closed(Side::Client, 900, &mut watched.out);
    let [opaque] = &watched.out[..] else {
        panic!("there is one record");
    };
    let Detail::Opaque(detail) = &opaque.call.detail else {
        panic!("it is opaque");
    };
    assert_eq!(detail.reason.as_deref(), Some("field block too large"));
}

#[test]
fn a_head_that_grows_when_it_is_decoded_is_kept_up_to_the_limit() {
    let mut watched = Watched::new();
    // An entry of 4,000 bytes, and 2,000 bytes that point to it.
    let value = "v".repeat(3900);
    let mut fields = block(&[(":method", "GET")]);
    fields.extend(b"\x40\x01n\x7f\xbd\x1d");
    fields.extend(value.as_bytes());
    fields.extend([0xbe; 2000]);
    watched.client(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields));
    watched.server(&ok(1, END_STREAM));
    let call = &watched.out[0].call;
    assert_eq!(call.request.head.len(), LIMITS.head_bytes);
    assert_eq!(call.request.omitted, Some(Omitted::Head));
}

#[test]
fn streams_beyond_the_limit_are_counted_as_dropped() {
    let streams = u32::try_from(STREAMS).unwrap() + 5;
    let mut watched = Watched::new();
    for stream in 0..streams {
        watched.client(&get(2 * stream + 1));
    }
    assert_eq!(watched.observer.take_dropped(), 5);
    watched.observer.closed(Side::Client, 9, &mut watched.out);
    assert_eq!(watched.out.len(), STREAMS);
}
