//! Every tool once, as a model meets it: what was asked, what it reads, and the same in structure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{call, rpc, timeless};
use crate::control::goodbye;
use crate::hub::TestHub;
use crate::retried::retried;
use crate::shop::{block, origin};

/// A shop, and a checkout whose retries do not back off.
async fn hub() -> TestHub {
    let hub = TestHub::with_shop().await;
    let checkout = block(origin("checkout", 0xcc), 1, &retried(&[1010, 1000, 1000]));
    assert_eq!(hub.ingest(&[checkout]).await.status, 200);
    for (workload, incarnation) in [("orders", 0xaa), ("web", 0xbb), ("checkout", 0xcc)] {
        goodbye(&hub, workload, incarnation).await;
    }
    hub
}

/// What is asked of each tool, in the order in which a session would; `SNAPSHOT` is the id of the one
/// that it made.
fn questions() -> Vec<(&'static str, Value)> {
    let retries =
        json!({"filter": {"src": "checkout"}, "expect_backoff": {"base_ms": 1000, "factor": 2}});
    vec![
        ("recorder_status", json!({})),
        (
            "snapshot_start",
            json!({"name": "before the fix", "since": "-5m"}),
        ),
        (
            "snapshot_wait",
            json!({"snapshot": "SNAPSHOT", "idle_ms": 0}),
        ),
        ("snapshot_list", json!({})),
        ("traffic_summary", json!({"snapshot": "SNAPSHOT"})),
        (
            "calls_search",
            json!({"snapshot": "SNAPSHOT", "filter": {"status": "5xx"}}),
        ),
        ("call_get", json!({"call_ids": ["c1-0"]})),
        ("call_tree", json!({"call_id": "c1-0"})),
        ("find_issues", json!({"snapshot": "SNAPSHOT"})),
        (
            "check",
            json!({"kind": "retries", "snapshot": "SNAPSHOT", "filter": {"src": "checkout"}, "args": {"expect_retries": 3}}),
        ),
        (
            "verify",
            json!({"snapshot": "SNAPSHOT", "expectations": [
                {"name": "backoff", "check": "retries", "args": retries},
                {"check": "no_call", "args": {"filter": {"src": "checkout", "dst": "cart"}}},
            ]}),
        ),
        (
            "compare",
            json!({"base": "checkout@7f9c", "head": "orders@7f9c"}),
        ),
        ("snapshot_delete", json!({"snapshot": "SNAPSHOT"})),
    ]
}

/// Puts the id of the snapshot into what is asked.
fn about(arguments: &Value, snapshot: &str) -> Value {
    let arguments = arguments.to_string().replace("SNAPSHOT", snapshot);
    serde_json::from_str(&arguments).unwrap()
}

/// The numbers and texts in a structured answer, each with where it stands.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                leaves(item, &format!("{path}[]"), found);
            }
        }
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Number(number) => found.push((path.to_owned(), number.to_string())),
        Value::Bool(_) | Value::Null => {}
    }
}

#[tokio::test]
async fn every_tool_answers_as_reviewed() {
    let hub = hub().await;
    let mut snapshot = String::new();
    let mut asked = BTreeSet::new();
    let mut only_in_structure = BTreeSet::new();
    for (tool, arguments) in questions() {
        let answer = call(&hub, tool, about(&arguments, &snapshot)).await;
        assert_ne!(answer["isError"], true, "{tool}: {answer}");
        let text = answer["content"][0]["text"].as_str().unwrap();
        let structured = &answer["structuredContent"];
        if tool == "snapshot_start" {
            snapshot = structured["id"].as_str().unwrap().to_owned();
        }
        let mut facts = Vec::new();
        leaves(structured, tool, &mut facts);
        let missing = facts.into_iter().filter(|(_, fact)| !text.contains(fact));
        only_in_structure.extend(missing.map(|(path, _)| path));
        let mut transcript = format!("{tool}({arguments})\n\n{text}\n");
        if !structured.is_null() {
            let _ = write!(transcript, "\n{structured:#}");
        }
        insta::assert_snapshot!(tool, timeless(&transcript));
        asked.insert(tool.to_owned());
    }
    insta::assert_debug_snapshot!("only_in_structure", only_in_structure);

    let listed = rpc(&hub, "tools/list", json!({})).await;
    let listed = listed["result"]["tools"].as_array().unwrap().iter();
    let listed: BTreeSet<_> = listed
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    asked.extend(super::faults::TOOLS.map(str::to_owned));
    assert_eq!(asked, listed, "a tool has no transcript");
}
