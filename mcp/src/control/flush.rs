//! Flushes: the epoch is raised, and sidecars are waited for until each has answered it.

use std::collections::HashSet;
use std::time::Duration;

use remora_store::store::Scope;
use tokio::time::{Instant, sleep_until};

use super::{Control, SidecarName};

/// How long sidecars have to hand over before a question is answered without.
pub(super) const HAND_OVER: Duration = Duration::from_millis(500);

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

impl Control {
    /// Raises the epoch and waits until every sidecar that is there has answered it, or `patience`
    /// is over.
    pub async fn flush(&self, patience: Duration) -> Flushed {
        let expected: Vec<(u128, SidecarName)> = {
            let sidecars = self.lock();
            let live = sidecars.iter().filter(|(_, sidecar)| sidecar.is_live());
            live.map(|(it, sidecar)| (*it, sidecar.name.clone()))
                .collect()
        };
        let late = self.flush_for(&incarnations(&expected), patience).await;
        let mut flushed = Flushed::default();
        for (incarnation, name) in expected {
            match late.contains(&incarnation) {
                true => flushed.unanswered.push(name),
                false => flushed.answered.push(name),
            }
        }
        flushed.answered.sort();
        flushed.unanswered.sort();
        flushed
    }

    /// Has sidecars ship what they hold, so that a question which comes now is answered with what
    /// happened just before. Waits for half a second at most, and not at all for a sidecar that did
    /// not speak lately or whose records `scope` does not see.
    pub async fn hand_over(&self, scope: &Scope) {
        let expected: Vec<u128> = {
            let sidecars = self.lock();
            let prompt = sidecars
                .iter()
                .filter(|(_, sidecar)| sidecar.is_prompt() && scope.sees(&sidecar.name.namespace));
            prompt.map(|(it, _)| *it).collect()
        };
        if !expected.is_empty() {
            self.flush_for(&expected, HAND_OVER).await;
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
        let (prompt, mut unanswered): (Vec<_>, Vec<_>) = {
            let sidecars = self.lock();
            let asked = sidecars.iter().filter(|(it, sidecar)| {
                sidecar.is_live() && wanted(&sidecar.name) && !passed_over.contains(it)
            });
            let named = asked.map(|(it, sidecar)| (sidecar.is_prompt(), (*it, &sidecar.name)));
            let (prompt, broken): (Vec<_>, Vec<_>) = named.partition(|(prompt, _)| *prompt);
            let owned = |(_, (it, name)): (bool, (u128, &SidecarName))| (it, name.clone());
            (
                prompt.into_iter().map(owned).collect(),
                broken.into_iter().map(owned).collect(),
            )
        };
        let mut late = HashSet::new();
        if !prompt.is_empty() {
            late = self.flush_for(&incarnations(&prompt), patience).await;
        }
        let (more, mut answered): (Vec<_>, Vec<_>) =
            prompt.into_iter().partition(|(it, _)| late.contains(it));
        unanswered.extend(more);
        answered.sort();
        unanswered.sort();
        PartFlushed {
            answered,
            unanswered,
        }
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
                    sidecar.is_none_or(|sidecar| !sidecar.has_answered(target))
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
}

fn incarnations(named: &[(u128, SidecarName)]) -> Vec<u128> {
    named.iter().map(|(incarnation, _)| *incarnation).collect()
}
