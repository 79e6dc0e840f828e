//! `snapshot_start`: begins a named window over recorded calls.

use std::fmt::Write as _;

use remora_store::store::Scope;

use super::{Outcome, ToolError};
use crate::app::App;
use crate::snapshot::{self, SnapshotJson, StartRequest};

/// Its name.
pub const NAME: &str = "snapshot_start";
/// What it does.
pub const DESCRIPTION: &str = "Begin a snapshot: a named window over recorded calls that is kept until its ttl is over. \
Call it before you exercise the program; then snapshot_wait, and give its id as snapshot to the other tools.";

/// Answers.
///
/// # Errors
///
/// An argument is wrong, there are too many snapshots, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: StartRequest) -> Result<Outcome, ToolError> {
    let made = snapshot::start(app, scope, input).await?;
    let json = SnapshotJson::of(app, scope, &made).await?;
    let mut text = describe(&json);
    let _ = writeln!(
        text,
        "next: exercise the program, then snapshot_wait(snapshot=\"{}\")",
        json.id
    );
    let structured =
        serde_json::to_value(&json).expect("the answer has only text keys and whole numbers");
    Ok(Outcome {
        text,
        structured: Some(structured),
        untrusted: false,
    })
}

/// The facts of a snapshot in words.
pub(crate) fn describe(json: &SnapshotJson) -> String {
    let mut text = format!("snapshot {} is {}", json.id, json.state);
    if !json.name.is_empty() {
        let _ = write!(text, ", name {:?}", json.name);
    }
    let _ = write!(text, "\nsince {}", json.since);
    if let Some(until) = &json.until {
        let _ = write!(text, ", until {until}");
    }
    let _ = writeln!(
        text,
        ", created {}, expires {}, pinned {}",
        json.created, json.expires, json.pinned
    );
    if let Some(why) = &json.unpinned_because {
        let _ = writeln!(text, "not pinned because {why}");
    }
    if let Some(namespaces) = &json.namespaces {
        let _ = writeln!(text, "namespaces: {}", namespaces.join(", "));
    }
    if !json.only_workloads.is_empty() {
        let _ = writeln!(text, "only workloads: {}", json.only_workloads.join(", "));
    }
    text.push_str(match (json.workloads.is_empty(), json.until.is_some()) {
        (false, _) => "workload\tnamespace\trevision\timage\tsidecars\n",
        (true, false) => "blind spot: no sidecar of it is connected yet\n",
        (true, true) => "blind spot: nobody recorded anything in it\n",
    });
    for one in &json.workloads {
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{}",
            one.workload,
            one.namespace,
            one.revision.as_deref().unwrap_or("-"),
            one.image.as_deref().unwrap_or("-"),
            one.sidecars
        );
    }
    if json.workloads_omitted > 0 {
        let _ = writeln!(text, "… {} more workloads", json.workloads_omitted);
    }
    text
}
