//! One sidecar as the hub knows it: its name, when it was heard of, and whether it can be waited for.

use std::time::Duration;

use remora_store::fault::FaultReport;
use tokio::time::Instant;

use super::Question;
use crate::clock;

/// A sidecar that was not heard of for so long is called silent. More than a long poll and a breath.
pub const SILENT_AFTER: Duration = Duration::from_secs(40);
/// How long after it was last heard of a sidecar may still see what it cannot tell, in nanoseconds. One that has been
/// silent for longer was killed with its pod, more likely than not, and would keep everything beside it in doubt.
const MISSED_FOR_NS: i64 = 5 * 60 * 1_000_000_000;
/// A sidecar that was not heard of for so long is not waited for before a question is answered.
pub(super) const PROMPT_WITHIN: Duration = Duration::from_secs(2);

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

/// Which connections of its workload a sidecar gets, one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All that it was told of.
    All,
    /// Those of programs that ask it as their proxy.
    Proxied,
    /// None.
    Nothing,
}

impl Share {
    /// What two sidecars of one name get. One that is asked as a proxy tells that there are connections which it
    /// does not get, whatever the other does.
    pub(super) fn beside(self, other: Self) -> Self {
        match (self, other) {
            (Self::Proxied, _) | (_, Self::Proxied) => Self::Proxied,
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Nothing, Self::Nothing) => Self::Nothing,
        }
    }
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
    /// Whether it can be expected to answer at once.
    pub prompt: bool,
    /// Whether its workload allows faults; `None` from one that does not know of any.
    pub allows_faults: Option<bool>,
}

#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) name: SidecarName,
    /// When it was first heard of: nanoseconds since the Unix epoch.
    first_heard_ns: i64,
    first_heard: Instant,
    heard: Instant,
    pub(super) heard_ns: i64,
    /// The last epoch it answered.
    pub(super) epoch: u64,
    sequence: u64,
    /// Which connections of its workload it gets, as it said last.
    pub(super) inbound: Share,
    pub(super) outbound: Share,
    /// How many questions of it wait for news.
    waiting: usize,
    /// What it said of its faults.
    pub(super) faults: Option<FaultReport>,
    /// It said goodbye. What comes of it later was under way then, and changes nothing.
    pub(super) ended: bool,
}

impl Sidecar {
    /// One that was not heard of before.
    pub(super) fn new() -> Self {
        Self {
            name: SidecarName::default(),
            first_heard_ns: clock::now_ns(),
            first_heard: Instant::now(),
            heard: Instant::now(),
            heard_ns: 0,
            epoch: 0,
            sequence: 0,
            inbound: Share::All,
            outbound: Share::All,
            waiting: 0,
            faults: None,
            ended: false,
        }
    }

    /// Notes what it says, and that it waits for the answer.
    pub(super) fn hear(&mut self, question: &Question) {
        self.waiting += 1;
        if self.ended {
            return;
        }
        self.name = question.name.clone();
        // A goodbye does not say it again.
        if !question.goodbye {
            (self.inbound, self.outbound) = (question.inbound, question.outbound);
        }
        self.epoch = self.epoch.max(question.epoch);
        self.sequence = self.sequence.max(question.sequence);
        self.note_sign_of_life();
        if question.faults.is_some() {
            self.faults = question.faults.clone();
        }
        self.ended = question.goodbye;
    }

    /// Notes that a question of it was answered, or that its connection broke.
    pub(super) fn stop_waiting(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.heard = Instant::now();
    }

    /// Notes that it is there.
    pub(super) fn note_sign_of_life(&mut self) {
        if !self.ended {
            self.heard = Instant::now();
            self.heard_ns = clock::now_ns();
        }
    }

    pub(super) fn state(&self, incarnation: u128) -> SidecarState {
        SidecarState {
            incarnation,
            name: self.name.clone(),
            heard_ns: self.heard_ns,
            live: self.is_live(),
            sequence: self.sequence,
            prompt: self.is_prompt(),
            allows_faults: self.faults.as_ref().map(|report| report.allowed),
        }
    }

    /// Whether it was heard of lately.
    pub(super) fn is_live(&self) -> bool {
        !self.ended && self.was_heard_within(SILENT_AFTER)
    }

    /// Whether it can be expected to answer at once.
    pub(super) fn is_prompt(&self) -> bool {
        !self.ended && self.was_heard_within(PROMPT_WITHIN)
    }

    /// Whether it has shipped what it observed before an epoch.
    pub(super) fn has_answered(&self, epoch: u64) -> bool {
        self.ended || self.epoch >= epoch
    }

    /// Whether one of `all` was first heard of when this one was not any more, and before `since_ns`, under the
    /// same name: a process that was killed, and begun anew.
    pub(super) fn is_replaced_before<'a>(
        &self,
        since_ns: i64,
        mut all: impl Iterator<Item = &'a Self>,
    ) -> bool {
        let is_gone = self.waiting == 0;
        is_gone
            && all.any(|it| {
                it.name == self.name && it.first_heard > self.heard && it.first_heard_ns < since_ns
            })
    }

    /// Whether it was last heard of so long before `since_ns` that it is not missed any more.
    pub(super) fn is_past(&self, since_ns: i64) -> bool {
        self.waiting == 0 && self.heard_ns < since_ns.saturating_sub(MISSED_FOR_NS)
    }

    /// One that waits for news counts as heard of now.
    pub(super) fn was_heard_within(&self, time: Duration) -> bool {
        self.waiting > 0 || self.heard.elapsed() < time
    }
}
