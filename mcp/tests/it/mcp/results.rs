//! What the tools say.

use serde_json::json;

use super::{call, text, timeless};
use crate::control::ask;
use crate::hub::{INCARNATION, TestHub};

#[tokio::test]
async fn recorder_status_says_the_same_in_both_forms() {
    let hub = TestHub::with_shop().await;
    ask(&hub, &format!("incarnation={INCARNATION}&workload=orders&namespace=shop&pod=orders-1&epoch=0&sequence=3")).await;
    let result = call(&hub, "recorder_status", json!({})).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    let structured = &result["structuredContent"];
    for fact in ["summary", "oldest", "newest", "redaction_key"] {
        let fact = structured[fact].as_str().unwrap();
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    for spot in structured["blind_spots"].as_array().unwrap() {
        assert!(
            text.contains(spot.as_str().unwrap()),
            "{spot} is not in {text}"
        );
    }
    insta::assert_snapshot!(timeless(text));
}

#[tokio::test]
async fn recorder_status_of_an_empty_hub() {
    let hub = TestHub::start().await;
    insta::assert_snapshot!(timeless(&text(&hub, "recorder_status", json!({})).await.0));
}

#[tokio::test]
async fn recorder_status_of_a_namespace_that_has_nothing() {
    let hub = TestHub::with_shop().await;
    let result = call(&hub, "recorder_status", json!({"namespace": "elsewhere"})).await;
    assert_eq!(result["structuredContent"]["workloads"], json!([]));
}

#[tokio::test]
async fn traffic_summary_by_edge_and_route() {
    let hub = TestHub::with_shop().await;
    insta::assert_snapshot!(timeless(&text(&hub, "traffic_summary", json!({})).await.0));
}

#[tokio::test]
async fn traffic_summary_by_status_of_what_matches() {
    let hub = TestHub::with_shop().await;
    let arguments = json!({"snapshot": "live:2h", "group_by": ["status", "revision"], "filter": {"dst": "orders", "min_ms": 1.0}, "limit": 1});
    insta::assert_snapshot!(timeless(&text(&hub, "traffic_summary", arguments).await.0));
}

#[tokio::test]
async fn calls_search_shows_the_newest() {
    let hub = TestHub::with_shop().await;
    insta::assert_snapshot!(timeless(
        &text(&hub, "calls_search", json!({"limit": 5})).await.0
    ));
}

#[tokio::test]
async fn calls_search_with_chosen_columns_and_a_filter() {
    let hub = TestHub::with_shop().await;
    let arguments = json!({"fields": ["id", "status", "resp_bytes"], "filter": {"status": 500}, "order": "oldest"});
    let (by_number, error) = text(&hub, "calls_search", arguments).await;
    assert!(!error, "{by_number}");
    let arguments = json!({"fields": ["id", "status", "resp_bytes"], "filter": {"status": "5xx"}, "order": "oldest"});
    assert_eq!(by_number, text(&hub, "calls_search", arguments).await.0);
    insta::assert_snapshot!(timeless(&by_number));
}

/// The ids in the first column of a table.
fn ids(table: &str) -> Vec<String> {
    let rows = table.lines().filter_map(|line| line.split('\t').next());
    rows.filter(|cell| cell.starts_with('c') && cell.contains('-'))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_id_and_cursor_that_is_shown_is_taken() {
    let hub = TestHub::with_shop().await;
    let mut seen = Vec::new();
    let mut arguments = json!({"limit": 8, "fields": ["id"]});
    loop {
        let (page, error) = text(&hub, "calls_search", arguments.clone()).await;
        assert!(!error, "{page}");
        for id in ids(&page) {
            let (call, error) = text(
                &hub,
                "call_get",
                json!({"call_ids": [id], "parts": ["timing"]}),
            )
            .await;
            assert!(!error && call.starts_with(&id), "{call}");
            seen.push(id);
        }
        match page.split("cursor=").nth(1) {
            Some(rest) => arguments["cursor"] = json!(rest.split_whitespace().next().unwrap()),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 30);
}

#[tokio::test]
async fn call_get_shows_heads_bodies_and_timing() {
    let hub = TestHub::with_shop().await;
    let (page, _) = text(&hub, "calls_search", json!({"filter": {"method": "POST"}})).await;
    let (call, error) = text(&hub, "call_get", json!({"call_ids": ids(&page)})).await;
    assert!(!error, "{call}");
    insta::assert_snapshot!(timeless(&call));
}

#[tokio::test]
async fn call_get_follows_a_json_pointer_and_helps_a_wrong_one() {
    let hub = TestHub::with_shop().await;
    let (page, _) = text(&hub, "calls_search", json!({"filter": {"method": "POST"}})).await;
    let arguments = |pointer: &str| json!({"call_ids": ids(&page), "parts": ["req_body"], "json_pointer": pointer});
    let (call, _) = text(&hub, "call_get", arguments("/items/0/sku")).await;
    assert!(call.contains("\"tea\""), "{call}");
    let (call, _) = text(&hub, "call_get", arguments("/lines")).await;
    assert!(call.contains("/items /note"), "{call}");
}

#[tokio::test]
async fn an_empty_result_says_why_and_what_to_do() {
    let hub = TestHub::start().await;
    let (answer, error) = text(&hub, "traffic_summary", json!({})).await;
    assert!(
        !error && answer.contains("no sidecar") && answer.contains("next: recorder_status()"),
        "{answer}"
    );
    hub.ingest(&crate::shop::blocks()).await;
    let (answer, _) = text(&hub, "calls_search", json!({"filter": {"status": 418}})).await;
    assert!(answer.contains("next: traffic_summary()"), "{answer}");
    let (answer, _) = text(&hub, "calls_search", json!({"snapshot": "live:1s"})).await;
    assert!(answer.contains("longer window"), "{answer}");
}

/// What descriptions and instructions show as an example is taken as it stands.
#[tokio::test]
async fn the_examples_that_are_given_work() {
    let hub = TestHub::with_shop().await;
    for filter in [
        json!({"dst": "orders", "route": "/api/orders/{id}", "status": "5xx", "min_ms": 100}),
        json!({"where": "request.headers[\"x-user\"] == \"7\" || path.contains(\"cart\")"}),
        json!({"header": "x-twice"}),
        json!({"header": "x-twice: a"}),
    ] {
        let (answer, error) = text(&hub, "calls_search", json!({"filter": filter})).await;
        assert!(!error, "{filter}: {answer}");
    }
}
