//! The control channel: sidecars ask, and keep asking, what they should do.
//!
//! A sidecar's question says how far it has come, and the answer tells it the redaction key and the
//! flush epoch. Raising the epoch is a barrier: a sidecar that asks with epoch E has shipped
//! everything it observed before E was raised. One that ends with nothing left to ship says so, and is
//! neither waited for nor missed. What is known of a sidecar here is gone with the process; the first
//! question of each brings it back.

pub mod faults;
mod flush;
mod question;
mod sidecar;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remora_store::fault::{FaultOrders, FaultReport};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::app::drained;
use crate::clock;
use crate::error::ApiError;
use crate::keys::RedactionKey;

pub use flush::{Flushed, PartFlushed};
pub use question::{QUESTION_BYTES, control, parse_incarnation};
use sidecar::Sidecar;
pub use sidecar::{SILENT_AFTER, Share, SidecarName, SidecarState};

/// How long a question waits for news before it is answered without.
const LONG_POLL: Duration = Duration::from_secs(25);
/// A sidecar that was not heard of for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// One that said goodbye is known for so long: a snapshot that is sealed until then can tell that nothing of
/// it is missing.
const ENDED_KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Most sidecars that one hub talks to.
const SIDECARS: usize = 10_000;
/// Most runs of one pod's sidecar that are known; it makes a new one when its container is restarted.
const RUNS_OF_A_POD: usize = 16;
/// Largest epoch of a sidecar that the hub's own follows: far beyond any that a hub gives out, and
/// far enough below [`question::LARGEST_NUMBER`] that those which come after can still be answered.
const LARGEST_EPOCH: u64 = 1 << 61;

/// What is known of the sidecars, and how they are told things.
#[derive(Debug)]
pub struct Control {
    key: RedactionKey,
    epoch: watch::Sender<u64>,
    /// Notified at every question of a sidecar.
    heard: watch::Sender<()>,
    sidecars: Mutex<HashMap<u128, Sidecar>>,
    faults: Mutex<faults::Faults>,
    /// Notified when a fault was begun or stopped.
    faults_changed: watch::Sender<()>,
}

/// What a sidecar says when it asks.
#[derive(Debug, Clone)]
pub struct Question {
    /// Random number of the sidecar's run.
    pub incarnation: u128,
    /// By which names people know it.
    pub name: SidecarName,
    /// The last epoch it answered; 0 for none.
    pub epoch: u64,
    /// Number of the last block it sealed.
    pub sequence: u64,
    /// Which inbound connections of its workload it gets.
    pub inbound: Share,
    /// Which outbound ones.
    pub outbound: Share,
    /// Whether it ends, and has shipped everything.
    pub goodbye: bool,
    /// What it says of its faults; `None` from one that knows of none, or does not know that the hub does.
    pub faults: Option<FaultReport>,
}

/// What a sidecar is told.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub(crate) epoch: u64,
    redaction_key: KeyAnswer,
    /// Which faults to begin and to end. That it is there tells a sidecar to say which it holds.
    faults: FaultOrders,
    hub: &'static str,
}

#[derive(Debug, Serialize)]
struct KeyAnswer {
    id: String,
    key: String,
}

impl Control {
    /// Nobody was heard of yet.
    ///
    /// Epochs begin at the clock's milliseconds, so that those of a restarted hub lie above all that
    /// it gave out before.
    pub fn new(key: RedactionKey) -> Self {
        let milliseconds = u64::try_from(clock::now_ns() / 1_000_000)
            .unwrap_or(1)
            .max(1);
        Self {
            key,
            epoch: watch::Sender::new(milliseconds),
            heard: watch::Sender::new(()),
            sidecars: Mutex::new(HashMap::new()),
            faults: Mutex::default(),
            faults_changed: watch::Sender::new(()),
        }
    }

    /// Answers a sidecar: at once if it is new here, says goodbye, has an epoch to answer or a fault to begin
    /// or end, else when there is one, or after a long poll of 25 s.
    ///
    /// # Errors
    ///
    /// There are more sidecars than one hub talks to.
    pub async fn ask(
        self: &Arc<Self>,
        question: Question,
        draining: watch::Receiver<bool>,
    ) -> Result<Answer, ApiError> {
        let mut epoch = self.epoch.subscribe();
        let asked_with = question.epoch;
        let incarnation = question.incarnation;
        let goodbye = question.goodbye;
        let (new, _waiting) = self.hear(question)?;
        if !new && !goodbye {
            tokio::select! {
                _ = epoch.wait_for(|epoch| *epoch > asked_with) => {}
                () = self.until_fault_orders(incarnation) => {}
                () = sleep(LONG_POLL) => {}
                () = drained(draining) => {}
            }
        }
        let epoch = *epoch.borrow();
        Ok(Answer {
            epoch,
            faults: self.fault_orders(incarnation),
            redaction_key: KeyAnswer {
                id: self.key.id.clone(),
                key: self.key.hex.clone(),
            },
            hub: env!("CARGO_PKG_VERSION"),
        })
    }

    /// Notes what a sidecar says. Says whether it was unknown so far, and holds a place for it among
    /// those that wait.
    fn hear(self: &Arc<Self>, question: Question) -> Result<(bool, Waiting), ApiError> {
        if let Some(report) = &question.faults {
            self.note_faults(question.incarnation, &question.name, report);
        }
        let new = {
            let mut sidecars = self.lock();
            if !sidecars.contains_key(&question.incarnation) {
                forget_oldest_run(&mut sidecars, &question.name);
                sidecars.retain(|_, sidecar| {
                    sidecar.was_heard_within(match sidecar.ended {
                        true => ENDED_KNOWN_FOR,
                        false => FORGOTTEN_AFTER,
                    })
                });
                if sidecars.len() >= SIDECARS {
                    sidecars.retain(|_, sidecar| !sidecar.ended);
                }
                if sidecars.len() >= SIDECARS {
                    return Err(ApiError::unavailable(
                        "too_many_sidecars",
                        format!("the hub talks to {SIDECARS} sidecars and takes no more"),
                        60,
                    ));
                }
            }
            let mut new = false;
            let sidecar = sidecars.entry(question.incarnation).or_insert_with(|| {
                new = true;
                Sidecar::new()
            });
            sidecar.hear(&question);
            new
        };
        // The clock stepped back between two runs of the hub: go on above what was given out before.
        self.epoch.send_if_modified(|epoch| {
            let behind = *epoch < question.epoch && question.epoch <= LARGEST_EPOCH;
            if behind {
                *epoch = question.epoch;
            }
            behind
        });
        self.heard.send_replace(());
        let waiting = Waiting {
            control: Arc::clone(self),
            incarnation: question.incarnation,
        };
        Ok((new, waiting))
    }

    /// Notes that blocks of a sidecar came in.
    pub fn heard_blocks_of(&self, incarnation: u128) {
        if let Some(sidecar) = self.lock().get_mut(&incarnation) {
            sidecar.note_sign_of_life();
        }
    }

    /// What was last heard of every sidecar that has not said goodbye.
    pub fn sidecars(&self) -> Vec<SidecarState> {
        let sidecars = self.lock();
        let there = sidecars.iter().filter(|(_, sidecar)| !sidecar.ended);
        let states = there.map(|(&incarnation, sidecar)| sidecar.state(incarnation));
        states.collect()
    }

    /// Runs of sidecars that are not heard of any more and never said goodbye, as far as what they saw may be
    /// part of a time that began at `since_ns`.
    pub fn silent_since(&self, since_ns: i64) -> Vec<(u128, SidecarName)> {
        let sidecars = self.lock();
        let silent = sidecars
            .iter()
            .filter(|(_, it)| !it.ended && !it.is_live())
            .filter(|(_, it)| !it.is_past(since_ns))
            .filter(|(_, it)| !it.is_replaced_before(since_ns, sidecars.values()));
        let mut silent: Vec<_> = silent
            .map(|(&run, sidecar)| (run, sidecar.name.clone()))
            .collect();
        silent.sort();
        silent
    }

    /// Runs of sidecars whose place another run had taken before then: what they saw is older, and they are not
    /// missed.
    pub fn replaced_before(&self, since_ns: i64) -> HashSet<u128> {
        let sidecars = self.lock();
        let replaced = sidecars
            .iter()
            .filter(|(_, it)| it.is_replaced_before(since_ns, sidecars.values()));
        replaced.map(|(&run, _)| run).collect()
    }

    /// Those, by name, that do not get all connections of their workload, with which they get: inbound, then
    /// outbound. They may have said goodbye since. What one of several sidecars of a name gets is got.
    pub fn partly_given(&self) -> Vec<(SidecarName, Share, Share)> {
        let sidecars = self.lock();
        let mut given: BTreeMap<&SidecarName, (Share, Share)> = BTreeMap::new();
        for it in sidecars.values() {
            let (inbound, outbound) = given.entry(&it.name).or_insert((it.inbound, it.outbound));
            *inbound = inbound.beside(it.inbound);
            *outbound = outbound.beside(it.outbound);
        }
        let partly = given
            .into_iter()
            .filter(|(_, given)| *given != (Share::All, Share::All));
        partly
            .map(|(name, (inbound, outbound))| (name.clone(), inbound, outbound))
            .collect()
    }

    /// Whether one of those that are `wanted` has said goodbye since then: nanoseconds since the Unix
    /// epoch.
    pub fn said_goodbye_since(&self, since_ns: i64, wanted: impl Fn(&SidecarName) -> bool) -> bool {
        let sidecars = self.lock();
        let mut ended = sidecars.values().filter(|sidecar| sidecar.ended);
        ended.any(|sidecar| sidecar.heard_ns >= since_ns && wanted(&sidecar.name))
    }

    /// Whether this run of a sidecar has said goodbye, as far as is remembered: a day.
    pub fn has_ended(&self, incarnation: u128) -> bool {
        let sidecars = self.lock();
        sidecars
            .get(&incarnation)
            .is_some_and(|sidecar| sidecar.ended)
    }

    /// Name of the redaction key that is given out.
    pub fn key_id(&self) -> &str {
        &self.key.id
    }

    fn faults(&self) -> MutexGuard<'_, faults::Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Sidecar>> {
        // Nothing that holds the lock leaves the map half changed, so a panic elsewhere does no harm.
        self.sidecars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for another run of a pod's sidecar, so that no pod takes up the places of others.
fn forget_oldest_run(sidecars: &mut HashMap<u128, Sidecar>, name: &SidecarName) {
    if name.pod.is_empty() {
        return;
    }
    let of_pod =
        |known: &SidecarName| (&known.namespace, &known.pod) == (&name.namespace, &name.pod);
    let runs = sidecars.iter().filter(|(_, run)| of_pod(&run.name));
    let runs: Vec<_> = runs
        .map(|(&run, sidecar)| (sidecar.heard_ns, run))
        .collect();
    if runs.len() >= RUNS_OF_A_POD
        && let Some((_, oldest)) = runs.iter().min()
    {
        sidecars.remove(oldest);
    }
}

/// A sidecar's place among those that wait; given up also when its connection breaks.
#[derive(Debug)]
struct Waiting {
    control: Arc<Control>,
    incarnation: u128,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(sidecar) = self.control.lock().get_mut(&self.incarnation) {
            sidecar.stop_waiting();
        }
    }
}

#[cfg(test)]
mod tests;
