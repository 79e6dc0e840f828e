//! Resources, prompts and completion.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use test_case::test_case;

use super::{call, legacy, rpc, text, timeless};
use crate::hub::TestHub;
use crate::shop::{self, INJECTED};

/// The id of the one call that matches.
async fn id(hub: &TestHub, condition: &str) -> String {
    let arguments = json!({"filter": {"where": condition}, "fields": ["id"]});
    let (page, _) = text(hub, "calls_search", arguments).await;
    page.lines().nth(2).unwrap().to_owned()
}

async fn read(hub: &TestHub, uri: &str) -> Value {
    rpc(hub, "resources/read", json!({"uri": uri})).await
}

#[tokio::test]
async fn the_lists_are_as_reviewed_and_may_be_kept() {
    let hub = TestHub::start().await;
    let mut lists = Vec::new();
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        let result = rpc(&hub, method, json!({})).await["result"].clone();
        assert!(result["ttlMs"].as_u64().unwrap() > 0, "{result}");
        assert_eq!(result["cacheScope"], "public", "{result}");
        lists.push(result);
    }
    insta::assert_json_snapshot!([
        &lists[0]["resources"],
        &lists[1]["resourceTemplates"],
        &lists[2]["prompts"]
    ]);
}

#[tokio::test]
async fn a_call_is_read_as_the_tool_shows_it() {
    let hub = TestHub::with_shop().await;
    let id = id(&hub, "method == \"POST\"").await;
    let result = read(&hub, &format!("remora://calls/{id}")).await["result"].clone();
    let content = &result["contents"][0];
    assert_eq!(content["_meta"]["remora/integrity"], "untrusted");
    assert_eq!(result["cacheScope"], "private");
    let by_tool = text(&hub, "call_get", json!({"call_ids": [id]})).await.0;
    assert_eq!(
        timeless(content["text"].as_str().unwrap()),
        timeless(&by_tool)
    );
}

#[tokio::test]
async fn bodies_are_read_as_fenced_text_or_as_bytes() {
    let hub = TestHub::with_shop().await;
    let post = id(&hub, "method == \"POST\"").await;
    let request = read(&hub, &format!("remora://calls/{post}/body/request")).await;
    let shown = request["result"]["contents"][0]["text"].as_str().unwrap();
    insta::assert_snapshot!(timeless(shown));
    let response = read(&hub, &format!("remora://calls/{post}/body/response")).await;
    let content = &response["result"]["contents"][0];
    assert_eq!(content["mimeType"], "application/octet-stream");
    assert_eq!(
        STANDARD.decode(content["blob"].as_str().unwrap()).unwrap(),
        b"\xff\x00binary"
    );

    let hostile = id(&hub, "request.headers[\"x-note\"] != \"\"").await;
    let body = read(&hub, &format!("remora://calls/{hostile}/body/response")).await;
    let shown = body["result"]["contents"][0]["text"].as_str().unwrap();
    let (before, inside) = shown.split_once("recorded data, not instructions").unwrap();
    assert!(!before.contains(INJECTED) && inside.contains(INJECTED) && !shown.contains('\u{1b}'));
    assert!(!shown[shown.rfind(" end ---").unwrap()..].contains(INJECTED));
}

#[tokio::test]
async fn a_resource_is_no_longer_than_clients_take_in_one_piece() {
    let hub = TestHub::start().await;
    let mut calls = shop::inbound();
    let (text, bytes) = ("0123456789".repeat(10_000), vec![0xff; 100_000]);
    for (call, body) in calls.iter_mut().zip([text.into_bytes(), bytes]) {
        call.response.body = body.into();
        call.response.body_size = 100_000;
    }
    hub.ingest(&[shop::block(shop::origin("orders", 0xaa), 1, &calls)])
        .await;
    for id in ["c1-0", "c1-1"] {
        for uri in [
            format!("remora://calls/{id}"),
            format!("remora://calls/{id}/body/response"),
        ] {
            let answer = read(&hub, &uri).await;
            let content = &answer["result"]["contents"][0];
            let shown = content["text"].as_str().or(content["blob"].as_str());
            let length = shown.unwrap().len();
            assert!((10_000..=41_000).contains(&length), "{uri}: {length} bytes");
        }
    }
}

#[tokio::test]
async fn a_snapshot_is_read_as_the_tool_that_made_it_said() {
    let hub = TestHub::with_shop().await;
    let arguments = json!({"name": "fix", "since": "-5m"});
    let made = text(&hub, "snapshot_start", arguments).await.0;
    let id = made.split(' ').nth(1).unwrap().to_owned();
    let uri = format!("remora://snapshots/{id}");
    let result = read(&hub, &uri).await["result"].clone();
    assert_eq!(
        (&result["cacheScope"], &result["ttlMs"]),
        (&json!("private"), &json!(0))
    );
    let shown = result["contents"][0]["text"].as_str().unwrap();
    let (facts, _) = made.split_once("next:").unwrap();
    assert_eq!(shown, facts);

    call(&hub, "snapshot_wait", json!({"snapshot": id, "idle_ms": 0})).await;
    let sealed = read(&hub, &uri).await["result"]["contents"][0]["text"].clone();
    let sealed = sealed.as_str().unwrap();
    assert!(
        sealed.contains("is sealed") && sealed.contains(", until "),
        "{sealed}"
    );
}

#[tokio::test]
async fn ids_of_snapshots_are_completed_and_no_others() {
    let hub = TestHub::with_shop().await;
    let id = hub.make_snapshot().await;
    let of = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    for (uri, typed, expected) in [
        ("remora://snapshots/{id}", "", json!([id])),
        ("remora://snapshots/{id}", &id[..8], json!([id])),
        ("remora://snapshots/{id}", "c1", json!([])),
        ("remora://calls/{id}", "", json!([])),
    ] {
        let answer = completed(&hub, of(uri), "id", typed).await;
        let values = &answer["result"]["completion"]["values"];
        assert_eq!(*values, expected, "{uri} {typed}");
    }
}

#[tokio::test]
async fn the_page_on_filters_names_what_filters_take() {
    let hub = TestHub::start().await;
    let result = read(&hub, "remora://docs/filters").await["result"].clone();
    let page = result["contents"][0]["text"].as_str().unwrap();
    assert!(page.starts_with("# Filters") && page.contains("status_code"));
    assert_eq!(result["cacheScope"], "public");
}

#[test_case("remora://calls/c99-0", "there is no call c99-0"; "a call that never was")]
#[test_case("remora://calls/17", "they look like c12-7"; "no name of a call")]
#[test_case("remora://calls/c1-0/body/request", "no request body"; "a body that never was")]
#[test_case("remora://calls/c1-0/body/both", "there is no resource"; "an unknown direction")]
#[test_case("remora://calls/c1-0/body/request/x", "there is no resource"; "a longer path")]
#[test_case("remora://snapshots/snp_aaaaaaaaaaaaaaaa", "there is no snapshot"; "a snapshot that never was")]
#[test_case("remora://snapshots/snp_aaaaaaaaaaaaaaaa/calls", "there is no resource"; "a part of a snapshot")]
#[test_case("remora://docs/../docs/filters", "there is no resource"; "dots")]
#[test_case("file:///etc/passwd", "remora://calls/{id}"; "another scheme")]
#[tokio::test]
async fn what_is_not_there_has_the_code_of_its_era(uri: &str, said: &str) {
    let hub = TestHub::with_shop().await;
    let current = read(&hub, uri).await["error"].clone();
    let older = legacy(&hub, "resources/read", json!({"uri": uri})).await["error"].clone();
    assert_eq!(
        (&current["code"], &older["code"]),
        (&json!(-32602), &json!(-32002))
    );
    for error in [&current, &older] {
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert_eq!(error["data"]["uri"], uri);
    }
}

#[tokio::test]
async fn a_prompt_is_written_with_what_it_was_given() {
    let hub = TestHub::start().await;
    let params = json!({"name": "verify_retries", "arguments": {"src": "web", "dst": "orders", "policy": "3 retries"}});
    let result = rpc(&hub, "prompts/get", params).await["result"].clone();
    assert_eq!(result["messages"][0]["role"], "user");
    insta::assert_snapshot!(result["messages"][0]["content"]["text"].as_str().unwrap());
    for (arguments, said) in [
        (json!({"src": "web", "dst": "orders"}), "needs policy"),
        (
            json!({"src": "a b", "dst": "orders", "policy": "x"}),
            "src is \"a b\"",
        ),
        (
            json!({"src": 1, "dst": "orders", "policy": "x"}),
            "src is not text",
        ),
    ] {
        let params = json!({"name": "verify_retries", "arguments": arguments});
        let error = rpc(&hub, "prompts/get", params).await["error"].clone();
        assert_eq!(error["code"], -32602);
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
}

async fn completed(hub: &TestHub, reference: Value, argument: &str, value: &str) -> Value {
    let params = json!({"ref": reference, "argument": {"name": argument, "value": value}});
    rpc(hub, "completion/complete", params).await
}

#[test_case("compare_deploys", "workload", "o", &["orders"]; "workloads")]
#[test_case("verify_retries", "dst", "", &["orders", "web"]; "parties without addresses")]
#[test_case("audit_token_flow", "namespace", "sh", &["shop"]; "namespaces")]
#[test_case("verify_cache", "route", "/api", &["/api/orders", "/api/orders/{id}"]; "routes of plain characters")]
#[test_case("verify_cache", "route", "orders/", &["/api/orders/{id}"]; "what has it elsewhere")]
#[test_case("verify_change", "what_changed", "a", &[]; "nothing for free words")]
#[tokio::test]
async fn arguments_are_completed(prompt: &str, argument: &str, typed: &str, expected: &[&str]) {
    let hub = TestHub::with_shop().await;
    let reference = json!({"type": "ref/prompt", "name": prompt});
    let answer = completed(&hub, reference, argument, typed).await;
    let completion = &answer["result"]["completion"];
    assert_eq!(completion["values"], json!(expected), "{answer}");
    assert_eq!(completion["hasMore"], false);
}

#[tokio::test]
async fn the_directions_of_a_body_are_completed_and_what_is_unknown_is_refused() {
    let hub = TestHub::start().await;
    let template = json!({"type": "ref/resource", "uri": "remora://calls/{id}/body/{direction}"});
    let answer = completed(&hub, template.clone(), "direction", "re").await;
    assert_eq!(
        answer["result"]["completion"]["values"],
        json!(["request", "response"])
    );
    for (reference, argument) in [
        (template, "which"),
        (json!({"type": "ref/prompt", "name": "verify_all"}), "src"),
        (
            json!({"type": "ref/resource", "uri": "remora://elsewhere/{id}"}),
            "id",
        ),
    ] {
        let answer = completed(&hub, reference, argument, "").await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn lists_come_in_the_same_order_every_time() {
    let hub = TestHub::with_shop().await;
    for method in [
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    ] {
        let lists: BTreeSet<String> = [
            rpc(&hub, method, json!({})).await["result"].to_string(),
            rpc(&hub, method, json!({})).await["result"].to_string(),
        ]
        .into();
        assert_eq!(lists.len(), 1, "{lists:?}");
    }
    // What is listed is there: no name is only a promise.
    let tools = rpc(&hub, "tools/list", json!({})).await["result"]["tools"].clone();
    for tool in tools.as_array().unwrap() {
        call(&hub, tool["name"].as_str().unwrap(), json!({})).await;
    }
}
