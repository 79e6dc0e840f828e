//! Blocks on their way to a hub that is there, away, silent, refusing or dying: what was handed over
//! is stored once, and what had to be dropped is counted.

use std::time::Duration;

use bytes::Bytes;
use remora_proxy::budget::Budget;
use remora_proxy::given::Given;
use remora_proxy::observe::Recorded;
use remora_proxy::record::{Batch, Flushes};
use remora_proxy::redact::Redaction;
use remora_proxy::ship::{ShipConfig, ShipMetrics, Shipper};
use remora_store::block::{self, BlockMeta, Codec, Origin};
use remora_store::call::{Call, Connection, Detail, Engine, Leg, Message, Phases, Protocol, State};
use remora_store::spool::Spool;
use test_case::test_case;
use tokio::time::timeout;

use crate::hub::{Hub, Mood, eventually};

const BUDGET: usize = 8 << 20;
const LONG: Duration = Duration::from_secs(20);

/// How long a shipper waits for a hub that is never going to answer.
const SHORT: Duration = Duration::from_millis(300);

/// A shipper, and what a test has to know of it.
pub(crate) struct Ship {
    pub(crate) shipper: Shipper,
    pub(crate) flushes: Flushes,
    pub(crate) budget: Budget,
    pub(crate) metrics: ShipMetrics,
    pub(crate) sent: u64,
    refused: u64,
}

impl Ship {
    pub(crate) fn start(config: ShipConfig) -> Self {
        let budget = Budget::new(BUDGET);
        let metrics = ShipMetrics::default();
        let (shipper, flushes) = Shipper::start(config, budget.clone(), metrics.clone()).unwrap();
        Self {
            shipper,
            flushes,
            budget,
            metrics,
            sent: 0,
            refused: 0,
        }
    }

    /// Hands over `count` calls with bodies of `body_bytes`, as the data plane does: what has no
    /// room is counted there.
    pub(crate) fn send(&mut self, count: u64, body_bytes: usize) {
        let mut batch = Batch::default();
        for _ in 0..count {
            let recorded = recorded(call(self.sent, body_bytes));
            self.sent += 1;
            if self.budget.try_take(recorded.cost_bytes) {
                batch.calls.push(recorded);
            } else {
                self.refused += 1;
            }
        }
        if let Err(batch) = self.shipper.try_send(batch) {
            for recorded in batch.calls {
                self.budget.give_back(recorded.cost_bytes);
                self.refused += 1;
            }
        }
    }

    /// Calls that the data plane would have to tell of.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    fn dropped(&self) -> u64 {
        ["budget", "queue", "spool", "rejected"]
            .iter()
            .map(|reason| self.metrics.calls_dropped(reason))
            .sum()
    }

    /// Everything is accounted for: stored, or told as dropped.
    pub(crate) async fn is_settled(&self, hub: &Hub) {
        eventually("every call being stored or told as dropped", || {
            let ledger = hub.ledger();
            ledger.calls() + ledger.dropped(None) + self.refused == self.sent
        })
        .await;
        assert_eq!(hub.dropped(None), self.dropped());
        eventually("the budget being free again", || {
            self.budget.used_bytes() == 0
        })
        .await;
    }
}

pub(crate) fn config(hub: &Hub) -> ShipConfig {
    ShipConfig {
        given: Given::ALL,
        ingest: hub.uri(),
        ingest_ca: None,
        token_file: None,
        origin: Origin {
            incarnation: rand::random(),
            workload: "orders".to_owned(),
            namespace: "local".to_owned(),
            ..Origin::default()
        },
        body_limit_bytes: 64 << 10,
        queue_limit_bytes: 4 << 20,
        spool_dir: None,
        spool_limit_bytes: 64 << 20,
        redaction: Redaction::default(),
        faults: None,
        answer_timeout: LONG,
    }
}

/// Of a shipper that gives a silent hub up soon.
pub(crate) fn hasty(hub: &Hub) -> ShipConfig {
    ShipConfig {
        answer_timeout: SHORT,
        ..config(hub)
    }
}

/// Waits until a shipper has the hub's key: it asks again once it does.
async fn key_is_known(hub: &Hub) {
    eventually("the key being known", || hub.ledger().polls.len() >= 2).await;
}

pub(crate) fn recorded(call: Call) -> Recorded {
    let cost_bytes = 512 + call.request.body.len() + call.response.body.len();
    Recorded { call, cost_bytes }
}

/// A call that differs from every other, with a body that does not compress away.
pub(crate) fn call(number: u64, body_bytes: usize) -> Call {
    let address = "127.0.0.1:8080".parse().unwrap();
    let mut body = vec![0u8; body_bytes];
    rand::fill(&mut body[..]);
    body.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
    Call {
        time_ns: number as i64,
        protocol: Protocol::Http1,
        leg: Leg::Inbound,
        engine: Engine::Splice,
        state: State::Complete,
        probe: false,
        src: address,
        dst: address,
        connection: Connection {
            id: number + 1,
            ordinal: 0,
            forwarded_from: None,
        },
        request: Message {
            head: Bytes::from(format!(
                "GET /orders/{number} HTTP/1.1\r\nHost: orders\r\n\r\n"
            )),
            ..Message::default()
        },
        response: Message {
            head: Bytes::from("HTTP/1.1 200 OK\r\n\r\n"),
            body_size: body.len() as u64,
            body: Bytes::from(body),
            ..Message::default()
        },
        interim: Bytes::new(),
        phases: Phases::default(),
        closed_by: None,
        error: None,
        join_digest: None,
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    }
}

#[tokio::test]
async fn every_call_is_stored_once_and_sequences_have_no_gap() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    key_is_known(&hub).await;
    for sent in 1..=40 {
        ship.send(5, 300);
        eventually("the batch being stored", || hub.calls() == sent * 5).await;
    }
    ship.is_settled(&hub).await;
    let ledger = hub.ledger();
    let sequences: Vec<u64> = ledger
        .blocks
        .keys()
        .map(|(_, sequence)| *sequence)
        .collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
    assert_eq!((ledger.calls(), ledger.dropped(None)), (200, 0));
    assert_eq!(ledger.host, Some(hub.address.to_string()));
    assert_eq!(
        ledger.connections, 2,
        "one for blocks and one for control, both kept"
    );
    // Under the hub's key from the first block on.
    assert!(
        ledger
            .blocks
            .values()
            .all(|block| block.meta().redaction_key == "k-1")
    );
}

#[tokio::test]
async fn what_a_busy_hub_cannot_take_is_refused_before_it_costs_anything() {
    let hub = Hub::start().await;
    hub.set_mood(Mood::Busy);
    let mut ship = Ship::start(config(&hub));
    eventually("what waits taking up all room", || {
        ship.send(4, 60 << 10);
        ship.refused > 100
    })
    .await;
    hub.set_mood(Mood::Store);
    ship.is_settled(&hub).await;
    assert_eq!(ship.dropped(), 0, "calls were sealed in vain");
    let stored = hub.ledger().blocks.len() as u64;
    assert_eq!(ship.metrics.blocks_sealed.get(), stored);
}

#[tokio::test]
async fn what_a_hub_may_have_stored_without_an_answer_is_not_told_as_dropped() {
    let hub = Hub::start().await;
    hub.set_mood(Mood::BreakAfterStoring);
    let mut ship = Ship::start(config(&hub));
    eventually("memory being full", || {
        ship.send(4, 60 << 10);
        ship.dropped() > 0
    })
    .await;
    hub.set_mood(Mood::Store);
    ship.is_settled(&hub).await;
}

#[tokio::test]
async fn calls_wait_in_memory_while_the_hub_is_away() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let mut ship = Ship::start(config(&hub));
    for _ in 0..50 {
        ship.send(2, 1000);
    }
    eventually("blocks being sealed", || {
        ship.metrics.blocks_sealed.get() > 0
    })
    .await;
    hub.start_again().await;
    ship.is_settled(&hub).await;
    assert_eq!((hub.calls(), ship.refused), (100, 0));
    let first = hub.ledger().blocks.values().next().unwrap().meta().clone();
    assert!(first.redaction_key.starts_with("local-"), "{first:?}");
}

#[tokio::test]
async fn beyond_memory_the_oldest_are_dropped_and_counted() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let mut ship = Ship::start(ShipConfig {
        queue_limit_bytes: 1 << 20,
        ..config(&hub)
    });
    for sealed in 1..=300 {
        ship.send(1, 20_000);
        eventually("the batch being sealed", || {
            ship.metrics.blocks_sealed.get() == sealed
        })
        .await;
        assert!(ship.budget.used_bytes() <= BUDGET);
    }
    hub.start_again().await;
    ship.is_settled(&hub).await;
    let ledger = hub.ledger();
    assert!(ledger.dropped(Some("queue")) > 100);
    let newest = ledger
        .blocks
        .keys()
        .filter(|(_, sequence)| *sequence > 260)
        .count();
    assert!(newest >= 40, "the newest are kept");
}

#[tokio::test]
async fn the_spool_takes_what_memory_has_no_room_for() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let spool = tempfile::tempdir().unwrap();
    let mut ship = Ship::start(ShipConfig {
        queue_limit_bytes: 1 << 20,
        spool_dir: Some(spool.path().to_owned()),
        ..config(&hub)
    });
    for sealed in 1..=300 {
        ship.send(1, 20_000);
        eventually("the batch being sealed", || {
            ship.metrics.blocks_sealed.get() == sealed
        })
        .await;
    }
    assert!(ship.metrics.spool_bytes.get() > 1 << 20);
    hub.start_again().await;
    ship.is_settled(&hub).await;
    assert_eq!((hub.calls(), hub.dropped(None)), (300, 0));
}

#[tokio::test]
async fn beyond_the_spool_drops_are_exactly_what_is_missing() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let spool = tempfile::tempdir().unwrap();
    let mut ship = Ship::start(ShipConfig {
        queue_limit_bytes: 1 << 20,
        spool_dir: Some(spool.path().to_owned()),
        spool_limit_bytes: 2 << 20,
        ..config(&hub)
    });
    for sealed in 1..=400 {
        ship.send(1, 20_000);
        eventually("the batch being sealed", || {
            ship.metrics.blocks_sealed.get() == sealed
        })
        .await;
    }
    hub.start_again().await;
    ship.is_settled(&hub).await;
    let ledger = hub.ledger();
    assert!(ledger.dropped(Some("spool")) > 100);
    assert_eq!(ledger.dropped(Some("queue")), 0);
}

#[tokio::test]
async fn a_silent_hub_fills_memory_up_to_the_budget_and_no_further() {
    let hub = Hub::start().await;
    hub.set_mood(Mood::Silent);
    let mut ship = Ship::start(hasty(&hub));
    for _ in 0..400 {
        ship.send(2, 20_000);
        assert!(ship.budget.used_bytes() <= BUDGET);
        tokio::task::yield_now().await;
    }
    eventually("the hub having been tried twice", || hub.requests() >= 2).await;
    hub.set_mood(Mood::Store);
    ship.send(1, 10);
    ship.is_settled(&hub).await;
    assert!(hub.calls() < ship.sent, "there was more than memory holds");
}

#[test_case(Mood::BreakAfterStoring; "after it stored the blocks")]
#[test_case(Mood::BreakBefore; "before it read them")]
#[tokio::test]
async fn a_hub_that_dies_in_a_request_gets_the_blocks_again(mood: Mood) {
    let hub = Hub::start().await;
    hub.set_mood(mood.clone());
    let mut ship = Ship::start(config(&hub));
    for _ in 0..10 {
        ship.send(3, 100);
    }
    eventually("a request having been broken", || hub.requests() >= 3).await;
    hub.set_mood(Mood::Store);
    ship.is_settled(&hub).await;
    assert_eq!((hub.calls(), hub.dropped(None)), (30, 0));
    assert_eq!(hub.doubles() > 0, mood == Mood::BreakAfterStoring);
}

#[test_case(401, None)]
#[test_case(403, None)]
#[test_case(404, None)]
#[test_case(413, None)]
#[test_case(429, Some(1))]
#[test_case(500, None)]
#[test_case(503, Some(1))]
#[test_case(503, None)]
#[test_case(200, None; "200 from something that is no hub")]
#[test_case(400, None; "400 that names no block")]
#[tokio::test]
async fn a_hub_that_refuses_is_asked_again_and_nothing_is_lost(code: u16, after: Option<u64>) {
    let hub = Hub::start().await;
    hub.set_mood(Mood::Refuse(code, after));
    let mut ship = Ship::start(config(&hub));
    for _ in 0..10 {
        ship.send(3, 100);
    }
    eventually("the hub having refused twice", || hub.requests() >= 2).await;
    hub.set_mood(Mood::Store);
    ship.is_settled(&hub).await;
    assert_eq!((hub.calls(), hub.dropped(None)), (30, 0));
    assert!(hub.requests() < 40, "it was not hammered");
}

#[tokio::test]
async fn a_bad_block_is_counted_and_the_others_are_stored() {
    let hub = Hub::start().await;
    hub.set_mood(Mood::Silent);
    hub.ledger().bad = [3, 5].into();
    let mut ship = Ship::start(hasty(&hub));
    for calls in 1..=8 {
        ship.send(calls, 100);
    }
    eventually("the hub being tried", || hub.requests() >= 1).await;
    hub.set_mood(Mood::Store);
    ship.is_settled(&hub).await;
    assert_eq!(hub.dropped(Some("rejected")), 3 + 5);
    assert_eq!(hub.calls(), 36 - 8);
}

#[tokio::test]
async fn a_hub_that_refuses_every_block_is_not_hammered() {
    let hub = Hub::start().await;
    hub.ledger().bad = (1..100_000).collect();
    let mut ship = Ship::start(config(&hub));
    ship.send(3, 100);
    eventually("the hub having refused", || hub.requests() >= 2).await;
    // Nothing is waited for: the longer this takes, the more a hub would be hammered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(hub.requests() < 40, "{}", hub.requests());
}

#[tokio::test]
async fn a_new_token_is_used_as_soon_as_it_is_written() {
    let hub = Hub::start().await;
    hub.ledger().token = Some("Bearer new".to_owned());
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    std::fs::write(&token_file, "old\n").unwrap();
    let mut ship = Ship::start(ShipConfig {
        token_file: Some(token_file.clone()),
        ..config(&hub)
    });
    ship.send(1, 10);
    eventually("the old token being refused", || {
        hub.ledger().authorization.as_deref() == Some("Bearer old")
    })
    .await;
    std::fs::write(&token_file, "new\n").unwrap();
    ship.is_settled(&hub).await;
    assert_eq!(hub.calls(), 1);
}

#[tokio::test]
async fn a_restarted_sidecar_ships_what_the_one_before_has_spooled() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let spool = tempfile::tempdir().unwrap();
    let first = ShipConfig {
        spool_dir: Some(spool.path().to_owned()),
        ..config(&hub)
    };
    let mut ship = Ship::start(first.clone());
    for _ in 0..6 {
        ship.send(2, 500);
    }
    let finished = ship.shipper.clone().finish(LONG).await;
    assert_eq!((finished.spooled_blocks, finished.lost_calls), (6, 0));
    assert_eq!(ship.budget.used_bytes(), 0);

    hub.start_again().await;
    let second = ShipConfig {
        spool_dir: Some(spool.path().to_owned()),
        ..config(&hub)
    };
    let mut ship = Ship::start(second.clone());
    ship.send(1, 10);
    eventually("both runs being stored", || hub.calls() == 13).await;
    let of = |run: &ShipConfig| {
        let ledger = hub.ledger();
        let keys = ledger.blocks.keys();
        keys.filter(|(incarnation, _)| *incarnation == run.origin.incarnation)
            .count()
    };
    assert_eq!((of(&first), of(&second)), (6, 1));
    let finished = ship.shipper.finish(LONG).await;
    assert_eq!((finished.spooled_blocks, finished.lost_calls), (0, 0));
}

#[tokio::test]
async fn what_an_earlier_run_lost_to_a_damaged_spool_is_told() {
    let hub = Hub::start().await;
    let dir = tempfile::tempdir().unwrap();
    let calls = [call(1, 10), call(2, 10), call(3, 10)];
    let block = block::seal(&BlockMeta::default(), &calls, None, Codec::Raw);
    let (mut spool, _) = Spool::open(dir.path(), 1 << 20).unwrap();
    spool.append(1, &block);
    drop(spool);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let _ship = Ship::start(ShipConfig {
        spool_dir: Some(dir.path().to_owned()),
        ..config(&hub)
    });
    eventually("the loss being told", || hub.dropped(Some("spool")) == 3).await;
}

#[tokio::test]
async fn finishing_ships_all_that_was_handed_over() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    for _ in 0..100 {
        ship.send(2, 1000);
    }
    let finished = ship.shipper.finish(LONG).await;
    assert_eq!((finished.spooled_blocks, finished.lost_calls), (0, 0));
    assert_eq!(hub.calls(), 200);
}

#[tokio::test]
async fn finishing_without_hub_and_spool_says_what_is_lost() {
    let mut hub = Hub::start().await;
    hub.stop().await;
    let mut ship = Ship::start(config(&hub));
    ship.send(7, 10);
    let finished = ship.shipper.finish(Duration::from_millis(50)).await;
    assert_eq!(finished.lost_calls, 7);
    assert_eq!(ship.budget.used_bytes(), 0);
}

/// What the last poll said of an epoch, once one did.
fn answered(hub: &Hub, epoch: u64) -> Option<u64> {
    let wanted = format!("&epoch={epoch}&");
    let ledger = hub.ledger();
    let poll = ledger.polls.iter().rfind(|poll| poll.contains(&wanted))?;
    let (_, sequence) = poll.rsplit_once("&sequence=").unwrap();
    Some(sequence.parse().unwrap())
}

#[tokio::test]
async fn an_epoch_is_answered_once_all_before_it_is_stored() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(hasty(&hub));
    eventually("the control channel being open", || {
        !hub.ledger().polls.is_empty()
    })
    .await;
    hub.set_mood(Mood::Silent);
    ship.send(1, 10);
    hub.ask_for(1);
    let handed_over = ship.flushes.recv().await.unwrap();
    ship.send(3, 10);
    handed_over.send(()).unwrap();
    eventually("the hub having been tried twice", || hub.requests() >= 2).await;
    assert_eq!(answered(&hub, 1), None, "nothing is stored yet");
    hub.set_mood(Mood::Store);
    eventually("the epoch being answered", || answered(&hub, 1).is_some()).await;
    assert!(answered(&hub, 1).unwrap() >= 2);
    assert_eq!(hub.calls(), 4);
}

#[tokio::test]
async fn an_epoch_is_not_answered_before_the_data_plane_has_handed_over() {
    let hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    hub.ask_for(1);
    let too_long = ship.flushes.recv().await.unwrap();
    let asked_again = timeout(LONG, ship.flushes.recv()).await.unwrap().unwrap();
    assert!(too_long.is_closed());
    assert_eq!(answered(&hub, 1), None);
    asked_again.send(()).unwrap();
    eventually("the epoch being answered", || answered(&hub, 1).is_some()).await;
}

#[tokio::test]
async fn an_epoch_is_answered_though_the_data_plane_is_gone() {
    let hub = Hub::start().await;
    let ship = Ship::start(config(&hub));
    drop(ship.flushes);
    hub.ask_for(7);
    eventually("the epoch being answered", || answered(&hub, 7).is_some()).await;
}

#[tokio::test]
async fn a_new_key_is_used_from_the_next_block_on() {
    let mut hub = Hub::start().await;
    let mut ship = Ship::start(config(&hub));
    key_is_known(&hub).await;
    ship.send(1, 10);
    ship.is_settled(&hub).await;
    hub.stop().await;
    hub.set_key("k-2", "22".repeat(32));
    hub.start_again().await;
    // The answer to a flush carries the new key.
    hub.ask_for(1);
    let handed_over = ship.flushes.recv().await.unwrap();
    ship.send(1, 10);
    handed_over.send(()).unwrap();
    ship.is_settled(&hub).await;
    let ledger = hub.ledger();
    let keys: Vec<&str> = ledger
        .blocks
        .values()
        .map(|block| block.meta().redaction_key.as_str())
        .collect();
    assert_eq!(keys, ["k-1", "k-2"]);
}

#[tokio::test]
async fn an_address_with_tls_and_no_authorities_is_refused_at_start() {
    let hub = Hub::start().await;
    let config = ShipConfig {
        ingest: "https://hub:8898".parse().unwrap(),
        ..config(&hub)
    };
    let error = Shipper::start(config, Budget::new(BUDGET), ShipMetrics::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("https needs a file of authorities")
    );
}
