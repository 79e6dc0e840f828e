//! What the tools cost a model that reads them.

use std::net::SocketAddr;

use bytes::Bytes;
use remora_store::call::{Call, Digest, Leg};
use remora_store::testing::call as recorded;
use serde_json::json;

use super::{call, rpc, text};
use crate::control::goodbye;
use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, block, inbound, origin};

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

/// A request to the gateway, and the ten times it asked for the same order.
fn request_and_what_it_asked(number: i64) -> Vec<Call> {
    let began_ns = *BEGAN_NS + number * 200_000_000;
    let connection = |call: &mut Call, id: i64| call.connection.id = id.unsigned_abs() + 1;
    let mut request = recorded(began_ns, &format!("/api/orders/{}", 100 + number), 200);
    request.dst = SocketAddr::from(([10, 0, 0, 7], 8080));
    request.phases.response_first = Some(80_000_000);
    request.phases.response_last = Some(81_000_000);
    connection(&mut request, 2 * number);
    let asked = (0..10).map(|place| {
        let path = format!("/rows/{}", 100 + number);
        let mut asked = recorded(began_ns + (1 + 7 * place) * 1_000_000, &path, 200);
        asked.leg = Leg::Outbound;
        asked.src = SocketAddr::from(([10, 0, 0, 7], 50_000));
        asked.dst = SocketAddr::from(([10, 0, 0, 8], 8081));
        asked.connection.ordinal = u32::try_from(place).unwrap();
        asked.response.body_digest = Some(Digest([7; 16]));
        connection(&mut asked, 2 * number + 1);
        asked
    });
    std::iter::once(request).chain(asked).collect()
}

/// The whole of a session: what is wrong with 847 calls, whether it is as expected, and a look at the proof.
#[tokio::test]
async fn a_story_of_847_calls_is_told_within_2000_tokens() {
    let hub = TestHub::start().await;
    let calls: Vec<Call> = (0..77).flat_map(request_and_what_it_asked).collect();
    assert_eq!(calls.len(), 847);
    for (calls, sequence) in calls.chunks(500).zip(1..) {
        let block = block(origin("gateway", 0xaa), sequence, calls);
        assert_eq!(hub.ingest(&[block]).await.status, 200);
    }
    goodbye(&hub, "gateway", 0xaa).await;
    let mut told = String::new();
    let made = call(
        &hub,
        "snapshot_start",
        json!({"name": "orders", "since": "-5m"}),
    )
    .await;
    let id = made["structuredContent"]["id"].clone();
    told.push_str(made["content"][0]["text"].as_str().unwrap());
    let cache = json!({"check": "cache", "args": {"filter": {"src": "gateway"}}});
    let once = json!({"check": "n_plus_one", "args": {"max_calls_per_request": 2}});
    let absent =
        json!({"check": "no_call", "args": {"filter": {"src": "gateway", "dst": "admin"}}});
    let mut evidence = Vec::new();
    for (tool, arguments) in [
        ("snapshot_wait", json!({"snapshot": id, "idle_ms": 0})),
        ("find_issues", json!({"snapshot": id})),
        (
            "verify",
            json!({"snapshot": id, "expectations": [cache, once, absent]}),
        ),
    ] {
        let answer = call(&hub, tool, arguments).await;
        assert_ne!(answer["isError"], true, "{answer}");
        told.push_str(answer["content"][0]["text"].as_str().unwrap());
        let findings = answer["structuredContent"]["findings"].as_array().cloned();
        let ids = findings.into_iter().flatten();
        let ids = ids.flat_map(|it| it["evidence"].as_array().cloned().unwrap_or_default());
        evidence.extend(ids.map(|id| id.as_str().unwrap().to_owned()));
    }
    evidence.truncate(2);
    assert_eq!(evidence.len(), 2, "{told}");
    let (shown, error) = text(&hub, "call_get", json!({"call_ids": evidence})).await;
    assert!(
        !error && evidence.iter().all(|id| shown.contains(id)),
        "{shown}"
    );
    told.push_str(&shown);
    assert!(told.contains("10 times"), "{told}");
    let tokens = told.len() as f64 / TOKEN_BYTES;
    assert!(tokens <= 2_000.0, "{tokens} tokens:\n{told}");
    println!("{tokens} tokens:\n{told}");
}
