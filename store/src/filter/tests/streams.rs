//! Filters over gRPC and WebSockets.

use test_case::test_case;

use super::*;

/// A call that went well, one that failed and one that was given up, all of gRPC; and a WebSocket.
fn streams() -> Vec<FoundCall> {
    let well = crate::testing::grpc_call(5, "/shop.v1.Orders/Get", Some(0));
    let mut wrong = crate::testing::grpc_call(5, "/shop.v1.Orders/Put", Some(13));
    wrong.response.trailers = "grpc-status: 13\r\nx-shard: 4\r\n".into();
    let mut given_up = crate::testing::grpc_call(5, "/shop.v1.Watch/Watch", None);
    given_up.error = Some(CallError::ClientCancelled);
    given_up.detail = Detail::Http2(Http2 {
        reset: Some(Reset {
            by: Side::Client,
            code: 8,
        }),
        pushed: false,
    });
    let mut socket = crate::testing::call(5, "/chat", 101);
    socket.protocol = Protocol::WebSocket;
    let message = |from, kind, payload: &'static str| StreamMessage {
        from,
        kind,
        at: 5,
        size: payload.len() as u64,
        compressed: false,
        payload: payload.into(),
        decoded: false,
        omitted: None,
    };
    socket.stream = Some(Box::new(Stream {
        client_messages: 1,
        server_messages: 2,
        messages: vec![
            message(Side::Client, MessageKind::Text, "{\"op\": \"join\"}"),
            message(Side::Server, MessageKind::Text, "welcome"),
            message(Side::Client, MessageKind::Ping, ""),
            message(Side::Server, MessageKind::Binary, "news"),
        ],
    }));
    let mut found = shop();
    for (found, call) in found.iter_mut().zip([well, wrong, given_up, socket]) {
        found.call = call;
    }
    found
}

#[test_case("grpc", &[0, 1, 2])]
#[test_case("grpc && grpc_status != 0", &[1]; "a status that is missing is absent")]
#[test_case("grpc && !has(response.trailers[\"grpc-status\"])", &[2])]
#[test_case("grpc_status_name == \"INTERNAL\"", &[1])]
#[test_case("grpc_method == \"Get\" && grpc_service == \"shop.v1.Orders\"", &[0])]
#[test_case("failed", &[1, 2])]
#[test_case("!failed && http2", &[0])]
#[test_case("status == 200", &[0, 1, 2]; "the status stays that of HTTP")]
#[test_case("http2_reset == \"CANCEL\"", &[2])]
#[test_case("error == \"client_cancelled\"", &[2])]
#[test_case("response.trailers[\"x-shard\"] == \"4\"", &[1])]
#[test_case("response_messages > 1", &[3])]
#[test_case("request_messages == 1", &[0, 1, 2, 3])]
#[test_case("ws && http1 == false", &[3])]
#[test_case("ws && ws_opcode == \"text\"", &[3])]
#[test_case("\"binary\" in ws_opcodes", &[3])]
#[test_case("ws_request_payload_data.contains(\"join\")", &[3])]
#[test_case("ws_request_payload_data.contains(\"welcome\")", &[]; "only what the client sent")]
#[test_case("response.body == \"welcome\\nnews\"", &[3]; "messages are the lines of a body")]
#[test_case("request.body.startsWith(\"\\b\")", &[0, 1, 2]; "payloads as text")]
fn filters_over_messages(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    assert_eq!(matching(&streams(), &filter), expected);
}

#[test]
fn the_flat_status_takes_a_status_of_grpc() {
    let flat: FlatFilter = serde_json::from_str(r#"{"status": "Internal"}"#).unwrap();
    let filter = Filter::from_flat(&flat).unwrap();
    assert_eq!(matching(&streams(), &filter), [1]);
}
