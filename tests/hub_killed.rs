//! The hub is killed again and again while traffic flows: every call is stored exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::api::{Client, times_stored};
use crate::support::process::{HubPlace, start_sidecar};
use crate::support::{eventually, origin};

const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_stored_exactly_once_though_the_hub_is_killed_twenty_times() {
    let place = HubPlace::new();
    let mut hub = place.start();
    let upstream = origin::start().await;
    let (_sidecar, port) = start_sidecar(&place, upstream, &[]);
    let client = Client::new();
    let traffic = steady_traffic(client.clone(), port);
    let mut seed = 0x5eed_u64;
    for _ in 0..KILLS {
        // Long enough that most kills hit an ingest, different each time.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_millis(200 + (seed >> 33) % 300)).await;
        hub.kill();
        hub = place.start();
    }
    let sent = traffic.stop().await;
    let calls = eventually("all calls are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() as u64 >= sent).then_some(calls)
    })
    .await;
    let times = times_stored(&calls);
    for number in 0..sent {
        assert_eq!(
            times.get(&format!("/call/{number}")),
            Some(&1),
            "call {number} of {sent}"
        );
    }
    assert_eq!(calls.len() as u64, sent);
}

/// Requests one after the other, each with a path of its own, until stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
    sent: Arc<AtomicU64>,
}

fn steady_traffic(client: Client, port: u16) -> Traffic {
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let (stopping, sending) = (stop.clone(), sent.clone());
    let task = tokio::spawn(async move {
        while !stopping.load(Ordering::Relaxed) {
            let number = sending.load(Ordering::Relaxed);
            let uri = format!("http://127.0.0.1:{port}/call/{number}");
            let (status, body) = client
                .get(&uri, &[])
                .await
                .expect("the application answers");
            assert_eq!(
                (status, body.as_ref()),
                (200, format!("/call/{number}").as_bytes())
            );
            sending.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    Traffic { stop, task, sent }
}

impl Traffic {
    /// Stops after the request under way; gives how many were sent.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}
