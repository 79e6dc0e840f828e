//! The calls that still run, as the last block that listed them said.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Incarnation, Index, Kept};
use crate::block::Origin;
use crate::call::{Call, CallId};

/// What one block listed as still running: all that was, at the moment it was sealed.
#[derive(Debug, Clone)]
pub(crate) struct OpenSection {
    /// Who recorded it.
    pub(crate) origin: Arc<Origin>,
    /// The block that listed them, whatever it was merged into.
    pub(crate) number: u64,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The calls under their ids.
    pub(crate) calls: Vec<(CallId, Call)>,
}

/// A call's connection and its place there: what its record and its final record have in common.
pub(crate) type Exchange = (u64, u32);

impl OpenSection {
    /// Takes out the calls of which the final record came.
    pub(crate) fn supersede(&mut self, finished: &HashSet<Exchange>) {
        self.calls
            .retain(|(_, call)| !finished.contains(&(call.connection.id, call.connection.ordinal)));
    }
}

impl Incarnation {
    pub(super) fn close_section_of(&mut self, number: u64) {
        self.open.take_if(|open| open.number == number);
    }
}

impl<L> Index<L> {
    /// Sequence of the block that listed this incarnation's running calls; `None` if none runs.
    pub(crate) fn running_since(&self, incarnation: u128) -> Option<u64> {
        let open = self.incarnations.get(&incarnation)?.open.as_ref()?;
        (!open.calls.is_empty()).then_some(open.sequence)
    }

    /// Believes a section from now on, unless a younger one is known.
    pub(crate) fn set_open(&mut self, section: OpenSection) {
        let known = self
            .incarnations
            .entry(section.origin.incarnation)
            .or_default();
        let older = |open: &OpenSection| open.sequence < section.sequence;
        if known.open.as_ref().is_none_or(older) {
            known.open = Some(section);
        }
    }

    /// Calls that a block finished no longer run.
    pub(crate) fn finish(&mut self, incarnation: u128, finished: &HashSet<Exchange>) {
        let known = self.incarnations.get_mut(&incarnation);
        if let Some(open) = known.and_then(|known| known.open.as_mut()) {
            open.supersede(finished);
        }
    }

    /// The blocks with sequences after this one: none as long as they come in order.
    pub(crate) fn later(&self, incarnation: u128, sequence: u64) -> Vec<Arc<Kept<L>>> {
        let last = self
            .incarnations
            .get(&incarnation)
            .and_then(|known| known.sequences.last());
        if last.is_none_or(|last| last <= sequence) {
            return Vec::new();
        }
        let theirs = self.blocks.values().filter(|block| {
            block.origin.incarnation == incarnation && block.last_sequence() > sequence
        });
        theirs.cloned().collect()
    }

    /// Every call that still runs.
    pub(crate) fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        let sections = self
            .incarnations
            .values()
            .filter_map(|known| known.open.as_ref());
        sections
            .flat_map(|open| {
                let calls = open.calls.iter();
                calls.map(|(id, call)| (*id, open.origin.clone(), call.clone()))
            })
            .collect()
    }
}
