//! Calls with messages in them: gRPC, a WebSocket, server-sent events.

use std::path::PathBuf;

use bytes::Bytes;
use remora_mcp::{Config, Keep, Options};
use remora_store::call::{
    Call, Detail, Http2, MessageKind, Protocol, Reset, Side, Stream, StreamMessage,
};
use remora_store::testing::{call, grpc_call};
use serde_json::{Value, json};

use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, block, origin};

/// The descriptors of `shop.proto` beside them.
fn descriptors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/streams/shop.binpb")
}

/// A hub that has these calls.
async fn hub(descriptors: Vec<PathBuf>) -> TestHub {
    let options = Options {
        descriptors,
        ..Options::on_any_port(Keep::Memory)
    };
    let hub = TestHub::start_with(options).await;
    let answer = hub
        .ingest(&[block(origin("orders", 0xaa), 1, &calls())])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    hub
}

fn calls() -> Vec<Call> {
    vec![got(), failed(), chat(), ticks()]
}

fn message(from: Side, kind: MessageKind, ms: u64, payload: &[u8]) -> StreamMessage {
    StreamMessage {
        from,
        kind,
        at: 1_000_000 + ms * 1_000_000,
        size: payload.len() as u64,
        compressed: false,
        payload: Bytes::copy_from_slice(payload),
        decoded: false,
        omitted: None,
    }
}

/// `Get(id: 17)` gives an order, with a field that no descriptor has.
fn got() -> Call {
    let mut call = grpc_call(*BEGAN_NS, "/shop.v1.Orders/Get", Some(0));
    call.stream = Some(Box::new(Stream {
        client_messages: 1,
        server_messages: 1,
        messages: vec![
            message(Side::Client, MessageKind::Grpc, 0, b"\x08\x11"),
            message(
                Side::Server,
                MessageKind::Grpc,
                1,
                b"\x08\x11\x12\x03tea\x1a\x04\x08\x02\x10\x05\x4a\x01x",
            ),
        ],
    }));
    call
}

fn failed() -> Call {
    let mut call = grpc_call(*BEGAN_NS + 1_000_000_000, "/shop.v1.Orders/Watch", Some(13));
    call.response.trailers = "grpc-status: 13\r\ngrpc-message: out of%20tea\r\n".into();
    call.detail = Detail::Http2(Http2 {
        reset: Some(Reset {
            by: Side::Server,
            code: 0,
        }),
        pushed: false,
    });
    call
}

fn chat() -> Call {
    let mut call = call(*BEGAN_NS + 2_000_000_000, "/chat", 101);
    call.protocol = Protocol::WebSocket;
    call.response.body = Bytes::new();
    call.stream = Some(Box::new(Stream {
        client_messages: 1,
        server_messages: 1,
        messages: vec![
            message(
                Side::Client,
                MessageKind::Text,
                1,
                br#"{"op":"join","room":7}"#,
            ),
            message(Side::Client, MessageKind::Ping, 2, b""),
            message(Side::Server, MessageKind::Binary, 3, b"\x00\xff"),
        ],
    }));
    call
}

fn ticks() -> Call {
    let mut call = call(*BEGAN_NS + 3_000_000_000, "/ticks", 200);
    let body = b"data: one\n\nid: 2\ndata: two\n\n";
    call.response.body = Bytes::from_static(body);
    call.response.body_size = body.len() as u64;
    let event = |ms, size| StreamMessage {
        size,
        ..message(Side::Server, MessageKind::Event, ms, b"")
    };
    call.stream = Some(Box::new(Stream {
        client_messages: 0,
        server_messages: 2,
        messages: vec![event(1, 11), event(2, 17)],
    }));
    call
}

async fn whole(hub: &TestHub, filter: &str) -> Value {
    let filter = crate::http::encoded(filter);
    let fields = "protocol,status,error,grpc,http2,message_counts,messages,connection.reused";
    let path = format!("/api/v1/calls?fields={fields}&filter={filter}");
    let answer = hub.get(&path).await.json();
    answer["calls"][0].clone()
}

#[tokio::test]
async fn a_message_is_shown_by_field_number_where_its_type_is_not_known() {
    let hub = hub(Vec::new()).await;
    insta::assert_json_snapshot!(whole(&hub, "grpc_method == \"Get\"").await);
}

#[tokio::test]
async fn a_message_is_shown_by_name_where_its_service_was_declared() {
    let hub = hub(vec![descriptors()]).await;
    let call = whole(&hub, "grpc_method == \"Get\"").await;
    assert_eq!(call["messages"][0]["type"], "shop.v1.OrderId");
    assert_eq!(call["messages"][0]["message"], json!({"id": "17"}));
    assert_eq!(call["messages"][0]["fields"], Value::Null);
    let order = json!({"id": "17", "name": "tea", "item": {"count": 2, "unit_price": 5}});
    assert_eq!(call["messages"][1]["message"], order);
    // One of its fields has no name.
    assert_eq!(call["messages"][1]["fields"][3]["field"], 9);
    assert_eq!(
        (&call["grpc"]["kind"], &call["grpc"]["kind_from"]),
        (&json!("unary"), &json!("descriptors"))
    );
}

#[tokio::test]
async fn a_call_of_grpc_that_failed() {
    let hub = hub(vec![descriptors()]).await;
    insta::assert_json_snapshot!(whole(&hub, "failed").await);
}

#[tokio::test]
async fn a_websocket() {
    let hub = hub(Vec::new()).await;
    insta::assert_json_snapshot!(whole(&hub, "ws").await);
}

#[tokio::test]
async fn server_sent_events_are_cut_from_the_body() {
    let hub = hub(Vec::new()).await;
    let call = whole(&hub, "path == \"/ticks\"").await;
    let texts: Vec<_> = call["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["payload"])
        .collect();
    assert_eq!(texts, ["data: one", "id: 2\ndata: two"]);
}

#[tokio::test]
async fn a_model_reads_messages_inside_the_fence() {
    let hub = hub(vec![descriptors()]).await;
    let found = hub.get("/api/v1/calls?fields=id&order=oldest").await.json();
    let ids: Vec<&str> = found["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].as_str().unwrap())
        .collect();
    let arguments = json!({"call_ids": ids[..3], "parts": ["messages", "headers"]});
    let (text, _) = crate::mcp::text(&hub, "call_get", arguments).await;
    insta::assert_snapshot!(crate::mcp::timeless(&text));
    let arguments =
        json!({"call_ids": [ids[0], ids[2]], "parts": ["messages"], "json_pointer": "/room"});
    let (text, _) = crate::mcp::text(&hub, "call_get", arguments).await;
    assert!(
        text.contains("23 bytes: 7\n") || text.contains(" bytes: 7\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_model_is_told_where_the_payloads_are_that_are_in_no_body() {
    let hub = hub(Vec::new()).await;
    let found = hub.get("/api/v1/calls?fields=id&filter=grpc").await.json();
    let id = &found["calls"][0]["id"];
    let (text, _) = crate::mcp::text(&hub, "call_get", json!({"call_ids": [id]})).await;
    for which in ["request", "response"] {
        let line = format!("[{which} body, 7 bytes, kept as the messages below]\n");
        assert!(text.contains(&line), "{text}");
    }
    let arguments = json!({"call_ids": [id], "parts": ["req_body", "resp_body"]});
    let (text, _) = crate::mcp::text(&hub, "call_get", arguments).await;
    let line = "[response body, 7 bytes, kept as messages: parts=[\"messages\"]]\n";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn a_failure_of_grpc_counts_as_one() {
    let hub = hub(Vec::new()).await;
    let answer = hub
        .get("/api/v1/summary?group_by=route,status&filter=grpc")
        .await
        .json();
    let groups = answer["groups"].as_array().unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            (
                group["grpc_status"].as_str().unwrap(),
                group["errors"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("OK", 0), ("INTERNAL", 1)]);
    let (text, _) = crate::mcp::text(
        &hub,
        "calls_search",
        json!({"filter": {"status": "INTERNAL"}}),
    )
    .await;
    assert!(
        text.contains("\t/shop.v1.Orders/Watch\tINTERNAL\t"),
        "{text}"
    );
}

#[test]
fn a_bad_descriptor_set_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.binpb");
    std::fs::write(&broken, b"syntax = \"proto3\";").unwrap();
    let missing = directory.path().join("missing.binpb");
    let options = Options {
        descriptors: vec![broken.clone(), missing.clone()],
        ..Options::new(Keep::Memory)
    };
    let problems = Config::check(options).unwrap_err().0;
    for (problem, file) in problems.iter().zip([broken, missing]) {
        let file = file.display();
        assert!(
            problem.starts_with(&format!("--descriptors {file}: ")),
            "{problem}"
        );
    }
    assert_eq!(problems.len(), 2);
}
