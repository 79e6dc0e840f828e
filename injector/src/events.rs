//! What somebody should act on, said as an Event where people look: `kubectl describe` of whatever makes the pods.
//!
//! Nothing waits for it: reviews put Events into a bounded queue, and what finds no room is counted. What is the same is
//! told once in a while, not once for each pod.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::certificates::ClusterError;
use crate::decide::Decision;
use crate::inject::Injection;
use crate::maker::Maker;
use crate::metrics::{EventOutcome, Metrics};

/// Most Events that wait; further ones are dropped and counted.
pub(crate) const WAITING: usize = 256;
/// Most Events that are remembered as told; further ones are dropped and counted.
const MOST_TOLD: usize = 4096;
/// What is the same is not told again before this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Longest that telling one may take.
const MAX_TELL: Duration = Duration::from_secs(5);
/// Between two of them, so that no flood of pods becomes one of writes.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest note, in bytes; the API server takes no longer one.
const MOST_NOTE_BYTES: usize = 1024;

/// A pod, or many alike, that somebody should do something about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// What it is about.
    pub maker: Maker,
    /// What happened, in a word that stays.
    pub reason: &'static str,
    /// Why no sidecar was added: the code of [`crate::decide::Reason`]; `inject` where one was.
    pub action: &'static str,
    /// In sentences.
    pub note: String,
}

/// Reason of an Event: a sidecar was asked for, and there is none.
pub const SKIPPED: &str = "SidecarSkipped";
/// Reason of an Event: there is a sidecar, and something was asked of it that it will not do.
pub const WARNED: &str = "SidecarWarning";

impl Event {
    /// What is to be told of a pod of `maker`; `None` where all went as asked.
    pub fn of(maker: &Maker, injection: &Injection) -> Option<Self> {
        let (reason, action) = match injection.decision {
            Decision::Inject => (WARNED, "inject"),
            Decision::Skip(reason) if reason.is_news() => (SKIPPED, reason.code()),
            Decision::Skip(_) => return None,
        };
        // The same words that kubectl shows to whoever makes a pod by hand.
        let mut note = injection.warnings.join("\n");
        note.truncate(note.floor_char_boundary(MOST_NOTE_BYTES));
        (!note.is_empty()).then(|| Self {
            maker: maker.clone(),
            reason,
            action,
            note,
        })
    }
}

/// Passes `events` on to `teller`, for ever.
pub(crate) async fn tell(
    teller: impl AsyncFn(&Event) -> Result<(), ClusterError>,
    mut events: mpsc::Receiver<Event>,
    metrics: &Metrics,
) -> Infallible {
    let mut told = HashMap::new();
    loop {
        // The sender lives as long as this does.
        let Some(event) = events.recv().await else {
            return std::future::pending().await;
        };
        told.retain(|_, at: &mut Instant| at.elapsed() < AGAIN_AFTER);
        if told.contains_key(&event) {
            metrics.tell(EventOutcome::Repeated);
        } else if told.len() >= MOST_TOLD {
            metrics.tell(EventOutcome::Dropped);
        } else {
            let outcome = timeout(MAX_TELL, teller(&event)).await;
            metrics.tell(of_outcome(&event, &outcome));
            told.insert(event, Instant::now());
            sleep(PAUSE).await;
        }
    }
}

fn of_outcome(
    event: &Event,
    outcome: &Result<Result<(), ClusterError>, tokio::time::error::Elapsed>,
) -> EventOutcome {
    let error: &(dyn std::error::Error + 'static) = match outcome {
        Ok(Ok(())) => return EventOutcome::Told,
        // It needs no Event any more.
        Ok(Err(ClusterError::NoSuchPlace)) => return EventOutcome::Failed,
        Ok(Err(error)) => error,
        Err(error) => error,
    };
    let Maker {
        namespace,
        kind,
        name,
        ..
    } = &event.maker;
    tracing::warn!(error, namespace, kind, name, "an Event could not be made");
    EventOutcome::Failed
}

#[cfg(test)]
mod tests;
