//! Who has recorded what: sums over the blocks of each incarnation.

use std::collections::BTreeMap;

use super::{Index, Kept};
use crate::store::{Recorder, Scope};

impl<L> Index<L> {
    /// Who has recorded what, as far as the scope sees it.
    pub(crate) fn recorders(&self, scope: &Scope) -> Vec<Recorder> {
        let mut recorders: BTreeMap<u128, Recorder> = BTreeMap::new();
        for block in self.blocks.values() {
            if !scope.sees(&block.origin.namespace) {
                continue;
            }
            recorders
                .entry(block.origin.incarnation)
                .and_modify(|recorder| add(recorder, block))
                .or_insert_with(|| recorder_of(block));
        }
        for (incarnation, recorder) in &mut recorders {
            if let Some(known) = self.incarnations.get(incarnation) {
                recorder.missing_blocks = known.sequences.missing_above(known.forgotten);
            }
        }
        recorders.into_values().collect()
    }
}

fn recorder_of<L>(block: &Kept<L>) -> Recorder {
    let mut recorder = Recorder {
        origin: (*block.origin).clone(),
        calls: 0,
        first_ns: i64::MAX,
        last_ns: i64::MIN,
        last_sequence: 0,
        missing_blocks: 0,
        drops: Vec::new(),
    };
    add(&mut recorder, block);
    recorder
}

fn add<L>(recorder: &mut Recorder, block: &Kept<L>) {
    // The addresses it serves may have changed; the youngest block knows best.
    if block.last_sequence() >= recorder.last_sequence {
        recorder.origin = (*block.origin).clone();
        recorder.last_sequence = block.last_sequence();
    }
    recorder.calls += block.calls();
    recorder.first_ns = recorder.first_ns.min(block.oldest_ns());
    recorder.last_ns = recorder.last_ns.max(block.newest_ns());
    for drop in &block.drops {
        match recorder
            .drops
            .iter_mut()
            .find(|sum| sum.reason == drop.reason)
        {
            Some(sum) => {
                sum.calls = sum.calls.saturating_add(drop.calls);
                sum.since_ns = sum.since_ns.min(drop.since_ns);
                sum.until_ns = sum.until_ns.max(drop.until_ns);
            }
            None => recorder.drops.push(drop.clone()),
        }
    }
}
