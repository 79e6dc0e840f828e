//! Both eras of the protocol on one URL.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::{CURRENT, post, rpc};
use crate::http::send;
use crate::hub::TestHub;

fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }})
}

#[tokio::test]
async fn older_clients_are_served_without_a_session() {
    let hub = TestHub::with_shop().await;
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let answer = post(&hub, &[], initialize(version)).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], version);
        assert!(answer.headers.get("mcp-session-id").is_none());
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "recorder_status", "arguments": {}}});
        let answer = post(&hub, &[("mcp-protocol-version", version)], call).await;
        assert_eq!(
            answer.json()["result"]["structuredContent"]["calls"],
            30,
            "{version}"
        );
    }
}

#[tokio::test]
async fn discovery_says_who_this_is_and_how_to_work_with_it() {
    let hub = TestHub::start().await;
    let result = rpc(&hub, "server/discover", json!({})).await["result"].clone();
    assert!(
        result["supportedVersions"]
            .as_array()
            .unwrap()
            .contains(&json!(CURRENT))
    );
    assert!(result["ttlMs"].as_u64().unwrap() > 0);
    assert_eq!(result["instructions"], remora_mcp::mcp::INSTRUCTIONS);
}

#[tokio::test]
async fn the_list_of_tools_is_as_reviewed() {
    let hub = TestHub::start().await;
    let result = rpc(&hub, "tools/list", json!({})).await["result"].clone();
    assert!(result["ttlMs"].as_u64().unwrap() > 0);
    insta::assert_json_snapshot!(result["tools"]);
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error() {
    let hub = TestHub::start().await;
    let answer = rpc(
        &hub,
        "tools/call",
        json!({"name": "call_delete", "arguments": {}}),
    )
    .await;
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test]
async fn messages_that_are_none_are_refused() {
    let hub = TestHub::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let huge = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}",
        "x".repeat(2 * 1024 * 1024)
    );
    let deep = "[".repeat(100_000);
    for (body, status) in [
        ("not json", 415..=415),
        ("[]", 400..=415),
        (deep.as_str(), 400..=415),
        (huge.as_str(), 413..=413),
    ] {
        let answer = send(
            hub.api_address(),
            Method::POST,
            "/mcp",
            &headers,
            Bytes::from(body.to_owned()),
        )
        .await;
        assert!(
            status.contains(&answer.status.as_u16()),
            "{} for {:.40}",
            answer.status,
            body
        );
    }
    let answer = send(
        hub.api_address(),
        Method::GET,
        "/mcp",
        &[("accept", "text/event-stream")],
        Bytes::new(),
    )
    .await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_header_that_contradicts_the_message_is_refused() {
    let hub = TestHub::start().await;
    let meta = json!({"io.modelcontextprotocol/protocolVersion": CURRENT, "io.modelcontextprotocol/clientCapabilities": {}});
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let answer = post(
        &hub,
        &[
            ("mcp-protocol-version", CURRENT),
            ("mcp-method", "tools/call"),
        ],
        message,
    )
    .await;
    assert_eq!(answer.status, 400);
}
