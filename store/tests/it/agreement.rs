//! Whatever comes in whatever order, and however often the store is closed and opened in between:
//! the embedded store answers as the one in memory does.

use proptest::prelude::*;
use remora_store::block::Drop;
use remora_store::memory::Memory;
use remora_store::store::{CallStore, ReceivedBlock, Scope};

use crate::support::{Sidecar, all, numbered, open, running, second};

const BLOCKS: usize = 24;

/// What is done to both stores.
#[derive(Debug, Clone)]
enum Step {
    /// Blocks come, by their place in [`sealed`].
    Ingest(Vec<usize>),
    /// The process ends and begins again.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(0..BLOCKS * 2, 1..6).prop_map(Step::Ingest),
        1 => Just(Step::Reopen),
    ]
}

/// Blocks of two sidecars, in which calls run, end, or are never heard of again.
fn sealed() -> Vec<ReceivedBlock> {
    let mut blocks = Vec::new();
    for incarnation in 1..=2 {
        let mut sidecar = Sidecar::new(incarnation, "shop", "orders");
        let first = incarnation as i64 * 10_000;
        for n in 0..BLOCKS as i64 {
            sidecar.drops = (n % 5 == 0).then(|| drops(n)).into_iter().collect();
            let calls: Vec<_> = (0..n % 7).map(|at| numbered(first + n * 10 + at)).collect();
            // Of those that run, the first has ended when the next list comes.
            let runs = [running(first + n * 10 + 10), running(first + n * 10 + 9)];
            let lists = n % 3 == 1;
            blocks.push(sidecar.block_with_open(&calls, lists.then_some(&runs)));
        }
    }
    blocks
}

fn drops(n: i64) -> Drop {
    Drop {
        reason: "budget".to_owned(),
        calls: n as u64,
        since_ns: second(n),
        until_ns: second(n + 1),
    }
}

async fn run(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let blocks = sealed();
    let memory = Memory::new(u64::MAX);
    let mut embedded = open(dir.path());
    for step in steps {
        match step {
            Step::Ingest(places) => {
                let request: Vec<_> = places.iter().map(|&at| blocks[at].clone()).collect();
                let expected = memory.ingest(request.clone()).await.unwrap();
                assert_eq!(embedded.ingest(request).await.unwrap(), expected);
            }
            Step::Reopen => {
                drop(embedded);
                embedded = open(dir.path());
            }
        }
        compare(&memory, &embedded).await;
    }
}

async fn compare(memory: &Memory, embedded: &dyn CallStore) {
    let expected = all(memory, &Scope::ALL).await;
    let found = all(embedded, &Scope::ALL).await;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.id, expected.id);
        assert_eq!(found.call, expected.call);
    }
    let expected = memory.recorders(&Scope::ALL).await.unwrap();
    assert_eq!(embedded.recorders(&Scope::ALL).await.unwrap(), expected);
    let (found, expected) = (embedded.health().await, memory.health().await);
    assert_eq!(found.calls, expected.calls);
    assert_eq!(found.oldest_ns, expected.oldest_ns);
    assert_eq!(found.newest_ns, expected.newest_ns);
    assert!(found.quarantined.is_empty(), "{:?}", found.quarantined);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn both_stores_answer_alike(steps in prop::collection::vec(step(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(&steps));
    }
}
