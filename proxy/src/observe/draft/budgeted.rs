//! The record of a call where the budget had room for one, and nothing where it had not.

use remora_store::call::{Call, CallError};

use super::{Draft, Refused};
use crate::observe::Recorded;
use crate::observe::connection::Connection;

/// A draft as far as the budget allows one. A call is read alike with and without.
#[derive(Debug, Default)]
pub(in crate::observe) struct Budgeted(Option<Box<Draft>>);

impl Budgeted {
    pub(in crate::observe) fn new(draft: Option<Draft>) -> Self {
        Self(draft.map(Box::new))
    }

    /// Whether there is no record.
    pub(in crate::observe) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The draft, to be written on.
    pub(in crate::observe) fn draft(&mut self) -> Option<&mut Draft> {
        self.0.as_deref_mut()
    }

    /// The draft, for whoever reads nothing without one.
    pub(in crate::observe) fn into_draft(self) -> Option<Box<Draft>> {
        self.0
    }

    /// There is no room for it: it is dropped and counted.
    pub(in crate::observe) fn give_up(&mut self, connection: &mut Connection) {
        if self.0.take().is_some() {
            connection.count_dropped();
        }
    }

    /// Does something without which the record is none: refused, it is given up.
    pub(in crate::observe) fn keep(
        &mut self,
        connection: &mut Connection,
        keep: impl FnOnce(&mut Draft, &Connection) -> Result<(), Refused>,
    ) {
        if let Some(draft) = self.draft()
            && keep(draft, connection) == Err(Refused)
        {
            self.give_up(connection);
        }
    }

    /// Gives out the record. `failure` is why its call is not complete, unless it is known already.
    pub(in crate::observe) fn finish(
        self,
        connection: &Connection,
        failure: Option<CallError>,
        out: &mut Vec<Recorded>,
    ) {
        if let Some(mut draft) = self.0 {
            draft.error = draft.error.or(failure);
            out.push(draft.finish(connection));
        }
    }

    /// The record as it stands, of a call that began no later than `at`.
    pub(in crate::observe) fn partial(&self, connection: &Connection, at: u64) -> Option<Call> {
        let draft = self.0.as_ref().filter(|draft| draft.began_by(at))?;
        Some(draft.partial(connection))
    }
}
