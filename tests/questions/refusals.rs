//! Questions that cannot be answered: each gets an error that names the field and what to do.

use serde_json::Value;

use super::town::Town;
use crate::support::api::encoded;

/// Filters with a mistake, and what the hint must name.
const MISTAKES: &[(&str, &str)] = &[
    ("response.status == 500", "status_code"),
    ("request.path == \"/api\"", "path"),
    ("src.ns == \"dev\"", "src.namespace"),
    ("response.latency > 1000", "elapsed_time"),
    ("statuscode == 200", "status_code"),
    ("pathh.startsWith(\"/\")", "path"),
    ("dst.servise.name == \"payment\"", "dst.service"),
    ("status_code == \"500\"", ""),
    ("path > 5", ""),
    ("path", ""),
    ("method && http", ""),
    ("elapsed_time > \"2s\"", ""),
    ("request.path contains \"/api\"", ""),
    ("http and status_code == 500", ""),
    ("status_code ==", ""),
    ("path.startWith(\"/\")", "startsWith"),
    ("path.matches(\"(\")", ""),
    ("\u{202e}\u{0}", ""),
];

/// Questions with a mistake: the code, the field, and what the hint must name.
const QUESTIONS: &[(&str, &str, &str, &str)] = &[
    ("calls?fliter=http", "unknown_parameter", "fliter", "filter"),
    ("calls?limit=0", "bad_parameter", "limit", ""),
    ("calls?limit=1001", "bad_parameter", "limit", ""),
    ("calls?limit=-1", "bad_parameter", "limit", ""),
    ("calls?limit=many", "bad_parameter", "limit", ""),
    ("calls?limit=1&limit=2", "repeated_parameter", "limit", ""),
    ("calls?order=newestt", "bad_parameter", "order", "newest"),
    ("calls?format=jsonn", "bad_parameter", "format", "json"),
    ("calls?cursor=nonsense", "bad_cursor", "cursor", "next"),
    ("calls?since=yesterday", "bad_parameter", "since", "15m"),
    ("calls?since=1m&until=2m", "bad_parameter", "until", ""),
    (
        "calls?fields=id,methodd",
        "unknown_field",
        "fields",
        "method",
    ),
    (
        "summary?group_by=rout",
        "bad_parameter",
        "group_by",
        "route",
    ),
    ("summary?limit=1001", "bad_parameter", "limit", ""),
    ("status?verbose=1", "unknown_parameter", "verbose", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_question_is_said_with_the_field_and_a_hint() {
    let town = Town::start().await;
    for (filter, meant) in MISTAKES {
        for path in ["calls", "summary"] {
            let question = format!("/api/v1/{path}?filter={}", encoded(filter));
            let (status, answer) = town.ask(&question).await;
            assert_eq!(status, 400, "{filter}: {answer}");
            let error = &answer["error"];
            assert_eq!(error["code"], "bad_filter", "{filter}: {error}");
            assert_eq!(error["field"], "filter", "{filter}: {error}");
            check_words(filter, error, meant);
        }
    }
    for (question, code, field, meant) in QUESTIONS {
        let (status, answer) = town.ask(&format!("/api/v1/{question}")).await;
        assert_eq!(status, 400, "{question}: {answer}");
        let error = &answer["error"];
        assert_eq!(error["code"], *code, "{question}: {error}");
        let named = error["field"].as_str().unwrap().trim_matches('"');
        assert_eq!(named, *field, "{question}: {error}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        let hint = error["hint"].as_str().unwrap_or("");
        assert!(hint.contains(meant), "{question}: {error}");
    }
    let (status, answer) = town.ask("/api/v1/call").await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &"unknown_path".into())
    );
    assert!(
        answer["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("/api/v1/calls")
    );
    let (status, answer) = town.ask("/api/v1/calls/c999999-1").await;
    assert_eq!(status, 404, "{answer}");
}

fn check_words(filter: &str, error: &Value, meant: &str) {
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{filter}: {error}"
    );
    let hint = error["hint"].as_str().unwrap_or("");
    assert!(!hint.is_empty(), "{filter}: no hint in {error}");
    assert!(hint.contains(meant), "{filter}: {meant} is not in {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_and_hostile_filters_are_refused_and_the_hub_goes_on() {
    let town = Town::start().await;
    let nested = format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000));
    let list = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]";
    let loops = (0..8).fold("false".to_owned(), |inner, depth| {
        format!("{list}.exists(v{depth}, {inner})")
    });
    let hostile = [
        "!".repeat(9_000) + "true",
        nested,
        "a.".repeat(5_000) + "b",
        "path == \"x\" || ".repeat(600) + "true",
        format!("path == \"{}\"", "x".repeat(20_000)),
        "path.matches(\"((a{1,1000}){1,1000}){1,1000}\")".to_owned(),
        loops,
        format!("{}1{}.size() > 0", "[".repeat(3_000), "]".repeat(3_000)),
    ];
    for filter in &hostile {
        let shown: String = filter.chars().take(40).collect();
        let (status, answer) = town
            .ask(&format!("/api/v1/calls?filter={}", encoded(filter)))
            .await;
        assert_eq!(status, 400, "{shown}: {answer}");
        let code = answer["error"]["code"].as_str().unwrap();
        assert!(
            ["bad_filter", "query_too_long"].contains(&code),
            "{shown}: {answer}"
        );
    }
    // The hub is there, and answers as before.
    let calls = town
        .client
        .matching(&town.place.api(), "true")
        .await
        .unwrap();
    assert_eq!(calls, town.calls);
}
