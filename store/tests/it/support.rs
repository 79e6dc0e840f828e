//! Sidecars that seal blocks, stores to give them to, and ways to look at what is kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remora_store::block::{BlockMeta, Codec, Drop, Origin, seal};
use remora_store::call::{Call, State};
use remora_store::embedded::{Embedded, Options};
use remora_store::filter::Filter;
use remora_store::memory::Memory;
use remora_store::query::{FoundCall, Order, Page, Query};
use remora_store::store::{CallStore, ReceivedBlock, Scope};
use remora_store::testing;
use tempfile::TempDir;

/// How long anything may take before a test gives it up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// One second of the tests' clock; it begins at some second of 2026.
pub(crate) fn second(n: i64) -> i64 {
    1_780_000_000_000_000_000 + n * 1_000_000_000
}

/// A sidecar that numbers its blocks.
#[derive(Debug, Clone)]
pub(crate) struct Sidecar {
    pub(crate) origin: Origin,
    pub(crate) sequence: u64,
    pub(crate) drops: Vec<Drop>,
}

impl Sidecar {
    pub(crate) fn new(incarnation: u128, namespace: &str, workload: &str) -> Self {
        Self {
            origin: Origin {
                incarnation,
                workload: workload.to_owned(),
                namespace: namespace.to_owned(),
                ..Origin::default()
            },
            sequence: 0,
            drops: Vec::new(),
        }
    }

    /// Seals a block of calls.
    pub(crate) fn block(&mut self, calls: &[Call]) -> ReceivedBlock {
        self.block_with_open(calls, None)
    }

    /// Seals a block that may list the calls that run.
    pub(crate) fn block_with_open(
        &mut self,
        calls: &[Call],
        open: Option<&[Call]>,
    ) -> ReceivedBlock {
        self.sequence += 1;
        let meta = BlockMeta {
            origin: self.origin.clone(),
            sequence: self.sequence,
            sealed_ns: calls.last().map_or(second(0), |call| call.time_ns),
            redaction_key: "k-1".to_owned(),
            drops: std::mem::take(&mut self.drops),
        };
        ReceivedBlock {
            origin: self.origin.clone(),
            bytes: seal(&meta, calls, open, Codec::Lz4),
        }
    }
}

/// Calls `from..to`, one per second, each named by its number.
pub(crate) fn calls(from: i64, to: i64) -> Vec<Call> {
    (from..to).map(numbered).collect()
}

/// Call `n`, on a connection of its own.
pub(crate) fn numbered(n: i64) -> Call {
    let mut call = testing::call(second(n), &format!("/calls/{n}"), 200);
    call.connection.id = n as u64 + 1;
    call
}

/// Call `n` while it runs.
pub(crate) fn running(n: i64) -> Call {
    let mut call = numbered(n);
    call.state = State::Open;
    call.response = Default::default();
    call.phases.response_first = None;
    call.phases.response_last = None;
    call
}

/// Which store a test runs over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    Embedded,
}

/// A store that goes with its directory.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn CallStore>,
    _dir: Option<TempDir>,
}

impl Kind {
    /// A fresh store of this kind.
    pub(crate) fn store(self) -> TestStore {
        match self {
            Self::Memory => TestStore {
                store: Arc::new(Memory::new(u64::MAX)),
                _dir: None,
            },
            Self::Embedded => {
                let dir = tempfile::tempdir().unwrap();
                TestStore {
                    store: Arc::new(open(dir.path())),
                    _dir: Some(dir),
                }
            }
        }
    }
}

/// An embedded store whose segments hold a few blocks each, and are rewritten as soon as may be.
pub(crate) fn open(dir: &Path) -> Embedded {
    open_with(dir, 4, true)
}

/// The same, with segments of some kilobytes that are rewritten or not.
pub(crate) fn open_with(dir: &Path, kilobytes: u64, merge: bool) -> Embedded {
    let options = Options {
        segment_bytes: kilobytes * 1_024,
        merge,
        ..Options::default()
    };
    Embedded::open(dir, options).unwrap()
}

/// A question for everything, oldest first.
pub(crate) fn everything() -> Query {
    Query {
        filter: Filter::default(),
        since_ns: None,
        until_ns: None,
        order: Order::Oldest,
        limit: 1_000,
        cursor: None,
        probes: true,
        bodies: true,
        view: Default::default(),
        time_budget: DEADLINE,
    }
}

/// Every call that is kept, oldest first.
pub(crate) async fn all(store: &dyn CallStore, scope: &Scope) -> Vec<FoundCall> {
    let mut query = everything();
    let mut all = Vec::new();
    loop {
        let Page { calls, next, .. } = store.list(scope, &query).await.unwrap();
        all.extend(calls);
        match next {
            Some(cursor) => query.cursor = Some(cursor),
            None => return all,
        }
    }
}

/// The numbers of the calls, in the order given.
pub(crate) fn numbers(calls: &[FoundCall]) -> Vec<i64> {
    calls.iter().map(|found| number(&found.call)).collect()
}

/// Which of the numbered calls this is.
pub(crate) fn number(call: &Call) -> i64 {
    let head = std::str::from_utf8(&call.request.head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    path.strip_prefix("/calls/").unwrap().parse().unwrap()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
