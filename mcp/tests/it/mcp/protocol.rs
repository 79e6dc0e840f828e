//! Both eras of the protocol on one URL.

use serde_json::{Value, json};

use super::{CURRENT, post, rpc};
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
