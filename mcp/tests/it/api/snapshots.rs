//! Snapshots over HTTP: made, waited for, looked into, deleted.

use bytes::Bytes;
use hyper::Method;
use remora_mcp::snapshot::barrier::WAITERS;
use remora_store::block::{BlockMeta, Codec, seal};
use remora_store::call::{Call, State};
use remora_store::testing::call;
use serde_json::{Value, json};

use crate::control::ask;
use crate::http::{Answer, Lines, send};
use crate::hub::TestHub;
use crate::shop::origin;

const SNAPSHOTS: &str = "/api/v1/snapshots";

async fn request(hub: &TestHub, method: Method, path: &str, body: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = Bytes::from(body.to_string());
    send(hub.api_address(), method, path, &headers, body).await
}

async fn start(hub: &TestHub, body: Value) -> String {
    let answer = request(hub, Method::POST, SNAPSHOTS, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn wait(hub: &TestHub, id: &str, body: Value) -> Value {
    let path = format!("{SNAPSHOTS}/{id}/wait");
    let answer = request(hub, Method::POST, &path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// A block of calls that begin now, as the sidecar of `orders` seals it.
pub(super) fn block(sequence: u64, calls: &[Call], open: Option<&[Call]>) -> Bytes {
    let meta = BlockMeta {
        origin: origin("orders", 0xaa),
        sequence,
        sealed_ns: remora_mcp::clock::now_ns(),
        redaction_key: "k-00000000".to_owned(),
        drops: Vec::new(),
    };
    seal(&meta, calls, open, Codec::Lz4)
}

fn now(connection: u64) -> Call {
    let mut call = call(remora_mcp::clock::now_ns(), "/now", 200);
    call.connection.id = connection;
    call
}

/// A call that still runs.
pub(super) fn running(connection: u64) -> Call {
    let mut call = now(connection);
    call.state = State::Open;
    call.response = Default::default();
    call.phases.response_last = None;
    call
}

#[tokio::test]
async fn a_snapshot_that_reaches_back_shows_what_was_recorded() {
    let hub = TestHub::with_shop().await;
    let id = start(&hub, json!({"name": "before", "since": "-5m", "ttl": "1h"})).await;
    let settled = wait(&hub, &id, json!({"idle_ms": 0, "max_wait_s": 5})).await;
    assert_eq!(settled["settled"], true, "{settled}");
    assert_eq!(settled["reason"], "idle");
    assert_eq!(settled["calls"], 30);
    assert_eq!(settled["inbound"], 15);
    let listed = hub
        .get(&format!("/api/v1/calls?limit=1000&snapshot={id}"))
        .await;
    assert_eq!(listed.json()["calls"].as_array().unwrap().len(), 30);

    hub.ingest(&[block(9, &[now(1)], None)]).await;
    let listed = hub
        .get(&format!("/api/v1/calls?limit=1000&snapshot={id}"))
        .await;
    assert_eq!(listed.json()["calls"].as_array().unwrap().len(), 30);
    let again = wait(&hub, &id, json!({"filter": {"status": "5xx"}})).await;
    assert_eq!(
        (&again["reason"], &again["calls"]),
        (&json!("sealed"), &json!(1))
    );

    let one = hub.get(&format!("{SNAPSHOTS}/{id}")).await.json();
    assert_eq!(
        (&one["state"], &one["name"]),
        (&json!("sealed"), &json!("before"))
    );
    assert_eq!(one["workloads"][0]["revision"], "7f9c");
    assert_eq!(one["workloads"][0]["image"], Value::Null);
    let all = hub.get(SNAPSHOTS).await.json();
    assert_eq!(all["snapshots"], json!([one]));

    let path = format!("{SNAPSHOTS}/{id}");
    let gone = request(&hub, Method::DELETE, &path, json!(null)).await;
    assert_eq!(gone.json(), json!({"deleted": id}));
    assert_eq!(hub.get(&path).await.error_code(), "unknown_snapshot");
    let listed = hub.get(&format!("/api/v1/calls?snapshot={id}")).await;
    assert_eq!(listed.status, 404);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_field_and_the_nearest_right_value() {
    let hub = TestHub::start().await;
    for (body, field, told) in [
        (json!({"nmae": "x"}), "nmae", "name"),
        (json!({"since": "5m"}), "since", "-5m"),
        (json!({"since": 5}), "since", ""),
        (json!({"ttl": "1y"}), "ttl", "24h"),
        (json!({"name": "a\nb"}), "name", ""),
        (json!({"workloads": ["a b"]}), "workloads", ""),
    ] {
        let answer = request(&hub, Method::POST, SNAPSHOTS, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let error = answer.json()["error"].clone();
        assert_eq!(error["field"], field, "{error}");
        assert!(
            error["hint"].as_str().unwrap_or("").contains(told),
            "{error}"
        );
    }
    start(&hub, json!(null)).await;
    let id = start(&hub, json!({"name": "mine"})).await;
    for (body, field) in [
        (json!({"idle": 5}), "idle"),
        (json!({"max_wait_s": 46}), "max_wait_s"),
        (json!({"idle_ms": 40000}), "idle_ms"),
        (json!({"filter": {"where": "statsu == 1"}}), "filter"),
    ] {
        let path = format!("{SNAPSHOTS}/{id}/wait");
        let answer = request(&hub, Method::POST, &path, body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["field"]),
            (400, &json!(field))
        );
    }
    let by_name = hub.get("/api/v1/calls?snapshot=snp_mine").await;
    assert_eq!(by_name.status, 404);
    let by_name = hub.get(&format!("{SNAPSHOTS}/mine")).await.json();
    assert!(
        by_name["error"]["hint"].as_str().unwrap().contains(&id),
        "{by_name}"
    );
    let odd = hub.get("/api/v1/calls?snapshot=yesterday").await.json();
    assert!(
        odd["error"]["message"]
            .as_str()
            .unwrap()
            .contains("live:15m"),
        "{odd}"
    );
    let wrong = request(&hub, Method::PUT, SNAPSHOTS, json!({})).await;
    assert_eq!(wrong.headers["allow"], "GET, HEAD, POST");
}

#[tokio::test]
async fn a_call_that_runs_is_waited_for_and_a_stream_is_not() {
    let hub = TestHub::start().await;
    let id = start(&hub, json!({"since": "-1m"})).await;
    let mut stream = running(7);
    stream.time_ns -= 6_000_000_000;
    let open = [running(1), stream];
    hub.ingest(&[block(1, &[now(2)], Some(&open))]).await;
    let short = json!({"idle_ms": 0, "max_wait_s": 1});
    let waited = wait(&hub, &id, short).await;
    assert_eq!(waited["reason"], "timeout", "{waited}");
    assert_eq!(
        (&waited["calls"], &waited["in_flight"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(waited["sealed"], false);

    let path = format!("{SNAPSHOTS}/{id}/wait?format=ndjson");
    let body = json!({"idle_ms": 100}).to_string();
    let mut lines = Lines::open(hub.api_address(), &path, body.into()).await;
    // Once it is known to run, it ends.
    while lines.next().await.unwrap()["progress"]["in_flight"] != 1 {}
    hub.ingest(&[block(2, &[now(1)], None)]).await;
    let mut waited = lines.next().await.unwrap();
    while let Some(line) = lines.next().await {
        waited = line;
    }
    assert_eq!(waited["reason"], "idle", "{waited}");
    assert_eq!(
        (&waited["calls"], &waited["in_flight"]),
        (&json!(2), &json!(0))
    );
    let spots = waited["blind_spots"].to_string();
    assert!(
        spots.contains("1 calls that had run for over 5 s"),
        "{spots}"
    );
}

#[tokio::test]
async fn a_sidecar_that_does_not_answer_is_a_blind_spot_with_its_name() {
    let hub = TestHub::start().await;
    let silent =
        "incarnation=000000000000000000000000000000cc&workload=stock&namespace=shop&pod=stock-1";
    ask(&hub, &format!("{silent}&epoch=0&sequence=0")).await;
    let id = start(&hub, json!({"namespaces": ["shop"]})).await;
    let other = start(&hub, json!({"namespaces": ["elsewhere"]})).await;
    let waited = wait(&hub, &id, json!({"idle_ms": 0, "min_calls": 0})).await;
    assert_eq!(
        (&waited["settled"], &waited["sidecars"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(waited["sidecars_flushed"], 0);
    assert!(
        waited["blind_spots"][0]
            .as_str()
            .unwrap()
            .contains("stock (stock-1) in shop"),
        "{waited}"
    );
    let waited = wait(&hub, &other, json!({"idle_ms": 0, "min_calls": 0})).await;
    assert_eq!(waited["sidecars"], 0, "not a sidecar of this one: {waited}");
}

#[tokio::test]
async fn a_hub_that_stops_answers_those_who_wait() {
    let hub = TestHub::start().await;
    let id = start(&hub, json!({})).await;
    let path = format!("{SNAPSHOTS}/{id}/wait?format=ndjson");
    let mut lines = Lines::open(hub.api_address(), &path, Bytes::new()).await;
    let first = lines.next().await.unwrap();
    assert!(first["progress"]["message"].is_string(), "{first}");
    hub.waiters_are(1).await;
    let stopped = tokio::spawn(hub.stop());
    let mut last = first;
    while let Some(line) = lines.next().await {
        last = line;
    }
    assert_eq!(
        (&last["settled"], &last["reason"]),
        (&json!(false), &json!("draining"))
    );
    stopped.await.unwrap();
}

#[tokio::test]
async fn so_many_callers_wait_and_one_more_is_told_to_come_again() {
    let hub = TestHub::start().await;
    let id = start(&hub, json!({})).await;
    let path = format!("{SNAPSHOTS}/{id}/wait");
    let mut waiting = Vec::new();
    for _ in 0..WAITERS {
        let lines = format!("{path}?format=ndjson");
        waiting.push(Lines::open(hub.api_address(), &lines, Bytes::new()).await);
    }
    hub.waiters_are(WAITERS).await;
    let refused = request(&hub, Method::POST, &path, json!({})).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "2");
    assert_eq!(refused.error_code(), "busy");
    let message = refused.json()["error"]["message"].clone();
    assert_eq!(message, "32 callers wait already");

    // Who hangs up makes room.
    waiting.pop();
    hub.waiters_are(WAITERS - 1).await;
    let waited = wait(&hub, &id, json!({"idle_ms": 0, "min_calls": 0})).await;
    assert_eq!(waited["settled"], true, "{waited}");
}
