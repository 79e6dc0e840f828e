//! Calls that run long: they are seen while they run, and once when they are over.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::{eventually, origin};

/// A server that answers paths which begin with `/held` only when it is let.
struct Held {
    place: HubPlace,
    _hub: Running,
    _sidecar: Running,
    port: u16,
    let_go: Arc<Semaphore>,
    client: Client,
}

impl Held {
    async fn start() -> Self {
        let place = HubPlace::new();
        let let_go = Arc::new(Semaphore::new(0));
        let waiting = let_go.clone();
        let upstream = origin::serve(move |request| {
            let waiting = waiting.clone();
            async move {
                let path = request.uri().path().to_owned();
                if path.starts_with("/held") {
                    waiting.acquire().await.unwrap().forget();
                }
                Response::new(Bytes::from(path))
            }
        })
        .await;
        let hub = place.start();
        let (sidecar, port) = start_sidecar(&place, upstream, &[]);
        Self {
            place,
            _hub: hub,
            _sidecar: sidecar,
            port,
            let_go,
            client: Client::new(),
        }
    }

    /// Waits until the calls that match are as many as wanted.
    async fn see(&self, filter: &str, wanted: usize) -> Vec<Value> {
        eventually(&format!("{wanted} calls with {filter}"), || async {
            let calls = self.client.matching(&self.place.api(), filter).await?;
            (calls.len() == wanted).then_some(calls)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_open_while_it_runs_and_complete_once_when_it_is_over() {
    let held = Held::start().await;
    let uri = format!("http://127.0.0.1:{}/held?page=1", held.port);
    let client = held.client.clone();
    let running = tokio::spawn(async move { client.get(&uri, &[]).await });

    let open = held.see(r#"state == "open""#, 1).await.remove(0);
    assert_eq!(open["path"], "/held");
    assert_eq!(open["query"], "page=1");
    assert_eq!(open["method"], "GET");
    assert_eq!(open["status"], Value::Null, "{open}");
    assert_eq!(open["latency_ms"], Value::Null, "{open}");

    held.let_go.add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().0, 200);
    let complete = held.see(r#"state == "complete""#, 1).await.remove(0);
    assert_eq!(complete["path"], "/held");
    assert_eq!(complete["status"], 200);
    assert!(complete["latency_ms"].as_f64().is_some(), "{complete}");
    assert_eq!(held.see("http", 1).await.len(), 1, "it is listed once");

    // Who noted the id of the open call finds the complete one under it.
    let id = open["id"].as_str().unwrap();
    let uri = format!("{}/api/v1/calls/{id}", held.place.api());
    let found = held.client.json(&uri).await.unwrap();
    assert_eq!(
        found.get("call").unwrap_or(&found)["state"],
        "complete",
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_calls_behind_one_that_runs_are_told_apart() {
    let held = Held::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", held.port)).await.unwrap();
    stream
        .write_all(
            b"GET /held/first HTTP/1.1\r\nHost: shop\r\n\r\n\
              POST /second HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello\
              GET /held/third HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
    let open = held
        .see(r#"path == "/held/first" && state == "open""#, 1)
        .await;
    assert_eq!(open[0]["connection"]["ordinal"], 0);

    held.let_go.add_permits(1);
    held.see(r#"path == "/second" && state == "complete""#, 1)
        .await;
    let open = held.see(r#"state == "open""#, 1).await;
    assert_eq!(open[0]["path"], "/held/third");

    held.let_go.add_permits(1);
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    let mut calls = held.see(r#"state == "complete""#, 3).await;
    calls.sort_by_key(|call| call["connection"]["ordinal"].as_u64());
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call["connection"]["ordinal"].as_u64().unwrap(),
                call["method"].as_str().unwrap(),
                call["path"].as_str().unwrap(),
                call["request"]["body"].as_str().unwrap_or(""),
                call["response"]["body"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, "GET", "/held/first", "", "/held/first"),
            (1, "POST", "/second", "hello", "/second"),
            (2, "GET", "/held/third", "", "/held/third"),
        ]
    );
    assert!(
        calls
            .iter()
            .all(|call| call["connection"]["id"] == calls[0]["connection"]["id"]),
        "{calls:?}"
    );
    assert_eq!(held.see("true", 3).await.len(), 3, "each is listed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_kept_connection_are_numbered_in_their_order() {
    let held = Held::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", held.port)).await.unwrap();
    for number in 0..5 {
        let request = format!("GET /number/{number} HTTP/1.1\r\nHost: shop\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with(&format!("/number/{number}")) {
            let byte = stream.read_u8().await.unwrap();
            answer.push(char::from(byte));
        }
    }
    for call in held.see("http", 5).await {
        let ordinal = call["connection"]["ordinal"].as_u64().unwrap();
        assert_eq!(call["path"], format!("/number/{ordinal}"));
        assert_eq!(call["connection"]["reused"], ordinal > 0);
    }
}
