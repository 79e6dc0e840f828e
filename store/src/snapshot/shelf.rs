//! What a store keeps of its snapshots in memory, and what becomes of them at a change.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::pins::Pins;
use super::{
    MEMBERS_LIMIT, Member, NewSnapshot, SNAPSHOTS_LIMIT, Seal, Snapshot, SnapshotId, Unsettled,
};
use crate::index::Index;
use crate::segment::SegmentId;
use crate::store::{Scope, StoreError};

/// Most snapshots that are remembered with those that were deleted and would not have expired yet.
const REMEMBERED_LIMIT: usize = 20_000;

/// A snapshot as its control record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shelved {
    /// The snapshot.
    pub(crate) snapshot: Snapshot,
    /// Counts its changes.
    pub(crate) version: u64,
    /// It is remembered only so that no older record of it counts.
    pub(crate) deleted: bool,
}

/// What is to become of the snapshots.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A new one.
    Create(NewSnapshot),
    /// This one ends here, with this still under way.
    Seal(SnapshotId, Unsettled),
    /// This one goes.
    Delete(SnapshotId),
    /// This one pins nothing any more.
    Unpin(SnapshotId),
}

/// Every snapshot of a store.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    kept: BTreeMap<SnapshotId, (Shelved, Option<SegmentId>)>,
}

impl Shelf {
    /// Takes in a record and the segment in which it lies; `None` where it lies in none any more.
    /// A younger one that is known already stays.
    pub(crate) fn learn(&mut self, shelved: Shelved, at: Option<SegmentId>) {
        let known = self.kept.get(&shelved.snapshot.id);
        let newer = known.is_none_or(|(known, known_at)| {
            known.version < shelved.version
                || known.version == shelved.version && known_at.is_none()
        });
        if newer {
            self.kept.insert(shelved.snapshot.id.clone(), (shelved, at));
        }
    }

    /// Puts a record in the place of the one that is known, whichever is younger; gives that one.
    pub(crate) fn put(
        &mut self,
        shelved: Shelved,
        at: Option<SegmentId>,
    ) -> Option<(Shelved, Option<SegmentId>)> {
        let id = shelved.snapshot.id.clone();
        self.kept.insert(id, (shelved, at))
    }

    /// Every record, with the segment in which it lies.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Shelved, Option<SegmentId>)> {
        self.kept.values().map(|(shelved, at)| (shelved, *at))
    }

    /// A segment goes: the records in it lie in none any more.
    pub(crate) fn leave(&mut self, segment: SegmentId) {
        for (_, at) in self.kept.values_mut() {
            at.take_if(|at| *at == segment);
        }
    }

    /// The records that lie in no segment.
    pub(crate) fn homeless(&self) -> Vec<Shelved> {
        let homeless = self.kept.values().filter(|(_, at)| at.is_none());
        homeless.map(|(shelved, _)| shelved.clone()).collect()
    }

    /// Forgets what has expired; says whether there was anything.
    pub(crate) fn drop_expired(&mut self, now_ns: i64) -> bool {
        let before = self.kept.len();
        self.kept
            .retain(|_, (shelved, _)| shelved.snapshot.expires_ns > now_ns);
        self.kept.len() < before
    }

    /// The snapshots there are, the oldest first.
    pub(crate) fn live(&self, now_ns: i64) -> Vec<Snapshot> {
        let mut live: Vec<Snapshot> = self.live_ones(now_ns).cloned().collect();
        live.sort_by(|a, b| (a.created_ns, &a.id).cmp(&(b.created_ns, &b.id)));
        live
    }

    fn live_ones(&self, now_ns: i64) -> impl Iterator<Item = &Snapshot> {
        let shelved = self.kept.values().map(|(shelved, _)| shelved);
        shelved
            .filter(move |it| !it.deleted && it.snapshot.expires_ns > now_ns)
            .map(|it| &it.snapshot)
    }

    /// What they pin.
    pub(crate) fn pins(&self, now_ns: i64) -> Pins {
        Pins::of(self.live_ones(now_ns))
    }

    /// Numbers of the first blocks that are not part of a sealed snapshot: a merged block lies on
    /// one side of each.
    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let seals = self
            .kept
            .values()
            .filter_map(|(it, _)| it.snapshot.seal.as_ref());
        seals.map(|seal| seal.before_block).collect()
    }

    /// What is to be written down, and learnt, for a change; `None` where there is nothing to change.
    ///
    /// # Errors
    ///
    /// There are as many snapshots as a store keeps.
    pub(crate) fn prepare<L>(
        &self,
        change: Change,
        index: &Index<L>,
        next_block: u64,
        now_ns: i64,
    ) -> Result<Option<Shelved>, StoreError> {
        let id = match change {
            Change::Create(new) => return self.create(new, now_ns).map(Some),
            Change::Seal(ref id, _) | Change::Delete(ref id) | Change::Unpin(ref id) => id,
        };
        let known = self.kept.get(id).map(|(shelved, _)| shelved);
        let live = known.filter(|it| !it.deleted && it.snapshot.expires_ns > now_ns);
        let Some(mut shelved) = live.cloned() else {
            return Ok(None);
        };
        shelved.version += 1;
        match change {
            Change::Seal(_, unsettled) => {
                if shelved.snapshot.seal.is_none() {
                    shelved.snapshot.seal = Some(seal(
                        &shelved.snapshot,
                        index,
                        (next_block, now_ns),
                        unsettled,
                    ));
                }
            }
            Change::Unpin(_) => shelved.snapshot.unpinned_ns = Some(now_ns),
            Change::Delete(_) | Change::Create(_) => shelved.deleted = true,
        }
        Ok(Some(shelved))
    }

    fn create(&self, new: NewSnapshot, now_ns: i64) -> Result<Shelved, StoreError> {
        let live = self.live_ones(now_ns).count();
        if live >= SNAPSHOTS_LIMIT || self.kept.len() >= REMEMBERED_LIMIT {
            return Err(StoreError::TooManySnapshots {
                limit: SNAPSHOTS_LIMIT,
            });
        }
        Ok(Shelved {
            snapshot: Snapshot {
                id: SnapshotId::random(),
                name: new.name,
                namespaces: new.namespaces,
                workloads: new.workloads,
                since_ns: new.since_ns,
                created_ns: now_ns,
                expires_ns: new.expires_ns,
                seal: None,
                unpinned_ns: None,
            },
            version: 1,
            deleted: false,
        })
    }
}

fn seal<L>(
    snapshot: &Snapshot,
    index: &Index<L>,
    (next_block, now_ns): (u64, i64),
    unsettled: Unsettled,
) -> Seal {
    let newest = index.time_range().map(|(_, newest_ns)| newest_ns);
    let after_newest = newest.map_or(now_ns, |newest_ns| newest_ns.saturating_add(1));
    let mut members = members(snapshot, index, &Scope::ALL);
    let members_omitted = members.len().saturating_sub(MEMBERS_LIMIT) as u64;
    members.truncate(MEMBERS_LIMIT);
    Seal {
        sealed_ns: now_ns,
        until_ns: now_ns.max(after_newest),
        before_block: next_block,
        members,
        members_omitted,
        unsettled,
    }
}

/// Who recorded something in a snapshot, as far as `scope` sees it.
pub(crate) fn members<L>(snapshot: &Snapshot, index: &Index<L>, scope: &Scope) -> Vec<Member> {
    if let Some(seal) = &snapshot.seal {
        let seen = seal.members.iter().filter(|it| scope.sees(&it.namespace));
        return seen.cloned().collect();
    }
    let mut runs: HashMap<(&str, &str, &str), HashSet<u128>> = HashMap::new();
    for block in index.blocks() {
        let origin = &block.origin;
        let inside = snapshot.since_ns <= block.newest_ns()
            && (block.summary.calls > 0 || block.summary.open.is_some())
            && snapshot.view().sees(&origin.workload)
            && snapshot.namespaces.hold(&origin.namespace)
            && scope.sees(&origin.namespace);
        if inside {
            let who = (
                origin.namespace.as_str(),
                origin.workload.as_str(),
                origin.revision.as_str(),
            );
            runs.entry(who).or_default().insert(origin.incarnation);
        }
    }
    let mut members: Vec<Member> = runs
        .into_iter()
        .map(|((namespace, workload, revision), runs)| Member {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            revision: revision.to_owned(),
            sidecars: runs.len() as u64,
        })
        .collect();
    members.sort();
    members
}
