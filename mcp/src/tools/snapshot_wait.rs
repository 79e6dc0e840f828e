//! `snapshot_wait`: waits until the calls of a snapshot have settled.

use std::fmt::Write as _;

use remora_store::snapshot::Snapshot;
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::filter::FilterInput;
use super::{Outcome, ToolError};
use crate::api::snapshots::{WaitAnswer, WaitRequest};
use crate::app::App;
use crate::snapshot;
use crate::snapshot::barrier::{self, Progress};

/// Its name.
pub const NAME: &str = "snapshot_wait";
/// What it does.
pub const DESCRIPTION: &str = "Wait until the calls of a snapshot have settled: sidecars hand over, no matching call arrives for idle_ms, none runs. \
A barrier, not a sleep. Seals the snapshot, so that later calls do not change it. Not settled? Call it again.";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id from snapshot_start
    pub snapshot: String,
    /// How long no matching call may arrive, in ms; default 2000
    #[schemars(range(min = 0, max = 30000))]
    pub idle_ms: Option<u64>,
    /// How many matching records there have to be, of which a call can have two; default 1
    pub min_calls: Option<u64>,
    /// Only calls that match
    pub filter: Option<FilterInput>,
    /// Longest wait in s, 1 to 45; default 30
    #[schemars(range(min = 1, max = 45))]
    pub max_wait_s: Option<u64>,
    /// Seal it once settled; default true
    pub seal: Option<bool>,
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, too many callers wait, or the store failed.
pub async fn run(
    app: &App,
    scope: &Scope,
    input: Input,
    progress: &watch::Sender<Progress>,
) -> Result<Outcome, ToolError> {
    let request = WaitRequest {
        idle_ms: input.idle_ms,
        min_calls: input.min_calls,
        filter: input.filter,
        max_wait_s: input.max_wait_s,
        seal: input.seal,
    };
    let wait = request.check()?;
    let found = snapshot::find(app, scope, &input.snapshot).await?;
    let settled = barrier::wait(app, scope, found, &wait, progress).await?;
    let answer = WaitAnswer::of(&settled, next);
    let structured =
        serde_json::to_value(&answer).expect("the answer has only text keys and whole numbers");
    Ok(Outcome {
        text: describe(&answer),
        structured: Some(structured),
        untrusted: false,
    })
}

fn next(snapshot: &Snapshot, settled: bool) -> String {
    let id = &snapshot.id;
    match settled {
        true => format!("traffic_summary(snapshot=\"{id}\")"),
        false => format!("snapshot_wait(snapshot=\"{id}\")"),
    }
}

/// The same facts in words.
fn describe(answer: &WaitAnswer) -> String {
    let state = match answer.settled {
        true => "settled",
        false => "not settled",
    };
    let mut text = format!(
        "{state} ({}): {} calls ({} inbound, {} outbound records), {} in flight, {}/{} sidecars flushed, {}\n",
        answer.reason,
        answer.calls,
        answer.inbound,
        answer.outbound,
        answer.in_flight,
        answer.sidecars_flushed,
        answer.sidecars,
        if answer.sealed {
            "sealed"
        } else {
            "still open"
        },
    );
    for spot in &answer.blind_spots {
        let _ = writeln!(text, "blind spot: {spot}");
    }
    if answer.blind_spots.is_empty() {
        text.push_str("no blind spot is known\n");
    }
    let _ = writeln!(text, "next: {}", answer.next);
    text
}
