//! Waiting until a window has settled: a barrier, and not a sleep.
//!
//! The sidecars of the snapshot hand over what they observed; then no call that matches may arrive
//! for a while, and none may run; then they hand over once more, and if nothing came of it, that was
//! all. Whoever waits is woken by what comes in, and asks the store about new blocks alone.

mod answer;
mod course;

use std::time::Duration;

use remora_store::filter::Filter;
use remora_store::snapshot::Snapshot;
use remora_store::store::Scope;
use tokio::sync::watch;

use super::check_whole;
use crate::app::{App, drained};
use crate::error::ApiError;
use course::Course;

/// Most callers that wait at a time.
pub const WAITERS: usize = 32;

/// How long a barrier waits for others, whatever its caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long a sidecar may take to hand over before it is a blind spot. Default 2 s.
    pub flush: Duration,
    /// A call that has run for so long is a stream, and not waited for. Default 5 s.
    pub stream_after: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            flush: Duration::from_secs(2),
            stream_after: Duration::from_secs(5),
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// Which calls.
    pub filter: Filter,
    /// How long none of them may arrive.
    pub idle: Duration,
    /// How many of them there have to be.
    pub min_calls: u64,
    /// How long is waited at most.
    pub patience: Duration,
    /// Whether the snapshot is sealed once it has settled.
    pub seal: bool,
}

/// How far the waiting has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Calls that matched so far.
    pub calls: u64,
    /// Calls that match and run, without streams.
    pub in_flight: u64,
    /// Sidecars that have handed over.
    pub flushed: u64,
    /// Sidecars that were asked to.
    pub sidecars: u64,
}

impl Progress {
    /// `412 calls, 3 in flight, 2/2 sidecars flushed`
    pub fn message(&self) -> String {
        format!(
            "{} calls, {} in flight, {}/{} sidecars flushed",
            self.calls, self.in_flight, self.flushed, self.sidecars
        )
    }
}

/// Why the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing that matches came for as long as was asked for.
    Idle,
    /// The time was over first.
    Timeout,
    /// The hub stops.
    Draining,
    /// The snapshot had been sealed before.
    Sealed,
}

impl Reason {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Timeout => "timeout",
            Self::Draining => "draining",
            Self::Sealed => "sealed",
        }
    }

    /// Whether the window had settled.
    pub fn settled(self) -> bool {
        matches!(self, Self::Idle | Self::Sealed)
    }
}

/// What came of the waiting. The numbers are those of what is stored: of a snapshot that is sealed
/// they stay so.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Why it ended.
    pub reason: Reason,
    /// The snapshot as it is now.
    pub snapshot: Snapshot,
    /// Ended calls that match, recorded beside their callees.
    pub inbound: u64,
    /// Ended calls that match, recorded beside their callers.
    pub outbound: u64,
    /// How far it came.
    pub progress: Progress,
    /// What may be missing, in sentences.
    pub blind_spots: Vec<String>,
}

/// Waits until what matches in a snapshot has settled.
///
/// # Errors
///
/// Too many wait, the caller does not see all of the snapshot, it goes meanwhile, or the store fails.
pub async fn wait(
    app: &App,
    caller: &Scope,
    snapshot: Snapshot,
    wait: &Wait,
    progress: &watch::Sender<Progress>,
) -> Result<Settled, ApiError> {
    check_whole(caller, &snapshot)?;
    let Ok(_place) = app.waiters.try_acquire() else {
        let message = format!("{WAITERS} callers wait already");
        return Err(ApiError::unavailable("busy", message, 2));
    };
    let mut course = Course::new(app, caller, snapshot, wait, progress);
    let reason = match course.snapshot.seal {
        Some(_) => Reason::Sealed,
        None => tokio::select! {
            reason = course.settle() => reason?,
            () = drained(app.draining.clone()) => Reason::Draining,
        },
    };
    course.end(caller, reason).await
}
