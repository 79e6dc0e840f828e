//! The last word to a hub: a sidecar says goodbye when nothing of it is left to come, and never else.

use std::time::Duration;

use remora_proxy::ship::ShipConfig;

use crate::hub::{Hub, Mood, eventually};
use crate::ship::{Ship, config};

/// Long enough for anything; only a failing test takes it.
const LONG: Duration = Duration::from_secs(20);
/// What a sidecar may take that has nobody to ship to.
const SHORT: Duration = Duration::from_millis(300);

async fn connected(hub: &Hub) {
    eventually("the sidecar asking for orders", || {
        !hub.ledger().polls.is_empty()
    })
    .await;
}

async fn finish_with_nothing_left(ship: Ship) {
    let finished = ship.shipper.finish(LONG).await;
    assert_eq!((finished.spooled_blocks, finished.lost_calls), (0, 0));
}

#[tokio::test]
async fn a_sidecar_that_shipped_everything_says_goodbye_after_its_last_block() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    for _ in 0..3 {
        ship.send(2, 100);
    }
    finish_with_nothing_left(ship).await;
    let ledger = hub.ledger();
    let last = ledger.blocks.keys().map(|(_, sequence)| *sequence).max();
    assert_eq!((&ledger.goodbyes[..], last), (&[3][..], Some(3)));
}

#[tokio::test]
async fn a_sidecar_that_recorded_nothing_says_goodbye_too() {
    let hub = Hub::start().await;
    let ship = Ship::start(config(&hub));
    connected(&hub).await;
    ship.shipper.finish(LONG).await;
    assert_eq!(hub.ledger().goodbyes, [0]);
}

#[tokio::test]
async fn a_sidecar_whose_blocks_stay_in_the_spool_says_no_goodbye() {
    let hub = Hub::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut ship = Ship::start(ShipConfig {
        spool_dir: Some(dir.path().to_owned()),
        ..config(&hub)
    });
    connected(&hub).await;
    hub.set_mood(Mood::Refuse(503, None));
    ship.send(2, 100);
    assert_eq!(ship.shipper.finish(LONG).await.spooled_blocks, 1);
    assert!(hub.ledger().goodbyes.is_empty());
}

#[tokio::test]
async fn a_sidecar_that_lost_calls_at_its_end_says_no_goodbye() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    connected(&hub).await;
    hub.set_mood(Mood::Refuse(503, None));
    ship.send(2, 100);
    assert_eq!(ship.shipper.finish(SHORT).await.lost_calls, 2);
    assert!(hub.ledger().goodbyes.is_empty());
}

#[tokio::test]
async fn a_sidecar_whose_last_calls_found_no_room_says_no_goodbye() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(ShipConfig {
        queue_limit_bytes: 40_000,
        ..config(&hub)
    });
    connected(&hub).await;
    // Faster than they are sealed.
    while ship.refused() == 0 {
        ship.send(1, 50_000);
    }
    finish_with_nothing_left(ship).await;
    assert!(hub.ledger().goodbyes.is_empty());
}

#[tokio::test]
async fn a_hub_that_is_too_old_for_a_goodbye_keeps_nobody() {
    let hub = Hub::start().await;
    hub.ledger().knows_no_goodbye = true;
    let mut ship = Ship::start(config(&hub));
    ship.send(1, 10);
    finish_with_nothing_left(ship).await;
    assert_eq!((hub.calls(), hub.ledger().goodbyes.len()), (1, 1));
}
