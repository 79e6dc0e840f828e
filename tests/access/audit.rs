//! The audit: a line for each question, without what was asked.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::mcp_bridge::child::{Bridge, current, legacy};
use crate::support::api::encoded;

/// What somebody looks for, and the audit must not hold.
const LOOKED_FOR: &str = "looked-for-secretly";

#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_a_line_that_says_who_asked_what_and_not_what_for() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let id = cluster.call_of("shop").await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let heads = cluster.server.hub_token("shop", "heads", &[]);
    std::fs::write(&token, &heads).unwrap();
    let before = cluster.audit().len();

    let filter = encoded(&format!("path == '{LOOKED_FOR}'"));
    cluster
        .status(&format!("/api/v1/calls?filter={filter}"), Some(&heads))
        .await;
    cluster
        .status(&format!("/api/v1/calls/{id}"), Some(&heads))
        .await;
    cluster
        .status("/api/v1/calls?limit=none", Some(&heads))
        .await;
    let mut bridge = Bridge::start(
        &cluster.place.api(),
        &["--token-file", token.to_str().unwrap()],
    );
    let searched = json!({"name": "calls_search", "arguments": {"filter": {"src": LOOKED_FOR}}});
    let read = json!({"uri": format!("remora://calls/{id}")});
    for (method, params) in [
        ("tools/call", searched),
        ("tools/call", json!({"name": LOOKED_FOR, "arguments": {}})),
        ("resources/read", read),
    ] {
        // The protocol before 2026-07-28 says in no header what is called.
        let mut old = legacy(json!(method), method);
        old["params"] = params.clone();
        for request in [old, current(json!(method), method, params)] {
            bridge.send(&request);
            bridge.receive();
        }
    }
    bridge.finish();

    let lines = cluster.audit().split_off(before);
    let told: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["http.route"], line["mcp.name"], line["http.status"]]))
        .collect();
    let mcp = |name: &str, status: u16| json!(["/mcp", name, status]);
    assert_eq!(
        told,
        [
            json!(["/api/v1/calls", "", 200]),
            json!(["/api/v1/calls/{id}", "", 200]),
            json!(["/api/v1/calls", "", 400]),
            mcp("calls_search", 200),
            mcp("calls_search", 200),
            mcp("", 200),
            mcp("", 200),
            mcp("resources/read", 200),
            mcp("resources/read", 200),
        ]
    );
    for line in &lines {
        assert_eq!(line["user"], "system:serviceaccount:shop:heads");
        assert_eq!(
            (&line["namespaces"], &line["bodies"]),
            (&json!("1"), &json!("0"))
        );
        assert!(line["duration_ms"].is_number(), "{line}");
        assert!(!line.to_string().contains(LOOKED_FOR), "{line}");
    }
}
