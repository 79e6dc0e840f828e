//! A process that keeps blocks is killed in the middle of it, again and again, and nothing that it
//! answered for is lost, torn or double.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rand::RngExt as _;
use remora_store::store::{CallStore, Scope};
use test_case::test_case;

use crate::support::{Sidecar, all, calls, numbers, open};

/// Where the child keeps its blocks. Set only for the child.
const DIR: &str = "REMORA_TEST_CRASH_DIR";

const KILLS: usize = 20;
const SIDECARS: u128 = 3;
const CALLS_PER_BLOCK: i64 = 20;

/// The process that is killed. Alone it does nothing.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let store = open(Path::new(&dir));
    let recorders = store.recorders(&Scope::ALL).await.unwrap();
    let one = |incarnation| {
        let known = recorders
            .iter()
            .find(|it| it.origin.incarnation == incarnation);
        let kept = known.map_or(0, |recorder| recorder.last_sequence);
        // What was not answered for is sent again, and a little of what was.
        keep_blocks(&store, incarnation, kept.saturating_sub(2))
    };
    tokio::join!(one(1), one(2), one(3));
}

async fn keep_blocks(store: &dyn CallStore, incarnation: u128, from: u64) {
    let mut sidecar = Sidecar::new(incarnation, "shop", "orders");
    sidecar.sequence = from;
    loop {
        let first = first_call(incarnation, sidecar.sequence + 1);
        let block = sidecar.block(&calls(first, first + CALLS_PER_BLOCK));
        store.ingest(vec![block]).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "kept {incarnation} {}", sidecar.sequence).unwrap();
        out.flush().unwrap();
    }
}

/// Number of the first call in a block.
fn first_call(incarnation: u128, sequence: u64) -> i64 {
    incarnation as i64 * 1_000_000_000 + sequence as i64 * CALLS_PER_BLOCK
}

fn start(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the child answers for, and kills it after some of it.
fn kill_after(mut child: Child, lines: usize, kept: &mut BTreeMap<u128, u64>) {
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = |line: String| {
        let mut words = line
            .split(' ')
            .skip_while(|word| !word.ends_with("kept"))
            .skip(1);
        if let (Some(incarnation), Some(sequence)) = (words.next(), words.next())
            && let (Ok(incarnation), Ok(sequence)) = (incarnation.parse(), sequence.parse::<u64>())
        {
            let last: &mut u64 = kept.entry(incarnation).or_default();
            *last = sequence.max(*last);
        }
    };
    said.by_ref()
        .take(lines)
        .map_while(Result::ok)
        .for_each(&mut read);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts as well; its last line may be torn.
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    rest.into_iter().for_each(read);
}

async fn check(dir: &Path, kept: &BTreeMap<u128, u64>) {
    let store = open(dir);
    let found = numbers(&all(&store, &Scope::ALL).await);
    let mut rest = found.as_slice();
    for incarnation in 1..=SIDECARS {
        let first = first_call(incarnation, 1);
        let end = rest
            .iter()
            .position(|&number| number >= first_call(incarnation + 1, 1));
        let (theirs, others) = rest.split_at(end.unwrap_or(rest.len()));
        let expected: Vec<i64> = (first..).take(theirs.len()).collect();
        assert_eq!(
            theirs, expected,
            "calls of {incarnation} are lost, torn or double"
        );
        let answered = kept.get(&incarnation).copied().unwrap_or(0);
        let blocks = theirs.len() as u64 / CALLS_PER_BLOCK as u64;
        assert!(
            blocks >= answered,
            "{answered} blocks were kept, {blocks} are there"
        );
        rest = others;
    }
    let damaged = store.health().await.quarantined;
    assert!(
        damaged.iter().all(|note| note.ends_with("cut off")),
        "a crash damages nothing: {damaged:?}"
    );
}

#[test_case(true; "opened by the next process only")]
#[test_case(false; "opened and closed in between")]
#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_answered_for(dirty: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = BTreeMap::new();
    for _ in 0..KILLS {
        let lines = rand::rng().random_range(1..60);
        kill_after(start(dir.path()), lines, &mut kept);
        if dirty {
            let copy = tempfile::tempdir().unwrap();
            copy_tree(dir.path(), copy.path());
            check(copy.path(), &kept).await;
        } else {
            check(dir.path(), &kept).await;
        }
    }
    assert_eq!(kept.len() as u128, SIDECARS, "{kept:?}");
}

/// Copies a directory with all that is in it.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
