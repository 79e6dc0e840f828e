//! Pages and formats: every call once, however it is asked for, whatever arrives meanwhile.

use std::collections::HashSet;

use serde_json::Value;

use super::town::Town;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_the_same_calls_as_the_document() {
    let town = Town::start().await;
    for question in [
        "order=newest",
        "order=oldest",
        "filter=status_code%20%3E%3D%20500",
        "fields=id,method,request.headers",
    ] {
        let (_, document) = town.ask(&format!("/api/v1/calls?{question}")).await;
        let (_, lines) = town
            .ask(&format!("/api/v1/calls?{question}&format=ndjson"))
            .await;
        let lines: Vec<Value> = lines
            .as_str()
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!lines.is_empty(), "{question}");
        assert_eq!(document["calls"], Value::Array(lines), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_cover_all_calls_once_while_more_arrive() {
    let town = Town::start().await;
    let before: HashSet<&str> = town.calls.iter().map(id).collect();
    let mut more = 0;
    for order in ["newest", "oldest"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = format!("/api/v1/calls?order={order}&limit=3{cursor}");
            let (status, page) = town.ask(&page).await;
            assert_eq!(status, 200, "{page}");
            let calls = page["calls"].as_array().unwrap();
            assert!(calls.len() <= 3);
            seen.extend(calls.iter().map(|call| id(call).to_owned()));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
            // Where the newest come last, they come faster than the pages for a while.
            if more < 12 {
                call_once_more(&town, more).await;
                more += 1;
            }
        }
        let distinct: HashSet<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(
            distinct.len(),
            seen.len(),
            "{order}: a call is on two pages"
        );
        let missed: Vec<_> = before.difference(&distinct).collect();
        assert!(missed.is_empty(), "{order}: on no page: {missed:?}");
    }
    assert!(more > 5, "nothing arrived meanwhile");
}

/// Makes a call, and waits until its two legs are stored.
async fn call_once_more(town: &Town, number: usize) {
    let uri = format!("http://127.0.0.1:{}/more/{number}", town.payment);
    assert_eq!(town.client.get(&uri, &[]).await.unwrap().0, 200);
    eventually("the call is stored", || async {
        let filter = format!("path == \"/more/{number}\"");
        let calls = town.client.matching(&town.place.api(), &filter).await?;
        (calls.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_says_why_it_is_empty() {
    let nobody = crate::support::process::HubPlace::new();
    let _hub = nobody.start();
    let client = crate::support::api::Client::new();
    let empty = eventually("the hub answers", || async {
        client.json(&format!("{}/api/v1/calls", nobody.api())).await
    })
    .await;
    assert_eq!(empty["empty_because"]["code"], "no_sidecar", "{empty}");

    let town = Town::start().await;
    for (question, code) in [
        ("filter=path%20%3D%3D%20%22%2Fnever%22", "nothing_matches"),
        (
            "filter=request.body.contains(%22never%22)",
            "nothing_matches",
        ),
        ("until=2020-01-01T00:00:00Z", "nothing_in_window"),
    ] {
        for path in ["calls", "summary"] {
            let (status, empty) = town.ask(&format!("/api/v1/{path}?{question}")).await;
            assert_eq!(status, 200, "{empty}");
            assert_eq!(
                empty["empty_because"]["code"], code,
                "{path}?{question}: {empty}"
            );
            let message = empty["empty_because"]["message"].as_str().unwrap();
            assert!(!message.is_empty());
            assert!(empty["coverage"]["sidecars"].is_array(), "{empty}");
        }
    }
}

fn id(call: &Value) -> &str {
    call["id"].as_str().unwrap()
}
