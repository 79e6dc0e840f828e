//! Snapshots on disk: a control record in the youngest segment at each change, and the list of all
//! in the manifest, which a loss of either brings back.

use super::writer::{WriteError, Writer};
use crate::answer::Holds;
use crate::clock::now_ns;
use crate::segment::{Record, RecordKind};
use crate::snapshot::Snapshot;
use crate::snapshot::record;
use crate::snapshot::shelf::{Change, Shelved};
use crate::store::StoreError;

/// Why a snapshot was not changed.
#[derive(Debug)]
pub(super) enum ChangeError {
    /// It may not be.
    Refused(StoreError),
    /// It could not be written down.
    Write(WriteError),
}

impl ChangeError {
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Write(error) => error.to_store_error(),
        }
    }
}

impl Writer {
    /// Changes a snapshot; when this returns, the change survives a crash.
    pub(super) fn change_snapshot(
        &mut self,
        change: Change,
    ) -> Result<Option<Snapshot>, ChangeError> {
        let next_block = self.manifest.next_block;
        let prepared = {
            let index = self.shared.index();
            let shelf = self.shared.shelf();
            shelf.prepare(change, &index, next_block, now_ns())
        };
        let Some(shelved) = prepared.map_err(ChangeError::Refused)? else {
            return Ok(None);
        };
        let snapshot = shelved.snapshot.clone();
        let lets_go = shelved.deleted || snapshot.unpinned_ns.is_some();
        let written = match lets_go {
            true => self.write_release(shelved),
            false => self.write_snapshots(vec![shelved]),
        };
        written.map_err(ChangeError::Write)?;
        Ok(Some(snapshot))
    }

    /// Writes down that a snapshot pins nothing any more. It does not while that is written: on a full
    /// disk there may be no other room for it.
    fn write_release(&mut self, shelved: Shelved) -> Result<(), WriteError> {
        let before = self.shared.shelf().put(shelved.clone(), None);
        let written = self.write_snapshots(vec![shelved]);
        if let (Err(_), Some((before, at))) = (&written, before) {
            self.shared.shelf().put(before, at);
            self.list_snapshots();
        }
        written
    }

    fn write_snapshots(&mut self, shelved: Vec<Shelved>) -> Result<(), WriteError> {
        let records: Vec<Record> = shelved.iter().map(control_record).collect();
        let places = self.append(&records)?;
        {
            let mut shelf = self.shared.shelf();
            for (shelved, place) in shelved.into_iter().zip(places) {
                shelf.learn(shelved, Some(place.segment.id));
            }
        }
        self.list_snapshots();
        Ok(())
    }

    /// Forgets what has expired, and writes down again what lay in segments that are gone.
    pub(super) fn tidy_snapshots(&mut self) -> Result<(), WriteError> {
        let expired = self.shared.shelf().drop_expired(now_ns());
        if expired {
            self.list_snapshots();
        }
        let homeless = self.shared.shelf().homeless();
        match homeless.is_empty() {
            true => Ok(()),
            false => self.write_snapshots(homeless),
        }
    }

    /// Has the pins give way that take more than `most_bytes` together.
    pub(super) fn limit_pins(&mut self, most_bytes: u64) -> Result<(), WriteError> {
        let pins = self.shared.shelf().pins(now_ns());
        let given_up = pins.give_way(&self.shared.index(), most_bytes);
        for id in given_up {
            tracing::warn!(snapshot = %id, most_bytes, "snapshots pin too much, one pins nothing any more");
            if let Err(ChangeError::Write(error)) = self.change_snapshot(Change::Unpin(id)) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Has the manifest list the snapshots as they are, the next time it is written.
    pub(super) fn list_snapshots(&mut self) {
        let shelf = self.shared.shelf();
        let records = shelf.records();
        self.manifest.snapshots = records
            .map(|(shelved, at)| (at.unwrap_or(0), record::encode(shelved)))
            .collect();
    }
}

fn control_record(shelved: &Shelved) -> Record {
    Record {
        kind: RecordKind::SNAPSHOT,
        number: 0,
        received_ns: now_ns(),
        meta: Default::default(),
        body: record::encode(shelved).into(),
    }
}
