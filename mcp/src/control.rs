//! The control channel: sidecars ask, and keep asking, what they should do.
//!
//! A sidecar's question says how far it has come, and the answer tells it the redaction key and the
//! flush epoch. Raising the epoch is a barrier: a sidecar that asks with epoch E has shipped
//! everything it observed before E was raised. What is known of a sidecar here is gone with the
//! process; the first question of each brings it back.

mod question;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remora_store::store::Scope;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::drained;
use crate::clock;
use crate::error::ApiError;
use crate::keys::RedactionKey;

pub use question::{control, parse_incarnation};

/// How long a question waits for news before it is answered without.
const LONG_POLL: Duration = Duration::from_secs(25);
/// A sidecar that was not heard of for so long is called silent. More than a long poll and a breath.
pub const SILENT_AFTER: Duration = Duration::from_secs(40);
/// A sidecar that was not heard of for so long is not waited for before a question is answered.
const PROMPT_WITHIN: Duration = Duration::from_secs(2);
/// How long sidecars have to hand over before a question is answered without.
const HAND_OVER: Duration = Duration::from_millis(500);
/// A sidecar that was not heard of for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Most sidecars that one hub talks to.
const SIDECARS: usize = 10_000;
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
}

#[derive(Debug)]
struct Sidecar {
    name: SidecarName,
    heard: Instant,
    heard_ns: i64,
    epoch: u64,
    sequence: u64,
    waiting: usize,
}

/// By which names people know a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SidecarName {
    /// Kubernetes namespace; `local` outside a cluster.
    pub namespace: String,
    /// Name of the workload.
    pub workload: String,
    /// Name of the pod; empty outside a cluster.
    pub pod: String,
}

/// What was last heard of a sidecar.
#[derive(Debug, Clone)]
pub struct SidecarState {
    /// Random number of its run.
    pub incarnation: u128,
    /// By which names people know it.
    pub name: SidecarName,
    /// When it was last heard of: nanoseconds since the Unix epoch.
    pub heard_ns: i64,
    /// Whether it was heard of lately.
    pub live: bool,
    /// Number of the last block it sealed.
    pub sequence: u64,
}

/// What became of a flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Sidecars that have shipped everything they observed before the flush.
    pub answered: Vec<SidecarName>,
    /// Sidecars that did not answer in time: what they observed may be missing.
    pub unanswered: Vec<SidecarName>,
}

/// What became of a flush of some sidecars, each with its incarnation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartFlushed {
    /// Those that have shipped everything they observed before.
    pub answered: Vec<(u128, SidecarName)>,
    /// Those that did not answer in time, or whose channel is broken.
    pub unanswered: Vec<(u128, SidecarName)>,
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
}

/// What a sidecar is told.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub(crate) epoch: u64,
    redaction_key: KeyAnswer,
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
        }
    }

    /// Answers a sidecar: at once if it is new here or has an epoch to answer, else when there is
    /// one, or after a long poll of 25 s.
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
        let (new, _waiting) = self.hear(question)?;
        if !new {
            tokio::select! {
                _ = epoch.wait_for(|epoch| *epoch > asked_with) => {}
                () = sleep(LONG_POLL) => {}
                () = drained(draining) => {}
            }
        }
        let epoch = *epoch.borrow();
        Ok(Answer {
            epoch,
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
        let new = {
            let mut sidecars = self.lock();
            if !sidecars.contains_key(&question.incarnation) {
                sidecars.retain(|_, sidecar| {
                    sidecar.waiting > 0 || sidecar.heard.elapsed() < FORGOTTEN_AFTER
                });
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
                Sidecar {
                    name: SidecarName::default(),
                    heard: Instant::now(),
                    heard_ns: 0,
                    epoch: 0,
                    sequence: 0,
                    waiting: 0,
                }
            });
            sidecar.name = question.name;
            sidecar.heard = Instant::now();
            sidecar.heard_ns = clock::now_ns();
            sidecar.epoch = sidecar.epoch.max(question.epoch);
            sidecar.sequence = sidecar.sequence.max(question.sequence);
            sidecar.waiting += 1;
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
            sidecar.heard = Instant::now();
            sidecar.heard_ns = clock::now_ns();
        }
    }

    /// Raises the epoch and waits until every sidecar that is there has answered it, or `patience`
    /// is over.
    pub async fn flush(&self, patience: Duration) -> Flushed {
        self.flush_those(&self.expected(Sidecar::is_live), patience)
            .await
    }

    /// Has sidecars ship what they hold, so that a question which comes now is answered with what
    /// happened just before. Waits for half a second at most, and not at all for a sidecar that did
    /// not speak lately or whose records `scope` does not see.
    pub async fn hand_over(&self, scope: &Scope) {
        let expected =
            self.expected(|sidecar| sidecar.is_prompt() && scope.sees(&sidecar.name.namespace));
        if !expected.is_empty() {
            self.flush_those(&expected, HAND_OVER).await;
        }
    }

    /// Has the sidecars flush whose names are `wanted`, but for those that are `passed_over`. One
    /// that neither waits for news nor spoke within two seconds is not waited for.
    pub async fn flush_in(
        &self,
        wanted: impl Fn(&SidecarName) -> bool,
        passed_over: &HashSet<u128>,
        patience: Duration,
    ) -> PartFlushed {
        let asked = |incarnation: &u128, sidecar: &Sidecar| {
            sidecar.is_live() && wanted(&sidecar.name) && !passed_over.contains(incarnation)
        };
        let (prompt, broken): (Vec<_>, Vec<_>) = {
            let sidecars = self.lock();
            let asked = sidecars.iter().filter(|(it, sidecar)| asked(it, sidecar));
            let named = asked.map(|(it, sidecar)| (*it, sidecar.name.clone(), sidecar.is_prompt()));
            named.partition(|(.., prompt)| *prompt)
        };
        let expected: Vec<u128> = prompt.iter().map(|(it, ..)| *it).collect();
        let mut late = HashSet::new();
        if !expected.is_empty() {
            late = self.flush_for(&expected, patience).await;
        }
        let mut flushed = PartFlushed::default();
        for (incarnation, name, prompt) in prompt.into_iter().chain(broken) {
            let answered = prompt && !late.contains(&incarnation);
            let names = match answered {
                true => &mut flushed.answered,
                false => &mut flushed.unanswered,
            };
            names.push((incarnation, name));
        }
        flushed.answered.sort();
        flushed.unanswered.sort();
        flushed
    }

    /// Raises the epoch; gives those that did not answer it in time.
    async fn flush_for(&self, expected: &[u128], patience: Duration) -> HashSet<u128> {
        let deadline = Instant::now() + patience;
        let mut heard = self.heard.subscribe();
        let target = self.raise();
        loop {
            heard.mark_unchanged();
            let late: HashSet<u128> = {
                let sidecars = self.lock();
                let late = expected.iter().filter(|incarnation| {
                    let sidecar = sidecars.get(incarnation);
                    sidecar.is_none_or(|sidecar| sidecar.epoch < target)
                });
                late.copied().collect()
            };
            if late.is_empty() || Instant::now() >= deadline {
                return late;
            }
            tokio::select! {
                // The sender lives in `self`: this ends only with news.
                _ = heard.changed() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Begins the next epoch.
    fn raise(&self) -> u64 {
        let mut target = 0;
        self.epoch.send_modify(|epoch| {
            *epoch += 1;
            target = *epoch;
        });
        target
    }

    async fn flush_those(&self, expected: &[u128], patience: Duration) -> Flushed {
        let deadline = Instant::now() + patience;
        let mut heard = self.heard.subscribe();
        let target = self.raise();
        loop {
            heard.mark_unchanged();
            let flushed = self.answered(expected, target);
            if flushed.unanswered.is_empty() {
                return flushed;
            }
            tokio::select! {
                // The sender lives in `self`: this ends only with news.
                _ = heard.changed() => {}
                () = sleep_until(deadline) => return self.answered(expected, target),
            }
        }
    }

    fn expected(&self, is_expected: impl Fn(&Sidecar) -> bool) -> Vec<u128> {
        let sidecars = self.lock();
        let expected = sidecars.iter().filter(|(_, sidecar)| is_expected(sidecar));
        expected.map(|(&incarnation, _)| incarnation).collect()
    }

    fn answered(&self, expected: &[u128], target: u64) -> Flushed {
        let sidecars = self.lock();
        let mut flushed = Flushed::default();
        for sidecar in expected
            .iter()
            .filter_map(|incarnation| sidecars.get(incarnation))
        {
            let names = if sidecar.epoch >= target {
                &mut flushed.answered
            } else {
                &mut flushed.unanswered
            };
            names.push(sidecar.name.clone());
        }
        flushed.answered.sort();
        flushed.unanswered.sort();
        flushed
    }

    /// What was last heard of every sidecar.
    pub fn sidecars(&self) -> Vec<SidecarState> {
        let sidecars = self.lock();
        let states = sidecars.iter().map(|(&incarnation, sidecar)| SidecarState {
            incarnation,
            name: sidecar.name.clone(),
            heard_ns: sidecar.heard_ns,
            live: sidecar.is_live(),
            sequence: sidecar.sequence,
        });
        states.collect()
    }

    /// Name of the redaction key that is given out.
    pub fn key_id(&self) -> &str {
        &self.key.id
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Sidecar>> {
        // Nothing that holds the lock leaves the map half changed, so a panic elsewhere does no harm.
        self.sidecars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sidecar {
    fn is_live(&self) -> bool {
        self.was_heard_within(SILENT_AFTER)
    }

    fn is_prompt(&self) -> bool {
        self.was_heard_within(PROMPT_WITHIN)
    }

    /// One that waits for news counts as heard of now.
    fn was_heard_within(&self, time: Duration) -> bool {
        self.waiting > 0 || self.heard.elapsed() < time
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
            sidecar.waiting = sidecar.waiting.saturating_sub(1);
            sidecar.heard = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests;
