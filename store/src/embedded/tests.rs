//! What only a disk that fails at the right moment shows.

use super::*;
use crate::block::{BlockMeta, Codec, Origin, seal};
use crate::segment::Fault;
use crate::testing::call;

fn block(sequence: u64) -> ReceivedBlock {
    let origin = Origin {
        incarnation: 1,
        ..Origin::default()
    };
    let meta = BlockMeta {
        origin: origin.clone(),
        sequence,
        ..BlockMeta::default()
    };
    let time_ns = sequence as i64 * 1_000;
    ReceivedBlock {
        origin,
        bytes: seal(&meta, &[call(time_ns, "/", 200)], None, Codec::Raw),
    }
}

impl Embedded {
    async fn fault(&self, fault: Option<Fault>) {
        let jobs = self.jobs.as_ref().unwrap();
        jobs.send(Job::Fault(fault)).await.unwrap();
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    store.ingest(vec![block(1)]).await.unwrap();
    store.fault(Some(Fault::Sync)).await;
    let failed = store.ingest(vec![block(2)]).await.unwrap_err();
    let text = failed.to_string();
    assert!(text.contains("sync blocks in"), "{text}");

    // The disk would work again, but nobody knows what it holds.
    store.fault(None).await;
    let refused = store.ingest(vec![block(2)]).await;
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    let forget = Retention {
        before_ns: Some(i64::MAX),
        max_bytes: None,
    };
    assert!(store.retain(&forget).await.is_err());
    let health = store.health().await;
    assert!(!health.writable);
    assert_eq!(health.calls, 1);
    let id = CallId {
        block: 1,
        ordinal: 0,
    };
    assert!(store.get(&Scope::All, id).await.unwrap().is_some());
    drop(store);

    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let ingested = store.ingest(vec![block(2), block(3)]).await.unwrap();
    assert_eq!(ingested.stored + ingested.duplicates, 2);
    assert_eq!(store.health().await.calls, 3);
}

#[tokio::test]
async fn a_disk_full_for_a_moment_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    store.fault(Some(Fault::Append)).await;
    let refused = store.ingest(vec![block(1)]).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    store.fault(None).await;
    assert_eq!(store.ingest(vec![block(1)]).await.unwrap().stored, 1);
    assert!(store.health().await.writable);
}
