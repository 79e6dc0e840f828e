//! Expectations over HTTP, and what is found without any.

use bytes::Bytes;
use hyper::Method;
use remora_store::call::Omitted;
use remora_store::testing::call;
use serde_json::{Value, json};
use test_case::test_case;

use super::snapshots;
use crate::control::{ask, goodbye};
use crate::http::{Answer, send};
use crate::hub::TestHub;
use crate::retried::retried;
use crate::shop::{block, origin};

pub(super) async fn verify(hub: &TestHub, body: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = Bytes::from(body.to_string());
    send(
        hub.api_address(),
        Method::POST,
        "/api/v1/verify",
        &headers,
        body,
    )
    .await
}

/// A hub that saw a request sent again after these delays.
async fn hub_with_retries(delays_ms: &[i64]) -> TestHub {
    let hub = TestHub::start().await;
    let web = block(origin("web", 0xbb), 1, &retried(delays_ms));
    assert_eq!(hub.ingest(&[web]).await.status, 200);
    hub
}

fn backoff() -> Value {
    json!({"expectations": [{
        "name": "payment retries", "check": "retries",
        "args": {"filter": {"src": "web", "route": "/pay/{id}"}, "expect_delays_ms": [1000, 2000, 4000]},
    }]})
}

#[tokio::test]
async fn delays_that_do_not_grow_fail_and_name_the_calls() {
    let hub = hub_with_retries(&[1010, 1000, 1000]).await;
    let answer = verify(&hub, backoff()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["verdict"], "fail");
    assert_eq!(answer["summary"], "fail: 0 pass, 1 fail, 0 inconclusive");
    let check = &answer["checks"][0];
    assert_eq!(check["name"], "payment retries");
    assert_eq!(
        check["expected"],
        "3 retries after 1.00 s, 2.00 s, 4.00 s (±15 %)"
    );
    let actual =
        "3 retries after 1.01 s, 1.00 s, 1.00 s: constant, factor 1.0, succeeded in the end";
    assert_eq!(check["actual"], actual);
    assert_eq!(check["evidence"], json!(["c1-0", "c1-1", "c1-2", "c1-3"]));
    for id in check["evidence"].as_array().unwrap() {
        let path = format!("/api/v1/calls/{}", id.as_str().unwrap());
        assert_eq!(hub.get(&path).await.json()["route"], "/pay/{id}");
    }
}

#[tokio::test]
async fn the_same_expectation_passes_once_they_grow() {
    let hub = hub_with_retries(&[1000, 2000, 4000]).await;
    let answer = verify(&hub, backoff()).await.json();
    assert_eq!(answer["verdict"], "pass", "{answer}");
}

#[tokio::test]
async fn the_same_calls_give_the_same_bytes() {
    let hub = hub_with_retries(&[1010, 1000, 1000]).await;
    let first = verify(&hub, backoff()).await.text().to_owned();
    assert_eq!(verify(&hub, backoff()).await.text(), first);
    let findings = hub.get("/api/v1/findings").await.text().to_owned();
    assert_eq!(hub.get("/api/v1/findings").await.text(), findings);
}

#[tokio::test]
async fn absence_passes_only_in_a_snapshot_that_was_sealed() {
    let hub = TestHub::with_shop().await;
    goodbye(&hub, "web", 0xbb).await;
    goodbye(&hub, "orders", 0xaa).await;
    let absent = |snapshot: &str| {
        json!({"snapshot": snapshot, "expectations": [
            {"check": "no_call", "args": {"filter": {"src": "web", "dst": "orders", "path_prefix": "/admin"}}},
        ]})
    };
    let live = verify(&hub, absent("live:15m")).await.json();
    assert_eq!(live["verdict"], "inconclusive", "{live}");
    let id = snapshot(&hub).await;
    let open = verify(&hub, absent(&id)).await.json();
    assert_eq!(open["verdict"], "inconclusive", "{open}");
    seal(&hub, &id).await;
    let sealed = verify(&hub, absent(&id)).await.json();
    assert_eq!(sealed["verdict"], "pass", "{sealed}");
}

/// Makes a snapshot of the last minutes; its id.
pub(super) async fn snapshot(hub: &TestHub) -> String {
    let made = json!({"since": "-5m"}).to_string();
    let api = hub.api_address();
    let made = send(api, Method::POST, "/api/v1/snapshots", &[], made.into()).await;
    made.json()["id"].as_str().unwrap().to_owned()
}

pub(super) async fn seal(hub: &TestHub, id: &str) {
    seal_after(hub, id, json!({"idle_ms": 0})).await;
}

pub(super) async fn seal_after(hub: &TestHub, id: &str, wait: Value) {
    let waited = wait_for(hub, id, wait).await;
    assert_eq!(waited["sealed"], true, "{waited}");
}

async fn wait_for(hub: &TestHub, id: &str, wait: Value) -> Value {
    let path = format!("/api/v1/snapshots/{id}/wait");
    let body = wait.to_string().into();
    let waited = send(hub.api_address(), Method::POST, &path, &[], body).await;
    waited.json()
}

/// Has a call of `orders` run when the next snapshot is sealed.
async fn leave_a_call_running(hub: &TestHub) {
    let mut stream = snapshots::running(7);
    stream.request = call(0, "/admin/7", 200).request;
    stream.time_ns -= 6_000_000_000;
    let block = snapshots::block(2, &[], Some(&[stream]));
    assert_eq!(hub.ingest(&[block]).await.status, 200);
}

/// Has the sidecar of `orders` ask for questions once, and answer none.
async fn fall_silent(hub: &TestHub) {
    let orders = "incarnation=000000000000000000000000000000aa&workload=orders&namespace=shop";
    ask(hub, &format!("{orders}&epoch=0&sequence=1")).await;
}

/// What becomes of the sidecar of `orders`.
#[derive(Debug, Clone, Copy)]
enum Orders {
    LeavesACallRunning,
    FallsSilent,
    IsKilled,
}

const RUNNING: &str = "a call beside orders was still running when the snapshot was sealed";
const SILENT: &str = "the sidecar of orders had not handed over when the snapshot was sealed";

#[test_case(Orders::LeavesACallRunning, RUNNING; "a call that ran")]
#[test_case(Orders::FallsSilent, SILENT; "a sidecar that was silent")]
#[test_case(Orders::IsKilled, SILENT; "a sidecar that was killed")]
#[tokio::test]
async fn absence_does_not_pass_where_something_was_under_way_at_the_seal(
    orders: Orders,
    why: &str,
) {
    let hub = TestHub::with_shop().await;
    goodbye(&hub, "web", 0xbb).await;
    match orders {
        Orders::LeavesACallRunning => {
            leave_a_call_running(&hub).await;
            goodbye(&hub, "orders", 0xaa).await;
        }
        Orders::FallsSilent => fall_silent(&hub).await,
        Orders::IsKilled => {}
    }
    let id = snapshot(&hub).await;
    let wait = json!({"idle_ms": 0, "filter": {"path_prefix": "/nobody"}, "min_calls": 0});
    seal_after(&hub, &id, wait).await;
    let absent = json!({"snapshot": id, "expectations": [
        {"check": "no_call", "args": {"filter": {"dst": "orders", "path_prefix": "/admin"}}},
        {"check": "no_call", "args": {"filter": {"path_prefix": "/admin"}}},
        {"check": "no_call", "args": {"filter": {"src": "web", "dst": "orders", "path_prefix": "/admin"}}},
    ]});
    let answer = verify(&hub, absent).await.json();
    let verdict = |place: usize| answer["checks"][place]["verdict"].as_str().unwrap();
    let between_both = match orders {
        // The call that runs is one between them.
        Orders::LeavesACallRunning => "inconclusive",
        // All that `web` asked, its own sidecar would have seen.
        Orders::FallsSilent | Orders::IsKilled => "pass",
    };
    assert_eq!(
        (verdict(0), verdict(1), verdict(2)),
        ("inconclusive", "inconclusive", between_both),
        "{answer}"
    );
    for place in 0..2 {
        let said = answer["checks"][place]["why"].as_str().unwrap();
        assert!(said.contains(why), "{answer}");
    }
    assert!(answer["blind_spots"].to_string().contains(why), "{answer}");
    let again = wait_for(&hub, &id, json!({})).await;
    assert_eq!(again["reason"], "sealed");
    assert!(again["blind_spots"].to_string().contains(why), "{again}");
}

#[test_case("request.json.items[0].sku == \"coffee\"", "inconclusive"; "what the cut body may have had")]
#[test_case("status == 404 && request.json.items[0].sku == \"coffee\"", "pass"; "what it is not asked for")]
#[tokio::test]
async fn absence_does_not_pass_over_calls_that_might_match(filter: &str, expected: &str) {
    let hub = TestHub::start().await;
    let mut calls = vec![crate::shop::inbound().remove(13); 2];
    calls[1].request.body.truncate(20);
    calls[1].request.omitted = Some(Omitted::Limit);
    let calls = block(origin("orders", 0xaa), 1, &calls);
    assert_eq!(hub.ingest(&[calls]).await.status, 200);
    goodbye(&hub, "orders", 0xaa).await;
    let id = snapshot(&hub).await;
    seal(&hub, &id).await;
    let absent = json!({"snapshot": id, "expectations": [
        {"check": "no_call", "args": {"filter": {"where": filter}}},
    ]});
    let answer = verify(&hub, absent).await.json();
    assert_eq!(answer["verdict"], expected, "{answer}");
    let why = answer["checks"][0]["why"].as_str().unwrap_or_default();
    let says = why.contains("1 calls that might match were left out");
    assert_eq!(says, expected == "inconclusive", "{answer}");
}

#[tokio::test]
async fn findings_name_what_is_wrong_and_prove_it() {
    let hub = hub_with_retries(&[10, 10, 10]).await;
    let answer = hub.get("/api/v1/findings?snapshot=live:15m").await.json();
    let found: Vec<_> = answer["findings"].as_array().unwrap().iter().collect();
    let high: Vec<_> = found.iter().filter(|it| it["severity"] == "high").collect();
    assert_eq!(high.len(), 1, "{answer}");
    assert_eq!(high[0]["code"], "no_backoff");
    assert_eq!(high[0]["evidence"], json!(["c1-0", "c1-1", "c1-2", "c1-3"]));
    let only = hub.get("/api/v1/findings?checks=connections").await.json();
    assert_eq!(only["findings"], json!([]), "{only}");
    let other = hub
        .get("/api/v1/findings?filter=path.startsWith(%22/other%22)")
        .await
        .json();
    assert_eq!(other["calls"], 0, "{other}");
}

#[test_case(json!({}), "bad_body", None; "nothing")]
#[test_case(json!({"expectations": []}), "bad_body", Some("expectations"))]
#[test_case(json!({"expectations": [{"check": "retrys"}]}), "unknown_check", Some("expectations[0].check"))]
#[test_case(json!({"expectations": [{"check": "count", "args": {"minimum": 1}}]}), "unknown_field", Some("expectations[0].args.minimum"))]
#[test_case(json!({"expectations": [{"check": "count", "args": {"min": 1}}, {"check": "status", "args": {"expect": "6xx"}}]}), "bad_arguments", Some("expectations[1].args.expect"))]
#[test_case(json!({"expectations": [{"check": "count", "args": {"min": 1, "filter": {"where": "statsu == 1"}}}]}), "bad_filter", Some("expectations[0].args.filter"))]
#[test_case(json!({"snapshot": "snp_aaaaaaaaaaaaaaaa", "expectations": [{"check": "no_call"}]}), "unknown_snapshot", Some("snapshot"))]
#[test_case(json!({"expectation": []}), "unknown_field", Some("expectation"))]
#[tokio::test]
async fn a_wrong_expectation_is_named_with_its_place(body: Value, code: &str, field: Option<&str>) {
    let hub = TestHub::with_shop().await;
    let answer = verify(&hub, body).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    if let Some(field) = field {
        assert_eq!(error["field"], field, "{error}");
    }
}

#[test_case("checks=retrys", "checks")]
#[test_case("checks=latency", "checks"; "one that finds nothing by itself")]
#[test_case("filter=statsu==1", "filter")]
#[test_case("snapshot=yesterday", "snapshot")]
#[test_case("since=5m", "since"; "the window is the snapshot")]
#[tokio::test]
async fn a_wrong_question_for_findings_is_named(query: &str, field: &str) {
    let hub = TestHub::start().await;
    let answer = hub.get(&format!("/api/v1/findings?{query}")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text());
}
