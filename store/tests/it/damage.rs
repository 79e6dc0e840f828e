//! Files are damaged behind the store's back: it says so, keeps what is readable, and never panics.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use remora_store::embedded::{Embedded, OpenError, Options};
use remora_store::query::FoundCall;
use remora_store::store::{CallStore, Health, Scope};
use tempfile::TempDir;
use test_case::test_case;

use crate::crash::copy_tree;
use crate::support::{Sidecar, all, calls, eventually, number, numbered, open_with};

const CALLS: i64 = 600;

/// Segments stay as they were written, so that it is known what is in which.
fn open(dir: &Path) -> Embedded {
    open_with(dir, 4, false)
}

/// A closed store of several segments with calls `0..CALLS`.
async fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut shop = Sidecar::new(1, "shop", "orders");
    for first in (0..CALLS).step_by(20) {
        let block = shop.block(&calls(first, first + 20));
        store.ingest(vec![block]).await.unwrap();
    }
    drop(store);
    assert!(segments(dir.path()).len() > 4);
    dir
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    files(&dir.join("segments"))
}

fn catalogue(dir: &Path) -> Vec<PathBuf> {
    files(&dir.join("catalogue"))
}

fn manifest(dir: &Path) -> Vec<PathBuf> {
    vec![dir.join("manifest")]
}

/// Files below a directory, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

struct Opened {
    store: Embedded,
    calls: Vec<FoundCall>,
    health: Health,
}

/// Opens a store that may be damaged, and reads all that it has.
async fn read(dir: &Path) -> Opened {
    let store = open(dir);
    all(&store, &Scope::ALL).await;
    // What the first question met is set aside for the second.
    eventually("damaged blocks are set aside", async || {
        let calls = all(&store, &Scope::ALL).await.len() as u64;
        store.health().await.calls == calls
    })
    .await;
    let calls = all(&store, &Scope::ALL).await;
    let health = store.health().await;
    Opened {
        store,
        calls,
        health,
    }
}

/// That nothing wrong is told, and nothing is lost without a word; gives how much is left.
async fn check(dir: &Path, what: &str) -> usize {
    let opened = read(dir).await;
    let numbers: BTreeSet<i64> = opened.calls.iter().map(|it| number(&it.call)).collect();
    assert_eq!(
        numbers.len(),
        opened.calls.len(),
        "{what}: a call is double"
    );
    for found in &opened.calls {
        assert_eq!(found.call, numbered(number(&found.call)), "{what}");
    }
    if numbers.len() < CALLS as usize {
        assert!(
            !opened.health.quarantined.is_empty(),
            "{what}: nothing was said"
        );
    }
    goes_on(opened.store, dir, numbers.len(), what).await;
    numbers.len()
}

/// That a damaged store takes blocks, and says the same when it is opened once more.
async fn goes_on(store: Embedded, dir: &Path, left: usize, what: &str) {
    let mut other = Sidecar::new(2, "shop", "stock");
    let block = other.block(&calls(CALLS, CALLS + 5));
    assert_eq!(store.ingest(vec![block]).await.unwrap().stored, 1, "{what}");
    let before: Vec<_> = all(&store, &Scope::ALL).await;
    drop(store);
    let again = read(dir).await;
    assert_eq!(again.calls.len(), left + 5, "{what}");
    let ids = |calls: &[FoundCall]| calls.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(
        ids(&again.calls),
        ids(&before),
        "{what}: calls changed their names"
    );
    if left < CALLS as usize {
        assert!(
            !again.health.quarantined.is_empty(),
            "{what}: forgotten again"
        );
    }
}

fn copied(dir: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    copy
}

/// The same place of a copied directory.
fn in_copy(file: &Path, dir: &TempDir, copy: &TempDir) -> PathBuf {
    copy.path().join(file.strip_prefix(dir.path()).unwrap())
}

#[test_case(segments, 6, 20; "segments")]
#[test_case(catalogue, 8, 0; "the catalogue")]
#[test_case(manifest, 8, 0; "the manifest")]
#[tokio::test]
async fn flipped_bytes_cost_what_they_hit_at_most(
    files: fn(&Path) -> Vec<PathBuf>,
    flips: usize,
    may_cost: usize,
) {
    let dir = filled().await;
    for file in files(dir.path()).into_iter().take(4) {
        let length = fs::metadata(&file).unwrap().len() as usize;
        for flip in 0..flips.min(length) {
            // Spread over the file, and not always at the same bit.
            let place = (flip * 2 + 1) * length / (flips * 2);
            let copy = copied(&dir);
            let file = in_copy(&file, &dir, &copy);
            let mut bytes = fs::read(&file).unwrap();
            bytes[place] ^= 1 << (flip % 8);
            fs::write(&file, bytes).unwrap();
            let what = format!("byte {place} of {}", file.display());
            let left = check(copy.path(), &what).await;
            assert!(left + may_cost >= CALLS as usize, "{what}: {left} are left");
        }
    }
}

#[test_case(segments; "segments")]
#[test_case(catalogue; "the catalogue")]
#[test_case(manifest; "the manifest")]
#[tokio::test]
async fn cut_and_removed_files_are_said(files: fn(&Path) -> Vec<PathBuf>) {
    let dir = filled().await;
    for file in files(dir.path()).into_iter().take(4) {
        let length = fs::metadata(&file).unwrap().len();
        for left in [
            Some(length.saturating_sub(1)),
            Some(length / 2),
            Some(0),
            None,
        ] {
            let copy = copied(&dir);
            let file = in_copy(&file, &dir, &copy);
            match left {
                Some(left) => {
                    let file = fs::File::options().write(true).open(&file).unwrap();
                    file.set_len(left).unwrap();
                }
                None => fs::remove_file(&file).unwrap(),
            }
            let what = format!("{} cut to {left:?}", file.display());
            check(copy.path(), &what).await;
        }
    }
}

#[test_case("catalogue"; "the catalogue")]
#[test_case("manifest"; "the manifest")]
#[tokio::test]
async fn what_can_be_built_anew_is_not_missed(name: &str) {
    let dir = filled().await;
    let path = dir.path().join(name);
    match path.is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
    assert_eq!(check(dir.path(), name).await, CALLS as usize);
}

#[tokio::test]
async fn a_damaged_catalogue_is_set_aside_and_said() {
    let dir = filled().await;
    for file in catalogue(dir.path()) {
        fs::write(file, b"this is no database").unwrap();
    }
    let opened = read(dir.path()).await;
    assert_eq!(opened.calls.len(), CALLS as usize);
    let said = opened.health.quarantined.join("\n");
    assert!(said.contains("catalogue.quarantine"), "{said}");
    assert!(dir.path().join("catalogue.quarantine").is_dir());
    drop(opened);
    // It was mended: nothing to say any more.
    let said = read(dir.path()).await.health.quarantined;
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn a_block_damaged_while_it_is_served_is_said_and_the_rest_goes_on() {
    let dir = filled().await;
    let store = open(dir.path());
    let found = all(&store, &Scope::ALL).await;
    drop(store);

    // Opened before the damage, and nothing read yet.
    let store = open(dir.path());
    let file = &segments(dir.path())[1];
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    let mut lost = 0;
    for found in &found {
        match store.get(&Scope::ALL, found.id).await {
            Ok(Some(got)) => assert_eq!(got.call, found.call),
            Ok(None) | Err(_) => lost += 1,
        }
    }
    assert_eq!(lost, 20);
    eventually("the damage is said", async || {
        let health = store.health().await;
        health.calls == CALLS as u64 - 20 && health.quarantined.len() == 1
    })
    .await;
    // The sidecar may send it again.
    let mut shop = Sidecar::new(1, "shop", "orders");
    let blocks = (0..CALLS)
        .step_by(20)
        .map(|first| shop.block(&calls(first, first + 20)));
    let ingested = store.ingest(blocks.collect()).await.unwrap();
    assert_eq!(ingested.stored, 1);
    assert_eq!(store.health().await.calls, CALLS as u64);
}

#[tokio::test]
async fn a_catalogue_that_grew_is_written_anew() {
    let dir = filled().await;
    let grown = dir.path().join("catalogue/grown");
    let file = fs::File::create(&grown).unwrap();
    file.set_len(100 * 1_024 * 1_024).unwrap();
    for _ in 0..2 {
        let opened = read(dir.path()).await;
        assert_eq!(opened.calls.len(), CALLS as usize);
        assert!(opened.health.quarantined.is_empty());
        assert!(!grown.exists());
    }
}

#[tokio::test]
async fn damage_is_said_before_anybody_asks_for_what_it_hit() {
    let dir = filled().await;
    let file = &segments(dir.path())[1];
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    let store = open(dir.path());
    eventually("the damage is said", async || {
        store.health().await.quarantined.len() == 1
    })
    .await;
    assert_eq!(store.health().await.calls, CALLS as u64 - 20);
}

#[tokio::test]
async fn a_directory_is_held_by_one_store_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let refused = Embedded::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }));
    let text = refused.to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(first);
    open(dir.path());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = Embedded::open(&file.join("data"), Options::default()).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
}
