//! The hub is away: nothing is lost within memory and spool, and what is lost beyond is counted.

use crate::support::api::{Client, times_stored};
use crate::support::process::{HubPlace, start_sidecar};
use crate::support::{eventually, origin};

#[tokio::test(flavor = "multi_thread")]
async fn calls_made_while_the_hub_is_away_are_stored_when_it_comes() {
    let place = HubPlace::new();
    let upstream = origin::start().await;
    let (_sidecar, port) = start_sidecar(&place, upstream, &[]);
    let client = Client::new();
    for number in 0..500 {
        let uri = format!("http://127.0.0.1:{port}/early/{number}");
        assert_eq!(client.get(&uri, &[]).await.unwrap().0, 200);
    }
    let _hub = place.start();
    let calls = eventually("all calls are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() >= 500).then_some(calls)
    })
    .await;
    let times = times_stored(&calls);
    assert!((0..500).all(|number| times.get(&format!("/early/{number}")) == Some(&1)));
    assert_eq!(calls.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_stopped_spools_what_it_could_not_ship_and_its_successor_ships_it() {
    let place = HubPlace::new();
    let spool = tempfile::tempdir().unwrap();
    let spool_option = spool.path().display().to_string();
    let upstream = origin::start().await;
    let (sidecar, port) = start_sidecar(&place, upstream, &["--spool", &spool_option]);
    let client = Client::new();
    for number in 0..100 {
        let uri = format!("http://127.0.0.1:{port}/first/{number}");
        assert_eq!(client.get(&uri, &[]).await.unwrap().0, 200);
    }
    assert_eq!(sidecar.stop(), Some(0));
    let _hub = place.start();
    let (_successor, _) = start_sidecar(&place, upstream, &["--spool", &spool_option]);
    let calls = eventually("the spooled calls are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() >= 100).then_some(calls)
    })
    .await;
    assert_eq!(times_stored(&calls).len(), 100);
    assert_eq!(calls.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_cannot_hold_is_dropped_and_counted_to_the_call() {
    let place = HubPlace::new();
    let upstream = origin::start().await;
    // One MiB holds some hundred calls of this size; the rest has nowhere to go.
    let (_sidecar, port) = start_sidecar(&place, upstream, &["--capture-budget", "1MiB"]);
    let client = Client::new();
    let sent = 3_000_u64;
    let padding = "p".repeat(1_500);
    for number in 0..sent {
        let uri = format!("http://127.0.0.1:{port}/call/{number}");
        assert_eq!(
            client
                .get(&uri, &[("x-padding", &padding)])
                .await
                .unwrap()
                .0,
            200
        );
    }
    let _hub = place.start();
    let (stored, dropped) = eventually("stored and dropped calls add up to those sent", || async {
        let status = client
            .json(&format!("{}/api/v1/status", place.api()))
            .await?;
        let dropped = status["coverage"]["dropped"].as_u64()?;
        let stored = client.calls(&place.api()).await?.len() as u64;
        (stored + dropped >= sent).then_some((stored, dropped))
    })
    .await;
    assert_eq!(stored + dropped, sent, "{stored} stored, {dropped} dropped");
    assert!(
        dropped > 0 && stored > 0,
        "{stored} stored, {dropped} dropped"
    );
}
