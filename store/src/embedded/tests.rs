//! What only a disk that fails at the right moment shows.

use test_case::test_case;

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
    assert!(store.get(&Scope::ALL, id).await.unwrap().is_some());
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

/// Puts a rewritten segment in its place by hand, as far as a process came that was killed.
fn replace_in_part(dir: &Path, rewritten: &merge::Rewritten, steps: usize) {
    let (old, new) = (rewritten.old, rewritten.new);
    let segments = dir.join("segments");
    if steps > 0 {
        let mut manifest = manifest::Manifest::read(dir).unwrap().unwrap();
        manifest.live.remove(&old).unwrap();
        let merged = manifest::LiveSegment {
            merged: true,
            ..Default::default()
        };
        manifest.live.insert(new, merged);
        manifest.dying.push(old);
        manifest.write(dir).unwrap();
    }
    if steps > 1 {
        fs::rename(new.unfinished_path(&segments), new.path(&segments)).unwrap();
    }
    if steps > 2 {
        fs::remove_file(old.path(&segments)).unwrap();
    }
}

/// Blocks of a store [`with_a_rewritten_segment`].
const BLOCKS: u64 = 30;

/// Small segments, of which none is rewritten by itself.
fn unmerged() -> Options {
    Options {
        segment_bytes: 4 * 1_024,
        merge: false,
        ..Options::default()
    }
}

/// A store, and its oldest segment rewritten and not in its place yet.
async fn with_a_rewritten_segment(dir: &Path) -> (Embedded, merge::Rewritten) {
    let store = Embedded::open(dir, unmerged()).unwrap();
    for sequence in 1..=BLOCKS {
        store.ingest(vec![block(sequence)]).await.unwrap();
    }
    let old = store.shared.index().blocks().next().unwrap().place.segment;
    let merger = Merger {
        shared: store.shared.clone(),
        writer: store.jobs.as_ref().unwrap().downgrade(),
        stop: store.stop.clone(),
    };
    let rewritten = merger.rewrite(old).unwrap();
    (store, rewritten)
}

/// What is rewritten comes to lie beside what is there, so that a full disk has no room for the manifest of both.
#[tokio::test]
async fn a_disk_too_full_to_replace_a_segment_goes_on_with_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, rewritten) = with_a_rewritten_segment(dir.path()).await;
    let unfinished = rewritten.new.unfinished_path(&dir.path().join("segments"));
    assert!(unfinished.exists());
    let full = dir.path().join("manifest.new");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let jobs = store.jobs.as_ref().unwrap();
    jobs.send(Job::Replace(rewritten)).await.unwrap();
    // Jobs are done one after the other.
    let again = store.ingest(vec![block(1)]).await.unwrap();
    assert_eq!(again.duplicates, 1);
    fs::remove_file(&full).unwrap();

    assert!(!unfinished.exists());
    assert!(store.health().await.writable);
    let more = (1..=2 * BLOCKS).map(block).collect();
    assert_eq!(store.ingest(more).await.unwrap().stored, BLOCKS);
    drop(store);
    let health = Embedded::open(dir.path(), unmerged())
        .unwrap()
        .health()
        .await;
    assert_eq!(health.calls, 2 * BLOCKS);
    assert!(health.quarantined.is_empty(), "{:?}", health.quarantined);
}

#[test_case(0; "before the manifest lists it")]
#[test_case(1; "before its file has its name")]
#[test_case(2; "before the old file is removed")]
#[test_case(3; "before the catalogue knows it")]
#[tokio::test]
async fn a_crash_while_a_segment_is_replaced_loses_nothing(steps: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (store, rewritten) = with_a_rewritten_segment(dir.path()).await;
    assert!(rewritten.blocks.len() < rewritten.old_blocks.len());
    drop(store);
    replace_in_part(dir.path(), &rewritten, steps);

    for _ in 0..2 {
        let store = Embedded::open(dir.path(), unmerged()).unwrap();
        for number in 1..=BLOCKS {
            let id = CallId {
                block: number,
                ordinal: 0,
            };
            let found = store.get(&Scope::ALL, id).await.unwrap();
            let expected = call(number as i64 * 1_000, "/", 200);
            assert_eq!(found.unwrap().call, expected, "{id}");
        }
        let health = store.health().await;
        assert_eq!(health.calls, BLOCKS);
        assert!(health.quarantined.is_empty(), "{:?}", health.quarantined);
        let again = (1..=BLOCKS).map(block).collect();
        assert_eq!(store.ingest(again).await.unwrap().stored, 0);
    }
    let segments = dir.path().join("segments");
    assert!(!rewritten.new.unfinished_path(&segments).exists());
    assert_eq!(rewritten.old.path(&segments).exists(), steps == 0);
    assert_eq!(rewritten.new.path(&segments).exists(), steps > 0);
}
