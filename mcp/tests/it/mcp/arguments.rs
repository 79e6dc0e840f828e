//! What is wrong with arguments is said so that a model can mend it.

use serde_json::json;
use test_case::test_case;

use super::text;
use crate::hub::TestHub;

#[tokio::test]
async fn errors_name_the_argument_and_what_it_takes() {
    let hub = TestHub::with_shop().await;
    for (tool, arguments, said) in [
        (
            "calls_search",
            json!({"fliter": {}}),
            "did you mean filter?",
        ),
        (
            "calls_search",
            json!({"limit": 0}),
            "limit is 0; it takes a number from 1 to 100",
        ),
        (
            "calls_search",
            json!({"limit": 101}),
            "limit is 101; it takes a number from 1 to 100",
        ),
        ("calls_search", json!({"limit": "ten"}), "argument limit"),
        ("calls_search", json!({"limit": -1}), "argument limit"),
        (
            "calls_search",
            json!({"order": "up"}),
            "expected `newest` or `oldest`",
        ),
        (
            "calls_search",
            json!({"fields": ["body"]}),
            "expected one of `id`",
        ),
        ("calls_search", json!({"cursor": "xyz"}), "cursor"),
        ("calls_search", json!({"snapshot": "snp_ABC"}), "live:15m"),
        ("calls_search", json!({"snapshot": "15m"}), "live:15m"),
        (
            "calls_search",
            json!({"filter": {"stauts": 404}}),
            "filter.stauts",
        ),
        (
            "calls_search",
            json!({"filter": {"status": "many"}}),
            "status",
        ),
        (
            "calls_search",
            json!({"filter": {"where": "methd == \"GET\""}}),
            "method",
        ),
        ("traffic_summary", json!({"group_by": ["path"]}), "`edge`"),
        ("traffic_summary", json!({"limit": 1000}), "1 to 100"),
        ("call_get", json!({}), "call_ids"),
        (
            "call_get",
            json!({"xyz": 1}),
            "no argument \"xyz\". Its arguments are: call_ids",
        ),
        ("call_get", json!({"call_ids": []}), "1 to 3"),
        (
            "call_get",
            json!({"call_ids": ["c1-0", "c1-1", "c1-2", "c1-3"]}),
            "1 to 3",
        ),
        (
            "call_get",
            json!({"call_ids": ["17"]}),
            "they look like c12-7",
        ),
        ("call_get", json!({"call_ids": ["c99-0"]}), "calls_search()"),
        (
            "call_get",
            json!({"call_ids": ["c1-0"], "body_bytes": 0}),
            "body_bytes is 0",
        ),
        (
            "call_get",
            json!({"call_ids": ["c1-0"], "json_pointer": "items"}),
            "/items/0/price",
        ),
        ("recorder_status", json!({"verbose": true}), "namespace"),
    ] {
        let (answer, error) = text(&hub, tool, arguments.clone()).await;
        assert!(error, "{tool} {arguments} was taken: {answer}");
        assert!(answer.contains(said), "{tool} {arguments}: {answer}");
        assert!(answer.len() <= 2_100, "{answer}");
    }
}

#[tokio::test]
async fn a_huge_argument_gets_a_short_error() {
    let hub = TestHub::start().await;
    let huge = "x".repeat(500_000);
    for arguments in [
        json!({"snapshot": huge}),
        json!({"filter": {"where": huge}}),
        json!({huge.as_str(): 1}),
        json!({"cursor": huge}),
    ] {
        let (answer, error) = text(&hub, "calls_search", arguments).await;
        assert!(error && answer.len() <= 2_100, "{} bytes", answer.len());
    }
}

#[test_case("traffic_summary", "dst", "ordres", Some("did you mean orders?"); "a workload")]
#[test_case("calls_search", "src", "web-l", Some("did you mean web-1?"); "a pod")]
#[test_case("calls_search", "src", "orders", None; "a name that is right and matches nothing")]
#[test_case("calls_search", "dst", "10.9.9.9", None; "an address")]
#[tokio::test]
async fn an_empty_answer_names_the_party_that_was_meant(
    tool: &str,
    field: &str,
    given: &str,
    expected: Option<&str>,
) {
    let hub = TestHub::with_shop().await;
    let (text, _) = text(&hub, tool, json!({"filter": {field: given}})).await;
    assert!(text.starts_with("no calls: "), "{text}");
    match expected {
        Some(expected) => assert!(text.contains(expected), "{text}"),
        None => assert!(!text.contains("did you mean"), "{text}"),
    }
}
