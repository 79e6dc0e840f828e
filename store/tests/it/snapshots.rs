//! Snapshots: what is in one stays as it was told, and as long as it was told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use remora_store::filter::Filter;
use remora_store::query::{Arrived, ArrivedQuery, Query};
use remora_store::snapshot::{NewSnapshot, SNAPSHOTS_LIMIT, Snapshot, Unsettled, View};
use remora_store::store::{CallStore, Namespaces, Retention, Scope, StoreError};
use test_case::test_case;

use crate::crash::copy_tree;
use crate::support::{
    DEADLINE, Kind, Sidecar, all, calls, eventually, everything, number, numbers, open, open_with,
    running, second,
};

const EVERYTHING_OLD: Retention = Retention {
    before_ns: Some(i64::MAX),
    max_bytes: None,
};

/// When each call that runs began.
fn since(arrived: &Arrived) -> Vec<i64> {
    arrived.running.iter().map(|it| it.since_ns).collect()
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// A snapshot from a second of the tests' clock on, for an hour.
fn from_second(from: i64) -> NewSnapshot {
    NewSnapshot {
        name: "tested".to_owned(),
        namespaces: Namespaces::All,
        workloads: BTreeSet::new(),
        since_ns: second(from),
        expires_ns: now_ns() + 3_600_000_000_000,
    }
}

/// The numbers of the calls that a snapshot shows, in the order of time.
async fn shown(store: &dyn CallStore, snapshot: &Snapshot) -> Vec<i64> {
    let mut query = Query {
        since_ns: Some(snapshot.since_ns),
        until_ns: snapshot.until_ns(),
        view: snapshot.view(),
        limit: 7,
        ..everything()
    };
    let scope = Scope::ALL.within(&snapshot.namespaces);
    let mut shown = Vec::new();
    loop {
        let page = store.list(&scope, &query).await.unwrap();
        shown.extend(numbers(&page.calls));
        match page.next {
            Some(cursor) => query.cursor = Some(cursor),
            None => return shown,
        }
    }
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn what_is_stored_after_the_seal_is_no_part_of_it(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let late = shop.block(&calls(15, 18));
    held.store
        .ingest(vec![
            shop.block_with_open(&calls(0, 10), Some(&[running(90)])),
        ])
        .await
        .unwrap();
    let made = held.store.create_snapshot(from_second(5)).await.unwrap();
    held.store
        .ingest(vec![shop.block(&calls(10, 15))])
        .await
        .unwrap();
    assert_eq!(
        shown(&*held.store, &made).await,
        (5..15).chain([90]).collect::<Vec<_>>(),
        "an open snapshot grows, and shows what runs"
    );

    let sealed = held
        .store
        .seal_snapshot(&made.id, Unsettled::default())
        .await
        .unwrap()
        .unwrap();
    let expected: Vec<i64> = (5..15).collect();
    assert_eq!(shown(&*held.store, &sealed).await, expected);
    // A block that was sealed before and comes late, one of another sidecar, and the end of a call.
    let mut other = Sidecar::new(2, "shop", "stock");
    let later = vec![
        late,
        shop.block(&[crate::support::numbered(90)]),
        other.block(&calls(3, 9)),
    ];
    held.store.ingest(later).await.unwrap();
    for n in 20..60 {
        held.store
            .ingest(vec![shop.block(&calls(n * 10, n * 10 + 10))])
            .await
            .unwrap();
    }
    assert_eq!(shown(&*held.store, &sealed).await, expected);
    let again = held
        .store
        .seal_snapshot(&made.id, Unsettled::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, sealed, "a sealed one stays as it is");
    let listed = held.store.snapshots().await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&sealed));
    let members = held.store.members(&Scope::ALL, &sealed).await.unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(
        (members[0].workload.as_str(), members[0].sidecars),
        ("orders", 1)
    );
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn a_snapshot_shows_its_namespaces_and_workloads_only(kind: Kind) {
    let held = kind.store();
    let blocks = vec![
        Sidecar::new(1, "shop", "orders").block(&calls(0, 3)),
        Sidecar::new(2, "shop", "stock").block(&calls(3, 6)),
        Sidecar::new(3, "bank", "orders").block(&calls(6, 9)),
    ];
    held.store.ingest(blocks).await.unwrap();
    let wanted = NewSnapshot {
        namespaces: Namespaces::Only(BTreeSet::from(["shop".to_owned()])),
        workloads: BTreeSet::from(["orders".to_owned()]),
        ..from_second(0)
    };
    let made = held.store.create_snapshot(wanted).await.unwrap();
    for _ in 0..2 {
        assert_eq!(shown(&*held.store, &made).await, [0, 1, 2]);
        held.store
            .seal_snapshot(&made.id, Unsettled::default())
            .await
            .unwrap();
    }
    let bank = Scope::whole(Namespaces::Only(BTreeSet::from(["bank".to_owned()])));
    assert!(held.store.members(&bank, &made).await.unwrap().is_empty());
    let query = Query {
        view: made.view(),
        ..everything()
    };
    let both = bank.within(&made.namespaces);
    let nothing = held.store.list(&both, &query).await;
    assert!(nothing.unwrap().calls.is_empty());
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn what_a_snapshot_pins_is_kept_until_it_goes(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..30 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        held.store.ingest(vec![block]).await.unwrap();
    }
    let made = held.store.create_snapshot(from_second(200)).await.unwrap();
    let sealed = held
        .store
        .seal_snapshot(&made.id, Unsettled::default())
        .await
        .unwrap()
        .unwrap();
    for _ in 0..3 {
        held.store.retain(&EVERYTHING_OLD).await.unwrap();
    }
    let expected: Vec<i64> = (200..300).collect();
    assert_eq!(shown(&*held.store, &sealed).await, expected);
    let kept = numbers(&all(&*held.store, &Scope::ALL).await);
    assert_eq!(kept.first(), Some(&200), "what is not pinned is forgotten");
    // Every call of it can be had by its id, moved or not.
    for found in all(&*held.store, &Scope::ALL).await {
        let got = held.store.get(&Scope::ALL, found.id).await.unwrap();
        assert_eq!(number(&got.unwrap().call), number(&found.call));
    }
    assert!(held.store.delete_snapshot(&made.id).await.unwrap());
    assert!(!held.store.delete_snapshot(&made.id).await.unwrap());
    held.store.retain(&EVERYTHING_OLD).await.unwrap();
    assert!(all(&*held.store, &Scope::ALL).await.is_empty());
    assert!(held.store.snapshots().await.unwrap().is_empty());
    assert!(
        held.store
            .seal_snapshot(&made.id, Unsettled::default())
            .await
            .unwrap()
            .is_none()
    );
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn an_expired_snapshot_is_gone_and_pins_nothing(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    held.store
        .ingest(vec![shop.block(&calls(0, 10))])
        .await
        .unwrap();
    let short = NewSnapshot {
        expires_ns: now_ns() + 300_000_000,
        ..from_second(0)
    };
    let made = held.store.create_snapshot(short).await.unwrap();
    eventually("it expires", async || {
        held.store.snapshots().await.unwrap().is_empty()
    })
    .await;
    assert!(now_ns() >= made.expires_ns);
    assert!(
        held.store
            .seal_snapshot(&made.id, Unsettled::default())
            .await
            .unwrap()
            .is_none()
    );
    held.store.retain(&EVERYTHING_OLD).await.unwrap();
    assert!(all(&*held.store, &Scope::ALL).await.is_empty());
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn the_snapshot_that_pins_most_gives_way_beyond_half_the_space(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..40 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        held.store.ingest(vec![block]).await.unwrap();
    }
    let large = held.store.create_snapshot(from_second(0)).await.unwrap();
    let small = held.store.create_snapshot(from_second(380)).await.unwrap();
    let bytes = held.store.health().await.bytes;
    let limits = Retention {
        before_ns: None,
        max_bytes: Some(bytes / 2),
    };
    held.store.retain(&limits).await.unwrap();
    let listed = held.store.snapshots().await.unwrap();
    let unpinned = |id| listed.iter().find(|it| it.id == id).unwrap().unpinned_ns;
    assert!(unpinned(large.id).is_some(), "it says that it gave way");
    assert_eq!(unpinned(small.id.clone()), None);
    held.store.retain(&EVERYTHING_OLD).await.unwrap();
    assert_eq!(
        shown(&*held.store, &small).await,
        (380..400).collect::<Vec<_>>()
    );
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn there_are_so_many_snapshots_and_no_more(kind: Kind) {
    let held = kind.store();
    for _ in 0..SNAPSHOTS_LIMIT {
        held.store.create_snapshot(from_second(0)).await.unwrap();
    }
    let refused = held.store.create_snapshot(from_second(0)).await;
    assert!(matches!(refused, Err(StoreError::TooManySnapshots { .. })));
    let first = held.store.snapshots().await.unwrap().remove(0);
    assert!(held.store.delete_snapshot(&first.id).await.unwrap());
    held.store.create_snapshot(from_second(0)).await.unwrap();
}

#[test_case(Kind::Memory; "memory")]
#[test_case(Kind::Embedded; "embedded")]
#[tokio::test]
async fn what_arrived_is_told_by_new_blocks_alone(kind: Kind) {
    let held = kind.store();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let mut query = ArrivedQuery {
        filter: Filter::parse("status == 200").unwrap(),
        since_ns: second(5),
        view: View::default(),
        from_block: 0,
        time_budget: DEADLINE,
    };
    let block = shop.block_with_open(&calls(0, 10), Some(&[running(50), running(2)]));
    held.store.ingest(vec![block]).await.unwrap();
    let arrived = held.store.arrived(&Scope::ALL, &query).await.unwrap();
    assert_eq!((arrived.calls, arrived.running.len()), (5, 0));
    query.filter = Filter::default();
    query.from_block = arrived.next_block;
    let arrived = held.store.arrived(&Scope::ALL, &query).await.unwrap();
    assert_eq!((arrived.calls, since(&arrived)), (0, vec![second(50)]));
    held.store
        .ingest(vec![shop.block(&[crate::support::numbered(50)])])
        .await
        .unwrap();
    let arrived = held.store.arrived(&Scope::ALL, &query).await.unwrap();
    assert_eq!((arrived.calls, since(&arrived)), (1, vec![]));
}

/// A store with a sealed snapshot, an open one, and one that was deleted; of what they pin alone.
async fn filled(dir: &Path) -> (Snapshot, Snapshot) {
    let store = open(dir);
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..40 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        store.ingest(vec![block]).await.unwrap();
        if n == 20 {
            let gone = store.create_snapshot(from_second(0)).await.unwrap();
            store.delete_snapshot(&gone.id).await.unwrap();
        }
    }
    let made = store.create_snapshot(from_second(305)).await.unwrap();
    let sealed = store
        .seal_snapshot(&made.id, Unsettled::default())
        .await
        .unwrap()
        .unwrap();
    for n in 40..60 {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        store.ingest(vec![block]).await.unwrap();
    }
    let open = store.create_snapshot(from_second(595)).await.unwrap();
    store.retain(&EVERYTHING_OLD).await.unwrap();
    (sealed, open)
}

async fn check(dir: &Path, sealed: &Snapshot, growing: &Snapshot) {
    for _ in 0..2 {
        let store = open(dir);
        let listed = store.snapshots().await.unwrap();
        assert_eq!(listed, [sealed.clone(), growing.clone()]);
        store.retain(&EVERYTHING_OLD).await.unwrap();
        assert_eq!(shown(&store, sealed).await, (305..400).collect::<Vec<_>>());
        assert_eq!(shown(&store, growing).await, (595..600).collect::<Vec<_>>());
    }
}

#[test_case(&[]; "after a restart")]
#[test_case(&["catalogue"]; "without the catalogue")]
#[test_case(&["manifest"]; "without the manifest")]
#[test_case(&["catalogue", "manifest"]; "from the segments alone")]
#[tokio::test]
async fn snapshots_and_what_they_pin_outlive(lost: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (sealed, growing) = filled(dir.path()).await;
    for name in lost {
        let path = dir.path().join(name);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    check(dir.path(), &sealed, &growing).await;
}

/// A copy of the directory while the store is open is what a power cut leaves behind.
#[tokio::test]
async fn a_cut_at_any_step_keeps_what_was_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 4, true);
    let mut shop = Sidecar::new(1, "shop", "orders");
    let mut made: Vec<Snapshot> = Vec::new();
    for n in 0..60_i64 {
        store
            .ingest(vec![shop.block(&calls(n * 10, n * 10 + 10))])
            .await
            .unwrap();
        match n % 6 {
            1 => made.push(store.create_snapshot(from_second(n * 10)).await.unwrap()),
            3 => {
                let last = made.last_mut().unwrap();
                *last = store
                    .seal_snapshot(&last.id, Unsettled::default())
                    .await
                    .unwrap()
                    .unwrap();
            }
            5 if made.len() > 3 => {
                let first = made.remove(0);
                assert!(store.delete_snapshot(&first.id).await.unwrap());
                store.retain(&EVERYTHING_OLD).await.unwrap();
            }
            _ => {}
        }
        let copy = tempfile::tempdir().unwrap();
        copy_tree_while_it_changes(dir.path(), copy.path());
        let reopened = open(copy.path());
        assert_eq!(reopened.snapshots().await.unwrap(), made, "step {n}");
        for sealed in made.iter().filter(|it| it.seal.is_some()) {
            let from = (sealed.since_ns - second(0)) / 1_000_000_000;
            let expected: Vec<i64> = (from..from + 30).collect();
            assert_eq!(shown(&reopened, sealed).await, expected, "step {n}");
        }
    }
}

/// Copies until no file went away in between.
fn copy_tree_while_it_changes(from: &Path, to: &Path) {
    let copied = || std::panic::catch_unwind(|| copy_tree(from, to)).is_ok();
    while !copied() {
        fs::remove_dir_all(to).unwrap();
    }
}
