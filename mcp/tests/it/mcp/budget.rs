//! What the tools cost a model that reads them.

use bytes::Bytes;
use serde_json::json;

use super::{rpc, text};
use crate::hub::TestHub;
use crate::shop::{block, inbound, origin};

/// How many bytes a token stands for, about.
const TOKEN_BYTES: f64 = 3.3;

#[tokio::test]
async fn the_list_of_tools_is_cheap() {
    let hub = TestHub::start().await;
    let tools = rpc(&hub, "tools/list", json!({})).await["result"]["tools"].to_string();
    let tokens = tools.len() as f64 / TOKEN_BYTES;
    assert!(tokens <= 6_000.0, "{tokens} tokens");
}

#[test]
fn instructions_fit_into_what_clients_keep() {
    assert!(remora_mcp::mcp::INSTRUCTIONS.chars().count() <= 2_000);
}

#[tokio::test]
async fn results_stay_within_8_kilobytes_unless_more_is_asked_for() {
    let hub = TestHub::start().await;
    let mut calls = Vec::new();
    for (i, mut call) in inbound().into_iter().cycle().take(500).enumerate() {
        let word: String = format!("{i:04}")
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        call.request.head = format!(
            "GET /a/{}/{word} HTTP/1.1\r\n{}\r\n",
            "segment/".repeat(12),
            "X-Long: header value\r\n".repeat(100)
        )
        .into();
        call.response.body = Bytes::from("0123456789".repeat(1_000));
        call.response.body_size = 10_000;
        calls.push(call);
    }
    hub.ingest(&[block(origin("orders", 0xaa), 1, &calls)])
        .await;
    for (tool, arguments) in [
        ("traffic_summary", json!({"limit": 100})),
        ("calls_search", json!({"limit": 100})),
        ("call_get", json!({"call_ids": ["c1-0"]})),
        ("call_get", json!({"call_ids": ["c1-0", "c1-1", "c1-2"]})),
        ("recorder_status", json!({})),
    ] {
        let (answer, error) = text(&hub, tool, arguments).await;
        assert!(!error, "{answer}");
        assert!(answer.len() <= 8_000, "{tool}: {} bytes", answer.len());
    }
    let (answer, _) = text(&hub, "calls_search", json!({"limit": 100})).await;
    assert!(answer.contains("more, cursor="), "{answer}");
}
