//! `recorder_status`: what is recorded, by whom, and what is missing.

use std::fmt::Write as _;

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::name;
use super::{Outcome, ToolError};
use crate::api::status::Status;
use crate::app::App;
use crate::coverage::Coverage;
use crate::coverage::lost::Lost;

/// Its name.
pub const NAME: &str = "recorder_status";
/// What it does.
pub const DESCRIPTION: &str = "What is being recorded, by which sidecars, from when to when, and what may be missing. \
Call it first, and again when a result is empty or smaller than expected.";

/// Most workloads that are listed.
const WORKLOADS: usize = 30;
/// Most blind spots that are listed.
const BLIND_SPOTS: usize = 12;

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Only workloads of this namespace
    pub namespace: Option<String>,
}

/// What it gives.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// One line that says it all
    summary: String,
    /// Whether new calls are kept
    recording: bool,
    /// Calls kept
    calls: u64,
    /// When the oldest kept call began
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    /// When the newest kept call began
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
    workloads: Vec<WorkloadOutput>,
    /// Workloads that are not listed here
    workloads_omitted: usize,
    /// What may be missing from answers
    blind_spots: Vec<String>,
    /// Name of the key behind the tags of redacted secrets; same secret, same tag
    redaction_key: String,
    /// What to call next
    next: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WorkloadOutput {
    workload: String,
    namespace: String,
    calls: u64,
    /// When its newest call began
    last: String,
}

/// Answers.
///
/// # Errors
///
/// The store failed.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    app.control.hand_over(scope).await;
    let status = Status::of(app, scope).await?;
    let output = Output::new(&status, input.namespace.as_deref());
    let structured =
        serde_json::to_value(&output).expect("the output has only text keys and finite numbers");
    Ok(Outcome {
        text: output.text(),
        structured: Some(structured),
        untrusted: false,
    })
}

impl Output {
    fn new(status: &Status, namespace: Option<&str>) -> Self {
        let wanted = |one: &&crate::api::status::Workload| {
            namespace.is_none_or(|wanted| one.namespace == wanted)
        };
        let workloads: Vec<_> = status.workloads.iter().filter(wanted).collect();
        let shown = workloads.iter().take(WORKLOADS).map(|one| WorkloadOutput {
            workload: name(&one.workload).unwrap_or("(odd name)").to_owned(),
            namespace: name(&one.namespace).unwrap_or("(odd name)").to_owned(),
            calls: one.calls,
            last: one.last.clone(),
        });
        let live = status.coverage.live;
        let recording = status.store.writable && live > 0;
        let calls = status.store.calls;
        let next = if namespace.is_some() && workloads.is_empty() && calls > 0 {
            "recorder_status() without namespace: no workload of that one is recorded"
        } else if calls > 0 {
            "traffic_summary(snapshot=\"live:15m\")"
        } else {
            "start a sidecar beside a program and send it a request, then recorder_status()"
        };
        Self {
            summary: match (live, status.store.writable) {
                (0, _) => format!("not recording: no sidecar is connected; {calls} calls are kept"),
                (_, false) => {
                    format!("not recording: the store takes no blocks; {calls} calls are kept")
                }
                (live, true) => {
                    format!("recording: sidecars connected: {live}; {calls} calls are kept")
                }
            },
            recording,
            calls,
            oldest: status.store.oldest.clone(),
            newest: status.store.newest.clone(),
            workloads: shown.collect(),
            workloads_omitted: workloads.len().saturating_sub(WORKLOADS),
            blind_spots: blind_spots(&status.coverage),
            redaction_key: status.redaction.key.clone(),
            next: vec![next.to_owned()],
        }
    }

    /// The same facts in words.
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.summary);
        if let (Some(oldest), Some(newest)) = (&self.oldest, &self.newest) {
            let _ = writeln!(text, "calls from {oldest} to {newest}");
        }
        if !self.workloads.is_empty() {
            text.push_str("workload\tnamespace\tcalls\tlast\n");
        }
        for one in &self.workloads {
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{}",
                one.workload, one.namespace, one.calls, one.last
            );
        }
        if self.workloads_omitted > 0 {
            let _ = writeln!(text, "… {} more workloads", self.workloads_omitted);
        }
        for spot in &self.blind_spots {
            let _ = writeln!(text, "blind spot: {spot}");
        }
        if self.blind_spots.is_empty() {
            text.push_str("no blind spot is known\n");
        }
        let _ = writeln!(text, "redaction key: {}", self.redaction_key);
        for next in &self.next {
            let _ = writeln!(text, "next: {next}");
        }
        text
    }
}

/// What may be missing, in one line, for the end of a table.
pub fn coverage_line(coverage: &Coverage) -> String {
    match blind_spots(coverage).as_slice() {
        [] => "coverage: nothing is known to be missing".to_owned(),
        spots => format!("coverage: {}", spots.join("; ")),
    }
}

/// What may be missing, in sentences; the gravest first.
pub fn blind_spots(coverage: &Coverage) -> Vec<String> {
    let mut spots = Vec::new();
    let mut tell = |lost: Lost, one: &str, many: &str| match lost.count {
        0 => {}
        1 => spots.push(format!("{lost} {one}")),
        _ => spots.push(format!("{lost} {many}")),
    };
    let reasons = reasons(coverage);
    let dropped = Lost {
        count: coverage.dropped,
        at_most: coverage.dropped_at_most,
    };
    tell(
        dropped,
        &format!("call was not recorded: {reasons}"),
        &format!("calls were not recorded: {reasons}"),
    );
    let mut count = |count: u64, one: &str, many: &str| {
        let at_most = false;
        tell(Lost { count, at_most }, one, many);
    };
    count(
        coverage.missing_blocks,
        "block of calls never reached the hub",
        "blocks of calls never reached the hub",
    );
    count(
        coverage.unshipped_blocks,
        "block of calls is still at its sidecar",
        "blocks of calls are still at their sidecars",
    );
    count(
        coverage.tls_opaque,
        "TLS connection was passed through unread",
        "TLS connections were passed through unread",
    );
    count(
        coverage.opaque,
        "connection spoke a protocol that is not read",
        "connections spoke protocols that are not read",
    );
    count(
        coverage.quarantined,
        "damaged part of the store was set aside",
        "damaged parts of the store were set aside",
    );
    for sidecar in coverage
        .sidecars
        .iter()
        .filter(|sidecar| sidecar.state == "silent")
    {
        let workload = name(&sidecar.workload).unwrap_or("(odd name)");
        spots.push(format!(
            "the sidecar of {workload} is silent since {}",
            sidecar.last_seen
        ));
    }
    for workload in &coverage.proxied {
        let workload = name(workload).unwrap_or("(odd name)");
        spots.push(format!(
            "outbound calls of {workload} are seen only where it honours HTTP_PROXY and HTTPS_PROXY"
        ));
    }
    for pods in &coverage.unrecorded {
        spots.push(match pods.fix.as_str() {
            "" => pods.sentence(),
            fix => format!("{}; {fix}", pods.sentence()),
        });
    }
    if coverage.unrecorded_omitted > 0 {
        let more = coverage.unrecorded_omitted;
        spots.push(format!("pods of {more} more workloads are not recorded"));
    }
    if let Some(since) = &coverage.watch_behind_since {
        spots.push(format!("watch: behind since {since}"));
    }
    let more = spots.len().saturating_sub(BLIND_SPOTS);
    if more > 0 {
        spots.truncate(BLIND_SPOTS);
        spots.push(format!("… {more} more"));
    }
    spots
}

fn reasons(coverage: &Coverage) -> String {
    let reasons = coverage.dropped_by.iter();
    let reasons = reasons.map(|(reason, calls)| format!("{calls} {reason}"));
    reasons.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(n: u64) -> Vec<String> {
        blind_spots(&Coverage {
            dropped: n,
            dropped_by: [("budget", n)].into(),
            missing_blocks: n,
            unshipped_blocks: n,
            tls_opaque: n,
            opaque: n,
            quarantined: n,
            ..Coverage::default()
        })
    }

    #[test]
    fn one_is_told_as_one_and_two_as_two() {
        let one = [
            "1 call was not recorded: 1 budget",
            "1 block of calls never reached the hub",
            "1 block of calls is still at its sidecar",
            "1 TLS connection was passed through unread",
            "1 connection spoke a protocol that is not read",
            "1 damaged part of the store was set aside",
        ];
        assert_eq!(spots(1), one);
        let two = [
            "2 calls were not recorded: 2 budget",
            "2 blocks of calls never reached the hub",
            "2 blocks of calls are still at their sidecars",
            "2 TLS connections were passed through unread",
            "2 connections spoke protocols that are not read",
            "2 damaged parts of the store were set aside",
        ];
        assert_eq!(spots(2), two);
    }
}
