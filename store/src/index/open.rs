//! The calls that still run, as the last block that listed them said.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Incarnation, Index, Kept};
use crate::block::Origin;
use crate::call::{Call, CallId, State};

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
    /// Sequence of the block that listed this incarnation's running calls last.
    pub(crate) fn listed_at(&self, incarnation: u128) -> Option<u64> {
        let open = self.incarnations.get(&incarnation)?.open.as_ref()?;
        Some(open.sequence)
    }

    /// The same, if any of them still runs.
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

    /// Every call that still runs, and those that were running when their sidecar went away.
    pub(crate) fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        let sections = self
            .incarnations
            .values()
            .filter_map(|known| known.open.as_ref());
        let youngest = self.youngest_at_stations();
        sections
            .flat_map(|open| {
                let station = Station::of(&open.origin);
                let after = station.and_then(|station| youngest.get(&station));
                let lost = after.is_some_and(|&incarnation| incarnation != open.origin.incarnation);
                open.calls.iter().map(move |(id, call)| {
                    let mut call = call.clone();
                    if lost {
                        call.state = State::Lost;
                    }
                    (*id, open.origin.clone(), call)
                })
            })
            .collect()
    }

    /// The incarnation at each station whose blocks began to come last.
    fn youngest_at_stations(&self) -> HashMap<Station<'_>, u128> {
        let mut known: Vec<_> = self.incarnations.iter().collect();
        known.sort_by_key(|(_, known)| known.first_block);
        let stations = known.into_iter().filter_map(|(&incarnation, known)| {
            let origin = known.origins.last()?;
            Some((Station::of(origin)?, incarnation))
        });
        stations.collect()
    }
}

/// A place where one sidecar runs at a time: if another one comes, the one before is gone.
#[derive(PartialEq, Eq, Hash)]
enum Station<'a> {
    Pod(&'a str, &'a str),
    Listeners(&'a str, &'a [SocketAddr]),
}

impl<'a> Station<'a> {
    /// `None` where several may run.
    fn of(origin: &'a Origin) -> Option<Self> {
        if !origin.pod.is_empty() {
            return Some(Self::Pod(&origin.namespace, &origin.pod));
        }
        let mut serves = origin.serves.iter();
        let exact = serves.all(|at| at.port() != 0 && !at.ip().is_unspecified());
        (exact && !origin.serves.is_empty())
            .then_some(Self::Listeners(&origin.namespace, &origin.serves))
    }
}
