//! One fault while this sidecar holds it.

use remora_store::call::Leg;
use remora_store::fault::{Fault, FaultError, FaultSpec, FaultState, HeldFault, Selection};
use tokio::sync::watch;
use tokio::time::Instant;

use super::life::Life;
use super::subject::{Carrier, Target};
use super::{Connection, Injection};

/// A fault, how long it lasts and what it did.
pub(super) struct Held {
    spec: FaultSpec,
    fault: Fault,
    expires: Instant,
    /// Whether it was stopped; what it has begun watches that.
    stopped: watch::Sender<bool>,
    /// How many calls it met.
    touched: u64,
}

impl Held {
    pub(super) fn new(spec: FaultSpec, expires: Instant) -> Result<Self, FaultError> {
        Ok(Self {
            fault: spec.check()?,
            spec,
            expires,
            stopped: watch::Sender::new(false),
            touched: 0,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.fault.id
    }

    pub(super) fn is_called(&self, id: &str) -> bool {
        self.name() == id
    }

    /// Ends it, unless it is over.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.is_there(now) {
            self.stopped.send_replace(true);
        }
    }

    /// Whether it has neither expired nor been stopped.
    pub(super) fn is_there(&self, now: Instant) -> bool {
        !self.is_stopped() && now < self.expires
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub(super) fn state(&self, now: Instant) -> FaultState {
        match self.fault.selection {
            _ if self.is_stopped() => FaultState::Stopped,
            _ if now >= self.expires => FaultState::Expired,
            Selection::First(calls) if self.touched >= u64::from(calls) => FaultState::Spent,
            _ => FaultState::Active,
        }
    }

    /// Whether a connection may carry a request that it means.
    pub(super) fn may_meet(&self, target: &Target) -> bool {
        // Which address a workload is reached at says nothing: it is the one that is meant.
        let is_there = match target.leg {
            Leg::Inbound => true,
            Leg::Outbound => {
                let filter = &self.fault.filter;
                filter.may_meet(target.address, target.called.as_deref())
            }
        };
        target.leg == self.fault.leg && is_there
    }

    /// Meets a request, if it is meant.
    pub(super) fn strike(
        &mut self,
        now: Instant,
        target: &Target,
        head: &[u8],
    ) -> Option<Injection> {
        let filter = &self.fault.filter;
        let is_meant = self.state(now) == FaultState::Active
            && target.leg == self.fault.leg
            && filter.matches(head, target.address, target.called.as_deref())
            && self.is_chosen();
        is_meant.then(|| {
            self.touched += 1;
            Injection {
                id: self.fault.id.clone(),
                effect: self.fault.effect.clone(),
                life: Life::new(self.expires, self.stopped.subscribe()),
            }
        })
    }

    fn is_chosen(&self) -> bool {
        match self.fault.selection {
            Selection::All | Selection::First(_) => true,
            Selection::Share(share) => rand::random::<f64>() < share,
        }
    }

    pub(super) fn report<'a>(
        &self,
        now: Instant,
        connections: impl Iterator<Item = &'a Connection>,
    ) -> HeldFault {
        let left = self.expires.saturating_duration_since(now);
        let state = self.state(now);
        let (mut covered, mut not_covered) = (0, 0);
        // One that acts no more has nothing to cover, and no connection changes for it.
        let acts = |_: &&Connection| state == FaultState::Active;
        for connection in connections
            .filter(acts)
            .filter(|it| self.may_meet(&it.target))
        {
            match connection.carrier {
                Carrier::Terminate => covered += 1,
                Carrier::Splice => not_covered += 1,
                Carrier::Undecided | Carrier::Foreign => {}
            }
        }
        HeldFault {
            fault: self.spec.clone(),
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            state,
            touched: self.touched,
            covered,
            not_covered,
        }
    }
}
