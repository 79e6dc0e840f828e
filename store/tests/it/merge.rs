//! Segments are rewritten behind the questions' back, and nobody notices but the disk.

use remora_store::block::Drop;
use remora_store::query::FoundCall;
use remora_store::store::{CallStore, Scope};

use crate::support::{Sidecar, all, calls, eventually, open, open_with, running, second};

const BLOCKS: i64 = 120;

/// Ingests many small blocks of two sidecars, one of which has a call that runs and dropped calls three times.
async fn fill(store: &dyn CallStore) {
    let mut shop = Sidecar::new(1, "shop", "orders");
    let mut stock = Sidecar::new(2, "shop", "stock");
    for n in 0..BLOCKS {
        let runs = [running(100_000)];
        let listed = (n == 3).then_some(runs.as_slice());
        shop.drops = (n % 40 == 7).then(|| dropped(n)).into_iter().collect();
        let blocks = vec![
            shop.block_with_open(&calls(n * 10, n * 10 + 5), listed),
            stock.block(&calls(n * 10 + 5, n * 10 + 10)),
        ];
        store.ingest(blocks).await.unwrap();
    }
}

/// Calls that were dropped before block `n` was sealed.
fn dropped(n: i64) -> Drop {
    Drop {
        reason: "queue".to_owned(),
        calls: n as u64,
        since_ns: second(n * 10),
        until_ns: second(n * 10 + 1),
    }
}

fn same(before: &[FoundCall], after: &[FoundCall]) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before.id, after.id);
        assert_eq!(before.call, after.call);
        assert_eq!(before.origin, after.origin);
    }
}

#[tokio::test]
async fn calls_keep_their_names_when_blocks_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 32, false);
    fill(&store).await;
    let before = all(&store, &Scope::ALL).await;
    assert_eq!(before.len() as i64, BLOCKS * 10 + 1);
    let recorders = store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].drops, [7, 47, 87].map(dropped));
    let health = store.health().await;
    drop(store);

    let store = open_with(dir.path(), 32, true);
    eventually("blocks are merged", async || {
        same(&before, &all(&store, &Scope::ALL).await);
        store.health().await.blocks < health.blocks / 3
    })
    .await;
    for found in &before {
        let got = store.get(&Scope::ALL, found.id).await.unwrap().unwrap();
        assert_eq!(got.call, found.call);
    }
    assert_eq!(store.recorders(&Scope::ALL).await.unwrap(), recorders);
    // What was merged is still known: it is not kept again.
    let mut shop = Sidecar::new(1, "shop", "orders");
    let again = (0..BLOCKS).map(|n| shop.block(&calls(n * 10, n * 10 + 5)));
    let ingested = store.ingest(again.collect()).await.unwrap();
    assert_eq!(ingested.stored, 0);
    drop(store);

    for _ in 0..2 {
        let store = open(dir.path());
        same(&before, &all(&store, &Scope::ALL).await);
        assert_eq!(store.recorders(&Scope::ALL).await.unwrap(), recorders);
        let said = store.health().await.quarantined;
        assert!(said.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn a_list_is_whole_while_blocks_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..BLOCKS {
        let block = shop.block(&calls(n * 10, n * 10 + 10));
        store.ingest(vec![block]).await.unwrap();
        let seen = all(&store, &Scope::ALL).await.len() as i64;
        assert_eq!(seen, (n + 1) * 10);
    }
}
