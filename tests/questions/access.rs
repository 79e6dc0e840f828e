//! A hub that others can reach: nobody asks or ships without its token.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;

use crate::support::api::Client;
use crate::support::process::{HubPlace, start_sidecar};
use crate::support::{eventually, origin};

const TOKEN: &str = "a-token-that-is-long-enough";

#[tokio::test(flavor = "multi_thread")]
async fn off_loopback_every_question_and_every_block_needs_the_token() {
    let place = HubPlace::new();
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let token_option = token_file.display().to_string();
    let _hub = place.start_on("0.0.0.0", &["--token-file", &token_option]);
    let client = Client::new();
    eventually("the hub is alive, which needs no token", || async {
        client.get(&format!("{}/healthz", place.api()), &[]).await
    })
    .await;

    let paths = [
        "/api/v1/status",
        "/api/v1/calls",
        "/api/v1/calls/c1-1",
        "/api/v1/summary",
        "/openapi.json",
        "/mcp",
    ];
    for path in paths {
        let uri = format!("{}{path}", place.api());
        for headers in [
            &[][..],
            &[("authorization", "Bearer a-token-that-is-long-and-not-it")],
            &[("authorization", "Basic a-token-that-is-long-enough")],
        ] {
            let (status, body) = client.get(&uri, headers).await.unwrap();
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (status, &answer["error"]["code"]),
                (401, &"unauthorized".into()),
                "{path}"
            );
            assert!(answer["error"]["hint"].as_str().unwrap().contains("Bearer"));
        }
    }
    for (method, path) in [("POST", "blocks"), ("GET", "control?incarnation=00")] {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/ingest/v1/{path}", place.ingest()))
            .body(Full::new(Bytes::new()))
            .unwrap();
        assert_eq!(client.send(request).await.unwrap().status(), 401, "{path}");
    }

    // A sidecar with another token keeps what it has, and ships once it is given the right one.
    let other = folder.path().join("other");
    std::fs::write(&other, "another-token-that-is-no-good").unwrap();
    let other_option = other.display().to_string();
    let upstream = origin::start().await;
    let (_sidecar, port) = start_sidecar(&place, upstream, &["--token-file", &other_option]);
    let uri = format!("http://127.0.0.1:{port}/kept");
    assert_eq!(client.get(&uri, &[]).await.unwrap().0, 200);
    std::fs::write(&other, TOKEN).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let calls = eventually("the call is stored", || async {
        let uri = format!("{}/api/v1/calls", place.api());
        let (status, body) = client.get(&uri, &[("authorization", &bearer)]).await?;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let calls = answer["calls"].as_array()?.clone();
        (!calls.is_empty()).then_some(calls)
    })
    .await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["path"], "/kept");
}
