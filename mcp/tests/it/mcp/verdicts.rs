//! Verdicts and findings, as a model reads them.

use serde_json::{Value, json};

use super::{call, text};
use crate::hub::TestHub;
use crate::retried::retried;
use crate::shop::{INJECTED, block, origin};

async fn hub_with_retries(delays_ms: &[i64]) -> TestHub {
    let hub = TestHub::start().await;
    hub.ingest(&[block(origin("web", 0xbb), 1, &retried(delays_ms))])
        .await;
    hub
}

fn story() -> Value {
    json!({"expectations": [
        {"name": "backoff", "check": "retries", "args": {"filter": {"src": "web"}, "expect_backoff": {"base_ms": 1000, "factor": 2}}},
        {"check": "count", "args": {"filter": {"src": "web"}, "min": 4}},
        {"check": "no_call", "args": {"filter": {"src": "web", "dst": "cart"}}},
    ]})
}

#[tokio::test]
async fn the_story_of_the_retries_is_told_as_reviewed() {
    let hub = hub_with_retries(&[1010, 1000, 1000]).await;
    let (verdict, error) = text(&hub, "verify", story()).await;
    assert!(!error, "{verdict}");
    insta::assert_snapshot!("retries_that_do_not_grow", verdict);
    let (findings, _) = text(&hub, "find_issues", json!({})).await;
    insta::assert_snapshot!("what_is_wrong_with_them", findings);
}

#[tokio::test]
async fn check_is_verify_of_one() {
    let hub = hub_with_retries(&[1010, 1000, 1000]).await;
    let one = json!({"kind": "retries", "filter": {"src": "web"}, "args": {"expect_retries": 3}});
    let checked = call(&hub, "check", one).await["structuredContent"].clone();
    let expectation =
        json!({"check": "retries", "args": {"filter": {"src": "web"}, "expect_retries": 3}});
    let verified = call(&hub, "verify", json!({"expectations": [expectation]})).await;
    assert_eq!(checked, verified["structuredContent"]);
    assert_eq!(checked["verdict"], "pass");
}

#[tokio::test]
async fn text_and_structure_tell_the_same() {
    let hub = hub_with_retries(&[1010, 1000, 1000]).await;
    let result = call(&hub, "verify", story()).await;
    let (structured, text) = (
        &result["structuredContent"],
        result["content"][0]["text"].as_str().unwrap(),
    );
    for check in structured["checks"].as_array().unwrap() {
        for field in ["name", "expected", "actual"] {
            assert!(
                text.contains(check[field].as_str().unwrap()),
                "{field}: {text}"
            );
        }
        for id in check["evidence"].as_array().unwrap() {
            assert!(text.contains(id.as_str().unwrap()), "{id}: {text}");
        }
    }
    assert!(
        text.starts_with(structured["summary"].as_str().unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_recorded_is_in_no_verdict() {
    let hub = TestHub::with_shop().await;
    let expectations = json!([
        {"check": "status", "args": {"expect": "404"}},
        {"check": "latency", "args": {"max_ms": 0}},
        {"check": "headers", "args": {"require": [{"name": "x-note"}], "forbid": [{"name": "x-note", "on": "request"}]}},
        {"check": "count", "args": {"max": 0}},
        {"check": "connections", "args": {"max_opened": 0}},
    ]);
    let verdict = call(&hub, "verify", json!({"expectations": expectations})).await;
    let found = call(&hub, "find_issues", json!({})).await;
    for answer in [verdict, found] {
        let answer = answer.to_string();
        assert!(
            !answer.contains("%20now") && !answer.contains("<b>"),
            "{answer}"
        );
        assert!(!answer.contains(&format!("{INJECTED}\n")), "{answer}");
    }
}

#[tokio::test]
async fn an_argument_that_is_wrong_comes_with_the_right_one() {
    let hub = TestHub::start().await;
    for (tool, arguments, hint) in [
        ("check", json!({"kind": "retrys"}), "did you mean retries?"),
        (
            "check",
            json!({"kind": "retries", "args": {"expect_retry": 3}}),
            "did you mean expect_retries?",
        ),
        (
            "check",
            json!({"kind": "count", "filter": {}, "args": {"min": 1, "filter": {}}}),
            "leave it out of args",
        ),
        (
            "find_issues",
            json!({"checks": ["latency"]}),
            "the checks are retries",
        ),
        (
            "verify",
            json!({"expectations": [{"check": "order", "args": {"steps": []}}]}),
            "2 to 20 filters",
        ),
    ] {
        let (answer, error) = text(&hub, tool, arguments).await;
        assert!(error && answer.contains(hint), "{tool}: {answer}");
    }
}

#[tokio::test]
async fn two_sides_are_compared_in_words_as_in_json() {
    let hub = hub_with_retries(&[10, 10, 10]).await;
    hub.ingest(&[block(origin("orders", 0xaa), 1, &crate::shop::inbound())])
        .await;
    let sides = json!({"base": "web@7f9c", "head": "orders@7f9c"});
    let result = call(&hub, "compare", sides).await;
    let structured = &result["structuredContent"];
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(structured["base_calls"], 4, "{structured}");
    let differences = structured["differences"].as_array().unwrap();
    assert!(
        differences.iter().any(|it| it["change"] == "gone"),
        "{text}"
    );
    for difference in differences {
        for field in ["subject", "base", "head"] {
            assert!(
                text.contains(difference[field].as_str().unwrap()),
                "{field}: {text}"
            );
        }
    }
    assert!(!text.contains("%20now"), "{text}");
}
