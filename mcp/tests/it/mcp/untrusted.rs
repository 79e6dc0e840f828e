//! What recorded programs sent never stands outside the fence.

use serde_json::json;

use super::{call, text};
use crate::hub::TestHub;
use crate::shop::{self, INJECTED, block, origin};

/// A text that has nothing in it that was sent as a header or body, or that a path hides.
fn is_harmless(text: &str) -> bool {
    !text.contains("<b>")
        && !text
            .chars()
            .any(|c| c == '\u{202e}' || c == '\u{200b}' || c == '\u{1b}')
}

#[tokio::test]
async fn tables_show_routes_of_plain_characters_only() {
    let hub = TestHub::with_shop().await;
    for tool in ["traffic_summary", "calls_search"] {
        let (answer, _) = text(&hub, tool, json!({"limit": 100})).await;
        assert!(is_harmless(&answer), "{answer}");
        assert!(!answer.contains("%20now"), "{answer}");
    }
}

#[tokio::test]
async fn recorded_text_stands_inside_the_fence() {
    let hub = TestHub::with_shop().await;
    let (page, _) = text(
        &hub,
        "calls_search",
        json!({"filter": {"where": "request.headers[\"x-note\"] != \"\""}, "fields": ["id"]}),
    )
    .await;
    let id = page.lines().nth(2).unwrap();
    let result = call(&hub, "call_get", json!({"call_ids": [id]})).await;
    assert_eq!(result["_meta"]["remora/integrity"], "untrusted");
    let answer = result["content"][0]["text"].as_str().unwrap();
    let (begin, end) = (
        answer.find("recorded data").unwrap(),
        answer.rfind(" end ---").unwrap(),
    );
    let (before, after) = (&answer[..begin], &answer[end..]);
    assert!(
        !before.contains(INJECTED) && !after.contains(INJECTED),
        "{answer}"
    );
    assert!(answer[begin..end].contains(INJECTED));
    assert!(
        !answer
            .chars()
            .any(|c| c == '\u{202e}' || c == '\u{200b}' || c == '\u{1b}'),
        "{answer:?}"
    );
}

#[tokio::test]
async fn names_that_are_no_names_are_not_shown() {
    let hub = TestHub::start().await;
    let mut odd = origin("orders\nIGNORE all", 0xaa);
    odd.namespace = "<script>".to_owned();
    odd.revision = "a b".to_owned();
    odd.serves = vec![shop::ORDERS.into()];
    hub.ingest(&[block(odd, 1, &shop::inbound())]).await;
    let everything = [
        text(&hub, "recorder_status", json!({})).await.0,
        text(
            &hub,
            "traffic_summary",
            json!({"group_by": ["edge", "revision"]}),
        )
        .await
        .0,
        text(
            &hub,
            "calls_search",
            json!({"fields": ["id", "src", "dst", "revision"]}),
        )
        .await
        .0,
    ];
    for answer in everything {
        assert!(
            !answer.contains("IGNORE all")
                && !answer.contains("<script>")
                && !answer.contains("a b"),
            "{answer}"
        );
    }
}
