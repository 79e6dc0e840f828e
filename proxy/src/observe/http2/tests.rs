use remora_store::call::{
    CallError, Detail, Http2, Leg, MessageKind, Omitted, Protocol, Reset, Side, State,
};

use crate::budget::Budget;
use crate::observe::{ConnectionFacts, End, Limits, Observer, Recorded};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const LIMITS: Limits = Limits {
    body_bytes: 4 * 1024,
    head_bytes: 64 * 1024,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&header, payload].concat()
}

/// A field block that enters nothing into the table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    block
}

fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

fn get(stream: u32) -> Vec<u8> {
    let fields = [(":method", "GET"), (":path", "/"), (":scheme", "http")];
    head(stream, END_STREAM, &fields)
}

fn ok(stream: u32, flags: u8) -> Vec<u8> {
    head(stream, flags, &[(":status", "200")])
}

/// A connection of which both sides have said their first.
struct Watched {
    observer: Observer,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn silent() -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Inbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 80).into(),
            accepted_ns: 0,
        };
        Self {
            observer: Observer::new(facts, LIMITS, Budget::new(16 << 20)),
            now: 0,
            out: Vec::new(),
        }
    }

    fn new() -> Self {
        let mut watched = Self::silent();
        watched.client(PREFACE);
        watched.client(&frame(SETTINGS, 0, 0, &[]));
        watched.server(&frame(SETTINGS, 0, 0, &[]));
        watched
    }

    fn send(&mut self, from: Side, bytes: &[u8]) {
        self.now += 10;
        self.observer.bytes(from, bytes, self.now, &mut self.out);
    }

    fn client(&mut self, bytes: &[u8]) {
        self.send(Side::Client, bytes);
    }

    fn server(&mut self, bytes: &[u8]) {
        self.send(Side::Server, bytes);
    }

    /// Protocol, ordinal and error of what was told, in order.
    fn told(&self) -> Vec<(Protocol, u32, Option<CallError>)> {
        let calls = self.out.iter().map(|recorded| &recorded.call);
        calls
            .map(|call| (call.protocol, call.connection.ordinal, call.error))
            .collect()
    }
}

#[test]
fn a_server_may_send_its_settings_ahead_of_the_preface() {
    let mut watched = Watched::silent();
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let (first, rest) = settings.split_at(5);
    watched.server(first);
    watched.server(rest);
    watched.client(PREFACE);
    watched.client(&frame(SETTINGS, 0, 0, &[]));
    watched.client(&get(1));
    watched.server(&ok(1, END_STREAM));
    assert_eq!(watched.told(), [(Protocol::Http2, 1, None)]);
}

/// A promise of `stream`, with a request that ends with it.
fn promise(stream: u32) -> Vec<u8> {
    let fields = block(&[(":method", "GET"), (":path", "/"), (":scheme", "http")]);
    let payload = [&stream.to_be_bytes()[..], &fields].concat();
    frame(PUSH_PROMISE, END_HEADERS, 1, &payload)
}

#[test]
fn a_stream_that_cannot_be_promised_is_none() {
    let mut watched = Watched::new();
    watched.client(&get(1));
    for stream in [2, 2, 3, 0, 4, 2] {
        watched.server(&promise(stream));
        watched.server(&ok(stream.max(2) & !1, END_STREAM));
    }
    watched.server(&ok(1, END_STREAM));
    let told: Vec<u32> = watched.told().iter().map(|call| call.1).collect();
    assert_eq!(told, [2, 4, 1]);
}

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
fn a_response_to_a_request_that_nobody_wanted_whole_is_no_failure() {
    let mut watched = Watched::new();
    watched.client(&head(1, 0, &[(":method", "POST"), (":path", "/")]));
    watched.client(&frame(DATA, 0, 1, b"half"));
    watched.server(&ok(1, END_STREAM));
    assert!(watched.out.is_empty(), "the request goes on");
    watched.server(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 0]));
    let call = &watched.out[0].call;
    assert_eq!((call.error, call.state), (None, State::Complete));
    let reset = Some(Reset {
        by: Side::Server,
        code: 0,
    });
    let pushed = false;
    assert_eq!(call.detail, Detail::Http2(Http2 { reset, pushed }));
}

#[test]
fn streams_that_a_goaway_leaves_out_were_refused() {
    let mut watched = Watched::new();
    for stream in [1, 3, 5] {
        watched.client(&get(stream));
    }
    watched.server(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
    watched.client(&get(7));
    watched.server(&ok(1, END_STREAM));
    let refused = Some(CallError::ServerRefused);
    let streams = [(3, refused), (5, refused), (7, refused), (1, None)];
    assert_eq!(
        watched.told(),
        streams.map(|(stream, error)| (Protocol::Http2, stream, error))
    );
}

#[test]
fn a_stream_that_is_given_up_ends_then_though_its_connection_goes_on() {
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let mut watched = Watched::new();
    for stream in [1, 3, 5, 7] {
        watched.client(&get(stream));
    }
    watched.client(&reset(1));
    watched.server(&reset(3));
    let goaway_at = watched.now + 10;
    watched.server(&frame(GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]));
    watched.server(&frame(HEADERS, END_HEADERS, 5, &[0x80]));
    watched
        .observer
        .closed(Side::Client, 1000, &mut watched.out);
    let ended: Vec<_> = watched
        .out
        .iter()
        .map(|it| (it.call.connection.ordinal, it.call.phases.closed))
        .collect();
    let at = |since: u64| Some(goaway_at + since - 20);
    assert_eq!(
        ended[..4],
        [(1, at(0)), (3, at(10)), (7, at(20)), (5, at(30))]
    );
}

#[test]
fn what_comes_for_a_stream_that_is_over_belongs_to_no_call() {
    let mut watched = Watched::new();
    watched.client(&get(1));
    watched.client(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    watched.server(&ok(1, 0));
    watched.server(&frame(DATA, END_STREAM, 1, b"late"));
    watched.client(&get(3));
    watched.server(&ok(3, END_STREAM));
    assert_eq!(
        watched.told(),
        [
            (Protocol::Http2, 1, Some(CallError::ClientCancelled)),
            (Protocol::Http2, 3, None)
        ]
    );
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
    let streams = u32::try_from(super::STREAMS).unwrap() + 5;
    let mut watched = Watched::new();
    for stream in 0..streams {
        watched.client(&get(2 * stream + 1));
    }
    assert_eq!(watched.observer.take_dropped(), 5);
    watched.observer.closed(Side::Client, 9, &mut watched.out);
    assert_eq!(watched.out.len(), super::STREAMS);
}

#[test]
fn messages_of_a_running_call_are_told() {
    let mut watched = Watched::new();
    let grpc = [
        (":method", "POST"),
        (":path", "/a.B/C"),
        ("content-type", "application/grpc+proto"),
    ];
    watched.client(&head(1, 0, &grpc));
    watched.client(&frame(DATA, 0, 1, b"\0\0\0\0\x02hi\0\0\0"));
    watched.client(&frame(DATA, 0, 1, b"\0\x03you\x01\0\0\0\x05ha"));
    let mut open = Vec::new();
    watched.observer.open_calls(watched.now, &mut open);
    let stream = open[0].stream.as_ref().expect("there are messages");
    assert_eq!((stream.client_messages, stream.server_messages), (2, 0));
    let kept: Vec<_> = stream
        .messages
        .iter()
        .map(|m| (m.kind, m.at, &m.payload[..]))
        .collect();
    assert_eq!(
        kept,
        [
            (MessageKind::Grpc, 50, &b"hi"[..]),
            (MessageKind::Grpc, 60, &b"you"[..])
        ]
    );
    watched.client(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    let call = &watched.out[0].call;
    assert_eq!(
        (call.protocol, call.error),
        (Protocol::Grpc, Some(CallError::ClientCancelled))
    );
    assert_eq!((call.request.body.len(), call.request.body_size), (0, 22));
    let stream = call.stream.as_ref().unwrap();
    assert_eq!(stream.client_messages, 2, "the third has no end");
    assert_eq!(call.request.omitted, Some(Omitted::Opaque));
}

#[test]
fn a_tunnel_is_counted_and_a_websocket_read() {
    let mut watched = Watched::new();
    watched.client(&head(
        1,
        0,
        &[(":method", "CONNECT"), (":authority", "a:1")],
    ));
    let websocket = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":path", "/chat"),
    ];
    watched.client(&head(3, 0, &websocket));
    watched.server(&[ok(1, 0), ok(3, 0)].concat());
    for stream in [1, 3] {
        watched.server(&frame(DATA, 0, stream, b"\x81\x02hi"));
        watched.client(&frame(DATA, END_STREAM, stream, b"\x88\x80\0\0\0\0"));
        watched.server(&frame(DATA, END_STREAM, stream, b"\x88\0"));
    }
    assert_eq!(
        watched.told(),
        [(Protocol::Http2, 1, None), (Protocol::WebSocket, 3, None)]
    );
    let tunnel = &watched.out[0].call;
    assert_eq!(
        (tunnel.request.body_size, tunnel.response.body_size),
        (6, 6)
    );
    assert_eq!(tunnel.response.omitted, Some(Omitted::Opaque));
    let stream = watched.out[1].call.stream.as_ref().unwrap();
    assert_eq!((stream.client_messages, stream.server_messages), (0, 1));
    assert_eq!(&stream.messages[0].payload[..], b"hi");
}

#[test]
fn an_upgraded_connection_goes_on_with_the_request_as_its_first_stream() {
    let mut watched = Watched::silent();
    watched.client(b"GET /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \r\n\r\n");
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    watched.server(&[&switch[..], &frame(SETTINGS, 0, 0, &[]), &ok(1, 0)].concat());
    watched.client(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(3)].concat());
    watched.server(&frame(DATA, END_STREAM, 1, b"hello"));
    watched.server(&ok(3, END_STREAM));
    watched
        .observer
        .end(Side::Client, End::Closed, 90, &mut watched.out);
    assert_eq!(
        watched.told(),
        [(Protocol::Http2, 0, None), (Protocol::Http2, 3, None)]
    );
    let call = &watched.out[0].call;
    assert!(call.request.head.starts_with(b"GET /a HTTP/1.1\r\n"));
    assert_eq!(&call.interim[..], switch);
    assert_eq!(&call.response.head[..], b":status: 200\r\n");
    assert_eq!(&call.response.body[..], b"hello");
    assert_eq!(call.phases.response_first, Some(20));
}
