//! When the store is full or broken, when too much comes at a time, and when the hub stops.

use std::sync::Arc;
use std::time::Duration;

use remora_mcp::{Config, Hub, Keep, Options};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::get;
use crate::hub::{INCARNATION, TestHub, framed, post_blocks};
use crate::shop::blocks;
use crate::store::{Trouble, TroubledStore};

async fn hub_over(store: Arc<TroubledStore>) -> TestHub {
    let config = Config::check(Options::on_any_port(Keep::Memory)).unwrap();
    TestHub::from(Hub::start_over(store, config).await.unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_blocks_with_a_reason_and_still_answers() {
    let store = Arc::new(TroubledStore::new(Trouble::Full));
    let hub = hub_over(store.clone()).await;
    let answer = hub.ingest(&blocks()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (503, "store_full")
    );
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(hub.get("/api/v1/calls").await.status, 200);
    assert_eq!(hub.get("/readyz").await.status, 503);
    assert_eq!(hub.get("/healthz").await.status, 200);

    store.mend();
    assert_eq!(
        hub.ingest(&blocks()).await.text(),
        r#"{"stored":2,"duplicates":0}"#
    );
    assert_eq!(hub.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn what_the_disk_said_goes_to_the_log_and_not_to_callers() {
    let hub = hub_over(Arc::new(TroubledStore::new(Trouble::Broken))).await;
    let (api, mcp) = (
        hub.get("/api/v1/calls").await,
        crate::mcp::text(&hub, "calls_search", json!({})).await,
    );
    assert_eq!(
        (api.status.as_u16(), api.error_code().as_str()),
        (503, "store_failed")
    );
    assert!(mcp.1, "{mcp:?}");
    for text in [api.text(), &mcp.0, hub.ingest(&blocks()).await.text()] {
        assert!(
            !text.contains("/secret/path") && !text.contains("bad sector"),
            "{text}"
        );
    }
}

/// A sidecar that says it brings 8 MiB, and then brings nothing.
async fn stalled(hub: &TestHub) -> TcpStream {
    let mut stream = TcpStream::connect(hub.ingest_address()).await.unwrap();
    let head = format!(
        "POST /ingest/v1/blocks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.remora.blocks\r\n\
         X-Remora-Incarnation: {INCARNATION}\r\nContent-Length: 8388608\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The hub asks for the body only once it has taken room for it.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[tokio::test]
async fn more_than_can_be_kept_at_a_time_is_asked_to_come_again() {
    let hub = TestHub::start().await;
    let mut sidecars = Vec::new();
    for _ in 0..8 {
        sidecars.push(stalled(&hub).await);
    }
    let answer = hub.ingest(&blocks()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (503, "busy")
    );
    assert_eq!(answer.headers["retry-after"], "1");

    // Room comes back when a sidecar hangs up.
    sidecars.clear();
    let taken = async {
        while hub.ingest(&blocks()).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), taken).await.unwrap();
}

#[tokio::test]
async fn blocks_that_are_being_kept_when_the_hub_stops_are_kept_and_acknowledged() {
    let store = Arc::new(TroubledStore::new(Trouble::Held));
    let hub = hub_over(store.clone()).await;
    let sidecar = tokio::spawn(post_blocks(hub.ingest_address(), framed(&blocks())));
    let _ = store.at_gate.acquire().await.unwrap();
    let stopping = tokio::spawn(hub.stop());
    store.gate.close();
    assert_eq!(
        sidecar.await.unwrap().text(),
        r#"{"stored":2,"duplicates":0}"#
    );
    timeout(Duration::from_secs(10), stopping)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_sidecar_that_hangs_up_does_not_undo_what_it_brought() {
    let store = Arc::new(TroubledStore::new(Trouble::Held));
    let hub = hub_over(store.clone()).await;
    let sidecar = tokio::spawn(post_blocks(hub.ingest_address(), framed(&blocks())));
    let _ = store.at_gate.acquire().await.unwrap();
    sidecar.abort();
    store.gate.close();
    let kept = async {
        while hub.get("/api/v1/status").await.json()["store"]["blocks"] != 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), kept).await.unwrap();
}

#[tokio::test]
async fn a_hub_that_stops_answers_those_who_wait_and_takes_nobody_new() {
    let hub = TestHub::start().await;
    let (ingest, api) = (hub.ingest_address(), hub.api_address());
    let question = format!("/ingest/v1/control?incarnation={INCARNATION}");
    let epoch = get(ingest, &question).await.json()["epoch"].clone();
    let waiting =
        tokio::spawn(async move { get(ingest, &format!("{question}&epoch={epoch}")).await });
    let waits = async {
        while !hub
            .get("/metrics")
            .await
            .text()
            .contains("remora_hub_control_questions_total 2")
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), waits).await.unwrap();
    timeout(Duration::from_secs(10), hub.stop()).await.unwrap();
    assert_eq!(waiting.await.unwrap().status, 200);
    assert!(TcpStream::connect(api).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_its_flag() {
    let first = TestHub::start().await;
    let mut options = Options::on_any_port(Keep::Memory);
    options.ingest = first.ingest_address();
    let Err(error) = Hub::start(Config::check(options).unwrap()).await else {
        panic!("two hubs on one port");
    };
    assert!(error.to_string().contains("--ingest"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_taken_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::on_any_port(Keep::Disk(directory.path().to_owned()));
    let _first = TestHub::start_with(options.clone()).await;
    let Err(error) = Hub::start(Config::check(options).unwrap()).await else {
        panic!("two hubs in one directory");
    };
    assert!(
        error
            .to_string()
            .contains("another process uses the data directory"),
        "{error}"
    );
}
