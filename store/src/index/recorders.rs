//! Who has recorded what: sums over the blocks of each incarnation.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Index, Kept};
use crate::block::{Drop, MAX_DROPS, Origin, join_drops};
use crate::store::{Recorder, Scope};

/// Most stretches of time in which drops of one run are told.
const DROP_STRETCHES: usize = MAX_DROPS;

/// Blocks of one incarnation, added up.
struct Sum<'a> {
    /// The addresses it serves may change; the youngest block knows best.
    origin: Arc<Origin>,
    last_sequence: u64,
    calls: u64,
    /// When the oldest and the newest call began, if there are any.
    times: Option<(i64, i64)>,
    sealed_ns: i64,
    drops: Vec<&'a Drop>,
}

impl<L> Index<L> {
    /// Who has recorded what, as far as the scope sees it.
    pub(crate) fn recorders(&self, scope: &Scope) -> Vec<Recorder> {
        let mut sums: BTreeMap<u128, Sum<'_>> = BTreeMap::new();
        for block in self.blocks.values() {
            if scope.sees(&block.origin.namespace) {
                sums.entry(block.origin.incarnation)
                    .or_insert_with(|| Sum::new(&block.origin))
                    .add(block);
            }
        }
        let recorders = sums.into_iter().map(|(incarnation, sum)| {
            let known = self.incarnations.get(&incarnation);
            let missing = known.map_or(0, |known| known.sequences.missing_above(known.forgotten));
            sum.recorder(missing)
        });
        recorders.collect()
    }
}

impl<'a> Sum<'a> {
    fn new(origin: &Arc<Origin>) -> Self {
        Self {
            origin: origin.clone(),
            last_sequence: 0,
            calls: 0,
            times: None,
            sealed_ns: i64::MIN,
            drops: Vec::new(),
        }
    }

    fn add<L>(&mut self, block: &'a Kept<L>) {
        if block.last_sequence() >= self.last_sequence {
            self.origin = block.origin.clone();
            self.last_sequence = block.last_sequence();
        }
        self.calls += block.calls();
        self.sealed_ns = self.sealed_ns.max(block.sealed_ns);
        let summary = &block.summary;
        if summary.calls > 0 {
            let (first, last) = self.times.unwrap_or((i64::MAX, i64::MIN));
            self.times = Some((first.min(summary.first_ns), last.max(summary.last_ns)));
        }
        self.drops.extend(&block.drops);
    }

    fn recorder(self, missing_blocks: u64) -> Recorder {
        let (first_ns, last_ns) = self.times.unwrap_or((self.sealed_ns, self.sealed_ns));
        Recorder {
            origin: (*self.origin).clone(),
            calls: self.calls,
            first_ns,
            last_ns,
            last_sequence: self.last_sequence,
            missing_blocks,
            drops: join_drops(self.drops, DROP_STRETCHES),
        }
    }
}
