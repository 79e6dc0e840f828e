//! What every store promises, told once and held against each of them.

use std::collections::BTreeSet;

use bytes::Bytes;
use remora_store::block::Drop;
use remora_store::call::{CallId, State};
use remora_store::query::{GroupKey, Order, Query, SummaryQuery};
use remora_store::store::{Ingested, Namespaces, ReceivedBlock, Retention, Scope, StoreError};
use test_case::test_case;

use crate::support::{
    DEADLINE, Kind, Sidecar, all, calls, eventually, everything, number, numbered, numbers,
    running, second,
};

fn only(namespace: &str) -> Scope {
    Scope::whole(Namespaces::Only(BTreeSet::from([namespace.to_owned()])))
}

fn summary() -> SummaryQuery {
    SummaryQuery {
        filter: Default::default(),
        since_ns: None,
        until_ns: None,
        group_by: vec![GroupKey::Route],
        probes: true,
        limit: 100,
        view: Default::default(),
        time_budget: DEADLINE,
    }
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_call_comes_back_as_it_was_given(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let given = calls(0, 100);
    let ingested = held.store.ingest(vec![shop.block(&given)]).await.unwrap();
    let expected = Ingested {
        stored: 1,
        duplicates: 0,
        calls: 100,
        places: vec![0],
    };
    assert_eq!(ingested, expected);
    for found in all(&*held.store, &Scope::ALL).await {
        let got = held.store.get(&Scope::ALL, found.id).await.unwrap();
        let got = got.expect("a listed call can be had");
        assert_eq!(got.call, given[number(&found.call) as usize]);
        assert_eq!(*got.origin, shop.origin);
        assert_eq!([&*found.redaction_key, &*got.redaction_key], ["k-1"; 2]);
        assert_eq!(got.dst.workload, "orders");
    }
    let none = CallId {
        block: 1,
        ordinal: 100,
    };
    for id in [
        none,
        CallId { block: 2, ..none },
        CallId { block: 0, ..none },
    ] {
        assert!(held.store.get(&Scope::ALL, id).await.unwrap().is_none());
    }
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_block_that_comes_again_is_kept_once(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let first = shop.block(&calls(0, 10));
    let second = shop.block(&calls(10, 20));
    // The same sequence of another run is another block.
    let other = Sidecar::new(2, "shop", "orders").block(&calls(20, 30));
    let request = vec![first.clone(), second.clone(), first.clone(), other];
    let ingested = held.store.ingest(request).await.unwrap();
    assert_eq!((ingested.stored, ingested.duplicates), (3, 1));
    assert_eq!(ingested.places, [0, 1, 3]);
    let ingested = held.store.ingest(vec![second, first]).await.unwrap();
    assert_eq!((ingested.stored, ingested.duplicates), (0, 2));
    let kept = numbers(&all(&*held.store, &Scope::ALL).await);
    assert_eq!(kept, (0..30).collect::<Vec<_>>());
    assert_eq!(held.store.health().await.calls, 30);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn requests_at_the_same_time_keep_each_block_once(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let blocks: Vec<ReceivedBlock> = (0..40)
        .map(|n| shop.block(&calls(n * 5, n * 5 + 5)))
        .collect();
    let mut requests = tokio::task::JoinSet::new();
    for start in 0..8 {
        let store = held.store.clone();
        // Each block is in several requests, each time at another place.
        let theirs: Vec<_> = (0..20)
            .map(|n| blocks[(start * 5 + n) % 40].clone())
            .collect();
        requests.spawn(async move { store.ingest(theirs).await.unwrap() });
    }
    let answers = requests.join_all().await;
    let stored: u64 = answers.iter().map(|answer| answer.stored).sum();
    let duplicates: u64 = answers.iter().map(|answer| answer.duplicates).sum();
    assert_eq!((stored, duplicates), (40, 120));
    let kept = numbers(&all(&*held.store, &Scope::ALL).await);
    assert_eq!(kept, (0..200).collect::<Vec<_>>());
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn of_a_request_with_a_bad_block_nothing_is_kept(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let good = shop.block(&calls(0, 10));
    let mut bad = shop.block(&calls(10, 20));
    let mut bytes = bad.bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bad.bytes = bytes.into();
    let refused = held.store.ingest(vec![good.clone(), bad]).await;
    assert!(matches!(
        refused,
        Err(StoreError::BadBlock { index: 1, .. })
    ));
    let empty = ReceivedBlock {
        bytes: Bytes::new(),
        ..good.clone()
    };
    let refused = held.store.ingest(vec![empty, good.clone()]).await;
    assert!(matches!(
        refused,
        Err(StoreError::BadBlock { index: 0, .. })
    ));
    assert_eq!(held.store.health().await.blocks, 0);
    assert_eq!(held.store.ingest(vec![good]).await.unwrap().stored, 1);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn the_hubs_word_on_the_origin_counts_more_than_the_blocks(kind: Kind) {
    let held = kind.store();
    let mut block = Sidecar::new(1, "claimed", "orders").block(&calls(0, 3));
    block.origin.namespace = "real".to_owned();
    held.store.ingest(vec![block]).await.unwrap();
    assert!(all(&*held.store, &only("claimed")).await.is_empty());
    assert_eq!(all(&*held.store, &only("real")).await.len(), 3);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn nothing_leaks_out_of_a_namespace(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let mut bank = Sidecar::new(2, "bank", "ledger");
    let open = [running(50)];
    let blocks = vec![
        shop.block(&calls(0, 10)),
        bank.block_with_open(&calls(10, 20), Some(&open)),
    ];
    held.store.ingest(blocks).await.unwrap();

    let scope = only("shop");
    let seen = numbers(&all(&*held.store, &scope).await);
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    let recorders = held.store.recorders(&scope).await.unwrap();
    assert_eq!(recorders.len(), 1);
    assert_eq!(recorders[0].origin.workload, "orders");
    let sums = held.store.summarize(&scope, &summary()).await.unwrap();
    assert_eq!(sums.groups.iter().map(|group| group.calls).sum::<u64>(), 10);
    for hidden in all(&*held.store, &only("bank")).await {
        let got = held.store.get(&scope, hidden.id).await.unwrap();
        assert!(got.is_none(), "{} was shown", hidden.id);
    }
    assert_eq!(all(&*held.store, &only("bank")).await.len(), 11);
    let nobody = Scope::whole(Namespaces::Only(BTreeSet::new()));
    assert!(all(&*held.store, &nobody).await.is_empty());
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn pages_follow_each_other_without_gap_or_double(kind: Kind) {
    let held = kind.store();
    let mut first = Sidecar::new(1, "shop", "orders");
    let mut second = Sidecar::new(2, "shop", "stock");
    let (even, odd): (Vec<_>, Vec<_>) = calls(0, 120)
        .into_iter()
        .partition(|call| number(call) % 2 == 0);
    for (even, odd) in even.chunks(20).zip(odd.chunks(15)) {
        let blocks = vec![first.block(even), second.block(odd)];
        held.store.ingest(blocks).await.unwrap();
    }
    let expected = numbers(&all(&*held.store, &Scope::ALL).await);
    for (order, expected) in [
        (Order::Oldest, expected.clone()),
        (Order::Newest, expected.into_iter().rev().collect()),
    ] {
        let mut query = Query {
            order,
            limit: 7,
            ..everything()
        };
        let mut seen = Vec::new();
        loop {
            let page = held.store.list(&Scope::ALL, &query).await.unwrap();
            assert!(page.calls.len() <= 7);
            seen.extend(numbers(&page.calls));
            let Some(cursor) = page.next else { break };
            query.cursor = Some(cursor);
        }
        assert_eq!(seen, expected);
    }
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_summary_counts_what_a_list_shows(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..10 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        held.store.ingest(vec![block]).await.unwrap();
    }
    let query = SummaryQuery {
        since_ns: Some(second(15)),
        until_ns: Some(second(85)),
        ..summary()
    };
    let sums = held.store.summarize(&Scope::ALL, &query).await.unwrap();
    assert_eq!(sums.groups.len(), 1);
    assert_eq!(sums.groups[0].calls, 70);
    assert_eq!(sums.groups[0].route.as_deref(), Some("/calls/{id}"));
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_running_call_is_shown_until_it_ends(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let runs = [running(10), running(11)];
    let block = shop.block_with_open(&calls(0, 3), Some(&runs));
    held.store.ingest(vec![block]).await.unwrap();
    let shown = all(&*held.store, &Scope::ALL).await;
    assert_eq!(numbers(&shown), [0, 1, 2, 10, 11]);
    let (ten, eleven) = (shown[3].id, shown[4].id);
    let got = held.store.get(&Scope::ALL, ten).await.unwrap().unwrap();
    assert_eq!(got.call, running(10));

    // A block that lists nothing leaves the list as it is, but for the calls that it finishes.
    let block = shop.block(&[numbered(10)]);
    held.store.ingest(vec![block]).await.unwrap();
    let shown = all(&*held.store, &Scope::ALL).await;
    assert_eq!(numbers(&shown), [0, 1, 2, 10, 11]);
    assert_eq!(shown[3].call.state, State::Complete);
    assert_eq!(shown[4].call.state, State::Open);

    // The name it had while it ran still leads to it.
    let got = held.store.get(&Scope::ALL, ten).await.unwrap().unwrap();
    assert_eq!(got.call, numbered(10));

    let block = shop.block_with_open(&[], Some(&[]));
    held.store.ingest(vec![block]).await.unwrap();
    assert_eq!(
        numbers(&all(&*held.store, &Scope::ALL).await),
        [0, 1, 2, 10]
    );
    let got = held.store.get(&Scope::ALL, eleven).await.unwrap();
    assert!(got.is_none(), "nobody knows how it ended");
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn blocks_out_of_order_leave_the_right_calls_running(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let blocks = [
        shop.block_with_open(&[], Some(&[running(0), running(1)])),
        shop.block_with_open(&[], Some(&[running(0), running(1), running(2)])),
        shop.block(&[numbered(1)]),
        shop.block(&[numbered(2)]),
    ];
    for place in [3, 1, 0, 2] {
        let block = blocks[place].clone();
        held.store.ingest(vec![block]).await.unwrap();
    }
    let shown = all(&*held.store, &Scope::ALL).await;
    assert_eq!(numbers(&shown), [0, 1, 2]);
    let open = shown.iter().filter(|found| found.call.state == State::Open);
    assert_eq!(open.map(|it| number(&it.call)).collect::<Vec<_>>(), [0]);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_recorders_losses_are_known(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let blocks: Vec<_> = (0..6)
        .map(|n| {
            shop.drops = vec![Drop {
                reason: ["budget", "queue"][n as usize % 2].to_owned(),
                calls: 2,
                since_ns: second(n),
                until_ns: second(n + 1),
            }];
            shop.block(&calls(n * 10, n * 10 + 10))
        })
        .collect();
    let came = [1, 4, 5].map(|place| blocks[place].clone());
    held.store.ingest(came.to_vec()).await.unwrap();

    let recorders = held.store.recorders(&Scope::ALL).await.unwrap();
    let recorder = &recorders[0];
    assert_eq!(recorder.origin, shop.origin);
    assert_eq!((recorder.calls, recorder.last_sequence), (30, 6));
    assert_eq!(
        (recorder.first_ns, recorder.last_ns),
        (second(10), second(59))
    );
    assert_eq!(recorder.missing_blocks, 3);
    let drops = |reason: &str| -> Vec<_> {
        let told = recorder.drops.iter().filter(|drop| drop.reason == reason);
        told.map(|drop| (drop.calls, drop.since_ns, drop.until_ns))
            .collect()
    };
    let queue = [(2, second(1), second(2)), (2, second(5), second(6))];
    assert_eq!(drops("queue"), queue);
    assert_eq!(drops("budget"), [(2, second(4), second(5))]);

    held.store.ingest(blocks).await.unwrap();
    let recorders = held.store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].missing_blocks, 0);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn old_blocks_are_forgotten_and_not_missed(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..100 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        held.store.ingest(vec![block]).await.unwrap();
    }
    let limits = Retention {
        before_ns: Some(second(600)),
        max_bytes: None,
    };
    let freed = held.store.retain(&limits).await.unwrap();
    let kept = numbers(&all(&*held.store, &Scope::ALL).await);
    assert_eq!(freed.calls + kept.len() as u64, 1_000);
    assert_eq!(freed.blocks * 10, freed.calls);
    // Not sooner than asked for, and what goes is the oldest.
    let first = kept[0];
    assert!((400..=600).contains(&first), "kept from {first}");
    assert_eq!(kept, (first..1_000).collect::<Vec<_>>());
    let recorders = held.store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].missing_blocks, 0);
    assert_eq!(recorders[0].calls, kept.len() as u64);

    let everything = Retention {
        before_ns: Some(i64::MAX),
        max_bytes: None,
    };
    held.store.retain(&everything).await.unwrap();
    assert!(all(&*held.store, &Scope::ALL).await.is_empty());
    let health = held.store.health().await;
    assert_eq!(
        (health.calls, health.blocks, health.oldest_ns),
        (0, 0, None)
    );

    // The sidecar goes on, and nothing before is missed.
    let block = shop.block(&calls(1_000, 1_010));
    held.store.ingest(vec![block]).await.unwrap();
    let recorders = held.store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].missing_blocks, 0);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn no_more_bytes_are_kept_than_allowed(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..100 {
        let block = shop.block(&calls(n * 100, n * 100 + 100));
        held.store.ingest(vec![block]).await.unwrap();
    }
    let before = held.store.health().await.bytes;
    let limit = before * 3 / 4;
    let limits = Retention {
        before_ns: None,
        max_bytes: Some(limit),
    };
    let mut freed = 0;
    // The catalogue may take a little more at the wrong moment.
    eventually("the limit holds", async || {
        freed += held.store.retain(&limits).await.unwrap().calls;
        held.store.health().await.bytes <= limit
    })
    .await;
    assert!(freed > 0);
    let kept = numbers(&all(&*held.store, &Scope::ALL).await);
    assert_eq!(kept, (kept[0]..10_000).collect::<Vec<_>>());
    assert!(!kept.is_empty());
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_block_without_calls_still_speaks(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    shop.drops = vec![Drop {
        reason: "budget".to_owned(),
        calls: 7,
        since_ns: second(1),
        until_ns: second(2),
    }];
    let block = shop.block(&[]);
    held.store.ingest(vec![block]).await.unwrap();
    let recorders = held.store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].drops[0].calls, 7);
    assert_eq!(recorders[0].calls, 0);
    assert!(all(&*held.store, &Scope::ALL).await.is_empty());
    assert_eq!(held.store.health().await.newest_ns, None);
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn calls_that_ran_when_their_sidecar_went_away_are_lost(kind: Kind) {
    let held = kind.store();
    let pod = |incarnation, pod: &str| {
        let mut sidecar = Sidecar::new(incarnation, "shop", "orders");
        sidecar.origin.pod = pod.to_owned();
        sidecar
    };
    let (mut first, mut other) = (pod(1, "orders-0"), pod(2, "orders-1"));
    let blocks = vec![
        first.block_with_open(&[], Some(&[running(1)])),
        other.block_with_open(&[], Some(&[running(2)])),
    ];
    held.store.ingest(blocks).await.unwrap();
    let states = async || {
        let shown = all(&*held.store, &Scope::ALL).await;
        let states = shown.iter().map(|found| found.call.state);
        states.collect::<Vec<_>>()
    };
    assert_eq!(states().await, [State::Open, State::Open]);

    let mut second = pod(3, "orders-0");
    let block = second.block_with_open(&[], Some(&[running(3)]));
    held.store.ingest(vec![block]).await.unwrap();
    assert_eq!(states().await, [State::Lost, State::Open, State::Open]);
}
