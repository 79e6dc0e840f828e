//! A hub with a memory store, on ports of its own.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::Method;
use remora_mcp::{Config, Hub, Keep, Options};
use tokio::time::{sleep, timeout};

use crate::http::{Answer, get, send};

/// Longer than anything takes that a test waits for, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct TestHub(Hub);

impl TestHub {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::on_any_port(Keep::Memory)).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        Self(Hub::start(Config::check(options).unwrap()).await.unwrap())
    }

    /// A hub that has the calls of the shop.
    pub(crate) async fn with_shop() -> Self {
        let hub = Self::start().await;
        let answer = hub.ingest(&crate::shop::blocks()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        hub
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(self.api_address(), path).await
    }

    /// Makes a snapshot of everything from now on; gives its id.
    pub(crate) async fn make_snapshot(&self) -> String {
        let address = self.api_address();
        let made = send(
            address,
            Method::POST,
            "/api/v1/snapshots",
            &[],
            Bytes::new(),
        )
        .await;
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until just so many callers wait for a snapshot to settle.
    pub(crate) async fn waiters_are(&self, wanted: usize) {
        let line = format!("remora_hub_snapshot_waiters {wanted}");
        let waited = async {
            while !self
                .get("/metrics")
                .await
                .text()
                .lines()
                .any(|it| it == line)
            {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, waited).await;
        assert!(waited.is_ok(), "there were never {wanted} waiters");
    }

    /// Brings blocks as a sidecar does.
    pub(crate) async fn ingest(&self, blocks: &[Bytes]) -> Answer {
        post_blocks(self.ingest_address(), framed(blocks)).await
    }

    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }
}

impl From<Hub> for TestHub {
    fn from(hub: Hub) -> Self {
        Self(hub)
    }
}

impl Deref for TestHub {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.0
    }
}

pub(crate) const INCARNATION: &str = "000000000000000000000000000000aa";

pub(crate) async fn post_blocks(address: SocketAddr, body: Bytes) -> Answer {
    let headers = [
        ("content-type", "application/vnd.remora.blocks"),
        ("x-remora-incarnation", INCARNATION),
    ];
    send(address, Method::POST, "/ingest/v1/blocks", &headers, body).await
}

/// Blocks as they travel: each behind its length.
pub(crate) fn framed(blocks: &[Bytes]) -> Bytes {
    let mut body = BytesMut::new();
    for block in blocks {
        body.put_u32_le(u32::try_from(block.len()).unwrap());
        body.put_slice(block);
    }
    body.freeze()
}
