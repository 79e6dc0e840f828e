//! Who hangs up is worked for no longer, and who waits is answered even if the hub stops.

use std::sync::Arc;
use std::time::Duration;

use remora_mcp::snapshot::barrier::WAITERS;
use remora_mcp::{Config, Hub, Keep, Options};
use serde_json::{Value, json};
use test_case::test_case;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CURRENT, legacy, text};
use crate::hub::TestHub;
use crate::store::{Trouble, TroubledStore};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn searching() -> (TestHub, Arc<TroubledStore>) {
    let store = Arc::new(TroubledStore::new(Trouble::Searching));
    let config = Config::check(Options::on_any_port(Keep::Memory)).unwrap();
    let hub = Hub::start_over(store.clone(), config).await.unwrap();
    (hub.into(), store)
}

/// Calls a tool on a connection of its own, in the current protocol or the one before.
async fn ask(hub: &TestHub, current: bool, mut params: Value) -> TcpStream {
    let tool = params["name"].as_str().unwrap().to_owned();
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
        hub.api_address()
    );
    if current {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(CURRENT);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        head += &format!(
            "MCP-Protocol-Version: {CURRENT}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
        );
    } else {
        head += "MCP-Protocol-Version: 2025-11-25\r\n";
    }
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(hub.api_address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Asks for calls.
async fn search(hub: &TestHub, current: bool) -> TcpStream {
    ask(
        hub,
        current,
        json!({"name": "calls_search", "arguments": {}}),
    )
    .await
}

/// Waits for a snapshot in which nothing comes.
async fn wait(hub: &TestHub, current: bool, meta: Value) -> TcpStream {
    let arguments = json!({"snapshot": hub.make_snapshot().await, "max_wait_s": 45});
    let params = json!({"name": "snapshot_wait", "arguments": arguments, "_meta": meta});
    ask(hub, current, params).await
}

#[test_case(true; "in the current protocol")]
#[test_case(false; "in the one before")]
#[tokio::test]
async fn a_client_that_hangs_up_ends_the_work(current: bool) {
    let (hub, store) = searching().await;
    let stream = search(&hub, current).await;
    timeout(PATIENCE, store.at_gate.acquire())
        .await
        .unwrap()
        .unwrap()
        .forget();
    assert_eq!(store.given_up.available_permits(), 0);
    drop(stream);
    timeout(PATIENCE, store.given_up.acquire())
        .await
        .unwrap()
        .unwrap()
        .forget();
    // Its turn is free again, and so is the hub.
    store.mend();
    let answer = legacy(&hub, "tools/list", json!({})).await;
    assert!(answer["result"]["tools"].is_array());
}

#[test_case(true, json!({}); "in the current protocol")]
#[test_case(false, json!({}); "in the one before")]
#[test_case(true, json!({"progressToken": 1}); "while it hears how far it is")]
#[test_case(false, json!({"progressToken": 1}); "while it hears so in the one before")]
#[tokio::test]
async fn a_client_that_hangs_up_does_not_wait_for_a_snapshot_any_more(current: bool, meta: Value) {
    let hub = TestHub::start().await;
    let waiting = wait(&hub, current, meta).await;
    hub.waiters_are(1).await;
    drop(waiting);
    hub.waiters_are(0).await;
}

#[tokio::test]
async fn one_client_too_many_is_told_that_others_wait() {
    let hub = TestHub::start().await;
    let mut waiting = Vec::new();
    for _ in 0..WAITERS {
        waiting.push(wait(&hub, true, json!({})).await);
    }
    hub.waiters_are(WAITERS).await;
    let arguments = json!({"snapshot": hub.make_snapshot().await});
    let (refused, error) = text(&hub, "snapshot_wait", arguments).await;
    assert!(
        error && refused.contains("32 callers wait already"),
        "{refused}"
    );
    drop(waiting);
    hub.waiters_are(0).await;
}

#[tokio::test]
async fn a_hub_that_stops_answers_what_it_was_asked() {
    let (hub, store) = searching().await;
    let mut streams = Vec::new();
    for current in [true, false, true, false] {
        streams.push(search(&hub, current).await);
        timeout(PATIENCE, store.at_gate.acquire())
            .await
            .unwrap()
            .unwrap()
            .forget();
    }
    let address = hub.api_address();
    let stopped = tokio::spawn(hub.stop());
    // The port is closed before the work is done, and the answers come after.
    timeout(PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!stopped.is_finished());
    store.gate.close();
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("no calls"),
            "{answer}"
        );
    }
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert_eq!(store.given_up.available_permits(), 0);
}
