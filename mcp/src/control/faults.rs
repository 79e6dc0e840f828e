//! Faults as the hub knows them: which were begun, in which sidecars they act, and what came of them.
//!
//! Kept in memory alone. Sidecars carry faults out without the hub, and say with every question which they
//! hold: so a hub that starts anew learns of those that act, tells of them and can stop them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use remora_store::fault::{
    FaultOrder, FaultOrders, FaultReport, FaultSpec, FaultState, HeldFault, MOST_FAULTS, MOST_LIFE,
};
use tokio::time::Instant;

use super::{Control, SidecarName};
use crate::clock::now_ns;

/// How long a fault that is over is still told of.
const TOLD_FOR: Duration = Duration::from_secs(10 * 60);
/// Most faults that one hub knows, with those that are over.
const MOST_KNOWN: usize = 1_000;
/// Most sidecars of which it is known what a fault did there.
const MOST_SEEN: usize = 1_000;
/// Most faults of which one question is heard: a sidecar carries out far fewer, and some that are over are told of.
const MOST_HEARD: usize = 64;
/// Most faults that one answer begins: more than a few would be longer than a sidecar reads.
const MOST_ORDERS: usize = 3;

/// A fault and where it acts.
#[derive(Debug, Clone)]
pub struct KnownFault {
    /// The fault.
    pub spec: FaultSpec,
    /// Whose calls it meets: namespace and workload.
    pub owner: (String, String),
    /// When it was begun, or first heard of: nanoseconds since the Unix epoch.
    pub begun_ns: i64,
    /// When it ends by itself: nanoseconds since the Unix epoch.
    pub expires_ns: i64,
    expires: Instant,
    /// When somebody stopped it.
    stopped: Option<Instant>,
    /// A sidecar told of it, and nobody here began it: it is told of and can be stopped, but no other sidecar
    /// begins it for that.
    is_hearsay: bool,
    /// What sidecars said of it last.
    pub seen: HashMap<u128, Seen>,
    /// Why sidecars do not carry it out.
    pub refused: HashMap<u128, String>,
}

/// What one sidecar said of a fault.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How it is there.
    pub state: FaultState,
    /// How many calls it met.
    pub touched: u64,
    /// Open connections on which it acts.
    pub covered: u64,
    /// Open connections that may carry such requests and on which it does not act.
    pub not_covered: u64,
}

impl From<&HeldFault> for Seen {
    fn from(held: &HeldFault) -> Self {
        Self {
            state: held.state,
            touched: held.touched,
            covered: held.covered,
            not_covered: held.not_covered,
        }
    }
}

/// The faults that are known.
#[derive(Debug, Default)]
pub(super) struct Faults {
    known: BTreeMap<String, KnownFault>,
}

impl KnownFault {
    fn new(spec: FaultSpec, owner: (String, String), life: Duration) -> Self {
        let begun_ns = now_ns();
        let life = life.min(MOST_LIFE);
        let life_ns = i64::try_from(life.as_nanos()).unwrap_or(i64::MAX);
        Self {
            spec,
            owner,
            begun_ns,
            expires_ns: begun_ns.saturating_add(life_ns),
            expires: Instant::now() + life,
            stopped: None,
            is_hearsay: false,
            seen: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    /// Whether sidecars should carry it out.
    fn is_wanted(&self) -> bool {
        self.stopped.is_none() && Instant::now() < self.expires
    }

    /// How it is, by what its sidecars said last.
    pub fn state(&self) -> FaultState {
        let is_spent = |seen: &Seen| seen.state != FaultState::Active;
        match self.stopped {
            Some(_) => FaultState::Stopped,
            None if Instant::now() >= self.expires => FaultState::Expired,
            None if !self.seen.is_empty() && self.seen.values().all(is_spent) => FaultState::Spent,
            None => FaultState::Active,
        }
    }

    fn ended(&self) -> Option<Instant> {
        match self.stopped {
            Some(stopped) => Some(stopped),
            None => (Instant::now() >= self.expires).then_some(self.expires),
        }
    }

    /// Whether this sidecar may still carry it out. What one said before its time was over says nothing behind it.
    pub fn acts_in(&self, incarnation: u128) -> bool {
        let held = self.seen.get(&incarnation);
        Instant::now() < self.expires && held.is_some_and(|held| !held.state.is_over())
    }
}

impl Faults {
    /// Adds a fault; false where there are too many. One that was stopped is known until it would have expired:
    /// a sidecar that was away meanwhile has still to end it.
    fn add(&mut self, fault: KnownFault) -> bool {
        let now = Instant::now();
        let is_told = |fault: &KnownFault| fault.ended().is_none_or(|ended| now < ended + TOLD_FOR);
        self.known
            .retain(|_, fault| is_told(fault) || now < fault.expires);
        let has_room = self.known.len() < MOST_KNOWN;
        if has_room {
            self.known.insert(fault.spec.id.clone(), fault);
        }
        has_room
    }

    /// Whether one more fault of this owner may be taken on hearsay.
    fn may_hear_of(&self, owner: &(String, String)) -> bool {
        let of_owner = |fault: &&KnownFault| fault.is_hearsay && fault.owner == *owner;
        self.known.values().filter(of_owner).count() < MOST_FAULTS
    }

    /// Notes what a sidecar says. A fault that is not known was begun by another run of the hub, or the sidecar
    /// makes it up.
    fn note(&mut self, incarnation: u128, name: &SidecarName, report: &FaultReport) {
        let owner = (name.namespace.clone(), name.workload.clone());
        for held in report.held.iter().take(MOST_HEARD) {
            let id = &held.fault.id;
            let is_news = !self.known.contains_key(id) && !held.state.is_over();
            if is_news && self.may_hear_of(&owner) && held.fault.check().is_ok() {
                let left = Duration::from_millis(held.left_ms);
                let fault = KnownFault::new(held.fault.clone(), owner.clone(), left);
                let heard = KnownFault {
                    is_hearsay: true,
                    ..fault
                };
                if self.add(heard) {
                    tracing::info!(fault.id = id, "fault of an earlier run of the hub found");
                }
            }
            // Nobody speaks for the sidecars of others.
            let known = self.known.get_mut(id).filter(|known| known.owner == owner);
            if let Some(known) = known
                && (known.seen.len() < MOST_SEEN || known.seen.contains_key(&incarnation))
            {
                known.seen.insert(incarnation, held.into());
            }
        }
        for refused in report.refused.iter().take(MOST_HEARD) {
            let known = self.known.get_mut(&refused.id);
            if let Some(known) = known.filter(|known| known.owner == owner)
                && known.refused.len() < MOST_SEEN
            {
                let why = refused.why.chars().take(300).collect();
                known.refused.insert(incarnation, why);
            }
        }
    }

    /// What a sidecar is to do that said this.
    fn orders(&self, name: &SidecarName, report: &FaultReport) -> FaultOrders {
        if !report.allowed {
            return FaultOrders::default();
        }
        let holds = |id: &str| report.held.iter().any(|held| held.fault.id == id);
        let refuses = |id: &str| report.refused.iter().any(|refused| refused.id == id);
        let is_owner =
            |fault: &&KnownFault| fault.owner.0 == name.namespace && fault.owner.1 == name.workload;
        let now = Instant::now();
        let wanted = self.known.values().filter(is_owner);
        let start = wanted
            .clone()
            .filter(|fault| fault.is_wanted() && !fault.is_hearsay)
            .filter(|fault| !holds(&fault.spec.id) && !refuses(&fault.spec.id))
            .take(MOST_ORDERS)
            .filter_map(|fault| {
                let left = fault.expires.saturating_duration_since(now);
                Some(FaultOrder {
                    id: fault.spec.id.clone(),
                    fault: serde_json::to_value(&fault.spec).ok()?,
                    left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
                })
            })
            .collect();
        let acts = |id: &str| {
            let mut held = report.held.iter().filter(|held| !held.state.is_over());
            held.any(|held| held.fault.id == id) || refuses(id)
        };
        let stop = wanted
            .filter(|fault| !fault.is_wanted() && acts(&fault.spec.id))
            .map(|fault| fault.spec.id.clone())
            .collect();
        FaultOrders { start, stop }
    }
}

impl Control {
    /// Begins a fault of a workload: its sidecars are told at once, and those that come later when they do.
    /// False where there are as many faults as one hub knows.
    pub fn begin_fault(&self, spec: FaultSpec, owner: (String, String), life: Duration) -> bool {
        let begun = self.faults().add(KnownFault::new(spec, owner, life));
        self.faults_changed.send_replace(());
        begun
    }

    /// Ends a fault: its sidecars are told at once. One that has ended stays as it is; says whether it had not.
    pub fn stop_fault(&self, id: &str) -> bool {
        let ends = match self.faults().known.get_mut(id) {
            Some(fault) if fault.is_wanted() => {
                fault.stopped = Some(Instant::now());
                true
            }
            _ => false,
        };
        self.faults_changed.send_replace(());
        ends
    }

    /// A fault; one that has ended for a while, and one that was stopped until it would have ended by itself.
    pub fn fault(&self, id: &str) -> Option<KnownFault> {
        self.faults().known.get(id).cloned()
    }

    /// Every fault that is known, the oldest first.
    pub fn known_faults(&self) -> Vec<KnownFault> {
        let now = Instant::now();
        let faults = self.faults();
        let told = faults.known.values();
        let mut told: Vec<KnownFault> = told
            .filter(|fault| fault.ended().is_none_or(|ended| now < ended + TOLD_FOR))
            .cloned()
            .collect();
        told.sort_by_key(|fault| fault.begun_ns);
        told
    }

    /// What a sidecar is to do about faults.
    pub(super) fn fault_orders(&self, incarnation: u128) -> FaultOrders {
        let sidecars = self.lock();
        let Some(sidecar) = sidecars.get(&incarnation) else {
            return FaultOrders::default();
        };
        let Some(report) = &sidecar.faults else {
            return FaultOrders::default();
        };
        self.faults().orders(&sidecar.name, report)
    }

    /// Returns once there is something for a sidecar to do about faults.
    pub(super) async fn until_fault_orders(&self, incarnation: u128) {
        let mut changed = self.faults_changed.subscribe();
        loop {
            changed.mark_unchanged();
            if !self.fault_orders(incarnation).is_empty() {
                return;
            }
            // The sender lives in `self`.
            let _ = changed.changed().await;
        }
    }

    /// Notes what a sidecar says of its faults.
    pub(super) fn note_faults(&self, incarnation: u128, name: &SidecarName, report: &FaultReport) {
        self.faults().note(incarnation, name, report);
    }

    /// Waits until `is_done`, which is asked whenever a sidecar has spoken, or `patience` is over.
    pub async fn wait_for_faults(&self, patience: Duration, is_done: impl Fn() -> bool) {
        let mut heard = self.heard.subscribe();
        let waiting = async {
            loop {
                heard.mark_unchanged();
                if is_done() {
                    return;
                }
                // The sender lives in `self`: this ends only with news.
                let _ = heard.changed().await;
            }
        };
        let _ = tokio::time::timeout(patience, waiting).await;
    }
}

#[cfg(test)]
mod tests;
