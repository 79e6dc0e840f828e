//! A disk that is full, for real: a small file system in memory. Needs the privilege to mount one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use rand::RngExt as _;
use remora_store::embedded::{Embedded, Options};
use remora_store::snapshot::NewSnapshot;
use remora_store::store::{CallStore, Namespaces, ReceivedBlock, Scope, StoreError};

use crate::support::{Sidecar, all, calls, numbers, second};

/// A file system of a few megabytes. It goes with the value.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed; with `REMORA_REQUIRE=all` that is a failure.
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { dir });
        }
        let required = std::env::var("REMORA_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "left out: a tmpfs cannot be mounted here");
        eprintln!("left out: a tmpfs cannot be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.dir.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

fn open(dir: &Path) -> Embedded {
    let options = Options {
        segment_bytes: 512 * 1_024,
        ..Options::default()
    };
    Embedded::open(dir, options).unwrap()
}

/// A block of about 100 KiB that cannot be compressed; its call `n` tells it.
fn large_block(sidecar: &mut Sidecar, n: i64) -> ReceivedBlock {
    let mut noise = vec![0; 100 * 1_024];
    rand::rng().fill(&mut noise[..]);
    let mut calls = calls(n, n + 1);
    calls[0].response.body_size = noise.len() as u64;
    calls[0].response.body = noise.into();
    sidecar.block(&calls)
}

#[tokio::test]
async fn a_full_disk_costs_the_oldest_blocks_and_no_others() {
    let Some(disk) = SmallDisk::mount(6) else {
        return;
    };
    let store = open(disk.path());
    let mut shop = Sidecar::new(1, "shop", "orders");
    for n in 0..200 {
        let block = large_block(&mut shop, n);
        store.ingest(vec![block]).await.unwrap();
    }
    let kept = numbers(&all(&store, &Scope::ALL).await);
    assert!(kept.len() > 10, "{kept:?}");
    assert_eq!(kept, (kept[0]..200).collect::<Vec<_>>());
    let recorders = store.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(recorders[0].missing_blocks, 0);
    drop(store);

    let store = open(disk.path());
    assert_eq!(numbers(&all(&store, &Scope::ALL).await), kept);
}

#[tokio::test]
async fn a_disk_that_others_filled_refuses_blocks_and_answers_on() {
    let Some(disk) = SmallDisk::mount(6) else {
        return;
    };
    let store = open(&disk.path().join("data"));
    let mut shop = Sidecar::new(1, "shop", "orders");
    let block = large_block(&mut shop, 0);
    store.ingest(vec![block]).await.unwrap();

    // The file ends where the disk does.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 8 * 1_024 * 1_024]).unwrap_err();
    let block = large_block(&mut shop, 1);
    let refused = store.ingest(vec![block.clone()]).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    assert_eq!(numbers(&all(&store, &Scope::ALL).await), [0]);
    assert!(store.health().await.writable);

    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.ingest(vec![block]).await.unwrap().stored, 1);
    drop(store);
    let store = open(&disk.path().join("data"));
    assert_eq!(numbers(&all(&store, &Scope::ALL).await), [0, 1]);
}

#[tokio::test]
async fn a_full_disk_keeps_what_a_snapshot_pins_until_that_is_deleted() {
    let Some(disk) = SmallDisk::mount(6) else {
        return;
    };
    let data = disk.path().join("data");
    let store = open(&data);
    let pinning = |since_ns| NewSnapshot {
        name: "kept".to_owned(),
        namespaces: Namespaces::All,
        workloads: BTreeSet::new(),
        since_ns,
        expires_ns: i64::MAX,
    };
    let snapshot = store.create_snapshot(pinning(second(20))).await.unwrap();
    let mut shop = Sidecar::new(1, "shop", "orders");
    let mut stored = 0;
    let refused = loop {
        let block = large_block(&mut shop, stored);
        match store.ingest(vec![block.clone()]).await {
            Ok(_) => stored += 1,
            Err(StoreError::Full) => break block,
            Err(error) => panic!("{error}"),
        }
    };
    // What is not pinned went first, and nothing of what is.
    let kept = numbers(&all(&store, &Scope::ALL).await);
    assert!(kept[0] > 0 && kept[0] <= 20, "{kept:?}");
    assert_eq!(kept, (kept[0]..stored).collect::<Vec<_>>());
    assert!(store.health().await.writable);
    assert_eq!(store.snapshots().await.unwrap()[0].unpinned_ns, None);
    drop(store);

    let store = open(&data);
    assert_eq!(numbers(&all(&store, &Scope::ALL).await), kept);
    // Not even the record that it is deleted has room.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 8 * 1_024 * 1_024]).unwrap_err();
    let refused_one = loop {
        match store.create_snapshot(pinning(i64::MAX)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(refused_one, StoreError::Full), "{refused_one}");
    assert!(store.delete_snapshot(&snapshot.id).await.unwrap());
    for n in stored + 1..stored + 30 {
        let block = large_block(&mut shop, n);
        store.ingest(vec![block]).await.unwrap();
    }
    store.ingest(vec![refused]).await.unwrap();
    let kept = numbers(&all(&store, &Scope::ALL).await);
    assert!(kept[0] > 20 && kept.contains(&stored), "{kept:?}");
    drop(store);
    let store = open(&data);
    assert_eq!(numbers(&all(&store, &Scope::ALL).await), kept);
    let left = store.snapshots().await.unwrap();
    assert!(left.iter().all(|it| it.id != snapshot.id));
}
