//! Which streams are calls, and how each ends.

use super::*;

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
