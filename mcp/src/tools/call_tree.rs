//! `call_tree`: what a call caused, as an indented list.

use std::fmt::Write as _;

use remora_store::about::About;
use remora_store::call::{BadCallId, CallId};
use remora_store::query::FoundCall;
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::calls_search::{fault, outcome};
use super::table::ms;
use super::{Outcome, RESULT_BYTES, ToolError, bounded, text, window};
use crate::app::App;
use crate::call_json::milliseconds;
use crate::causality::{Cause, How};
use crate::coverage::Window;
use crate::snapshot::sight::Sight;
use crate::tree::answer::Rooted;
use crate::tree::{Branch, Limits};

/// Its name.
pub const NAME: &str = "call_tree";
/// What it does.
pub const DESCRIPTION: &str = "What a call caused: the calls that were made to answer it, those that these caused, and so on, \
with gap and duration. Each says how its cause was found and how often such answers are right (0 to 1).";

/// Calls one below the other if nothing is said.
const DEFAULT_DEPTH: usize = 8;
/// Most of them.
const MOST_DEPTH: usize = 32;
/// Most calls in a tree.
const MOST_CALLS: usize = 200;
/// Room for what stands below the tree.
const ROOM_BYTES: usize = 600;

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// An id such as c12-7, of either leg
    pub call_id: String,
    /// Only what this snapshot holds: its id, or such as live:15m; default: everything
    pub snapshot: Option<String>,
    /// Most calls one below the other, 1 to 32; default 8
    #[schemars(range(min = 1, max = 32))]
    pub depth: Option<usize>,
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, there is no such call, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    let id: CallId = input.call_id.parse().map_err(|error: BadCallId| {
        ToolError::new(format!("call_id: {error}. Find ids with calls_search()."))
    })?;
    let limits = Limits {
        depth: bounded("depth", input.depth, DEFAULT_DEPTH, MOST_DEPTH)?,
        calls: MOST_CALLS,
    };
    let sight = match input.snapshot.as_deref() {
        Some(snapshot) => window::read(app, scope, Some(snapshot)).await?,
        None => Sight::of_window(scope, Window::default()),
    };
    app.control.hand_over(&sight.scope).await;
    let rooted = Rooted::read(app, &sight, id)
        .await
        .map_err(ToolError::from)?;
    Ok(Outcome::text(write(&rooted, limits)))
}

fn write(rooted: &Rooted, limits: Limits) -> String {
    let tree = rooted.tree(limits);
    let mut text = String::new();
    let mut shown = 0;
    for branch in &tree.branches {
        let Some(found) = rooted.told(branch) else {
            continue;
        };
        let line = line(rooted, branch, found);
        if shown > 0 && text.len() + line.len() > RESULT_BYTES - ROOM_BYTES {
            break;
        }
        text.push_str(&line);
        shown += 1;
    }
    let left = tree.branches.len() - shown;
    if left > 0 || tree.is_cut_in_calls {
        let more = if tree.is_cut_in_calls {
            "more than "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "… {more}{left} more calls: ask with the id of a call in the tree"
        );
    }
    if tree.is_cut_in_depth {
        let _ = writeln!(
            text,
            "… calls lie deeper than {}: ask with a larger depth, or the id of one of the last",
            limits.depth
        );
    }
    if tree.branches.len() == 1 {
        text.push_str("it caused no call that is seen\n");
    }
    if tree.unsure > 0 {
        let _ = writeln!(
            text,
            "not shown: {} calls that one of these may have caused, or another that was being answered at the time; \
             what runs alone is told better",
            tree.unsure
        );
    }
    if rooted.is_cut() {
        let _ = writeln!(
            text,
            "only the {} legs nearest to it in time were looked at, there are more",
            rooted.legs().len()
        );
    }
    text
}

fn line(rooted: &Rooted, branch: &Branch<'_>, found: &FoundCall) -> String {
    let call = &found.call;
    let mut line = "  ".repeat(branch.depth);
    if let Some(gap_ns) = branch.gap_ns {
        let _ = write!(line, "+{} ms ", ms(Some(milliseconds(gap_ns))));
    }
    let callee = rooted.callee(branch).unwrap_or(&found.dst);
    let (src, dst) = (text::party(&found.src, false), text::party(callee, true));
    let _ = write!(line, "{} {src} -> {dst}", found.id);
    let about = About::of(call);
    let _ = match &*about.method {
        "" => write!(line, " {}", call.protocol),
        method => write!(line, " {}", text::question(method, &about.route())),
    };
    let latency = ms(call.phases.latency_ns().map(milliseconds));
    let _ = write!(line, " {} {latency} ms", outcome(found));
    let mut notes: Vec<String> = Vec::new();
    if let Some(cause) = branch.cause {
        notes.push(cause_note(rooted, branch, cause));
    }
    if let Some(fault) = fault(found) {
        notes.push(format!("injected fault {fault}"));
    }
    notes.push(legs_note(rooted, branch));
    let _ = writeln!(line, " ({})", notes.join("; "));
    line
}

/// How the cause of a call was found; for the root, of which the cause is not in the tree, which it is.
fn cause_note(rooted: &Rooted, branch: &Branch<'_>, cause: &Cause) -> String {
    let id = |leg: usize| rooted.legs().get(leg).map(|found| found.id.to_string());
    let how = cause.how.as_str();
    let mut note = match (branch.depth, cause.parent.and_then(id)) {
        (0, Some(parent)) => format!("caused by {parent}: {how} {}", cause.confidence),
        (0, None) if cause.how == How::Background => "no call caused it".to_owned(),
        (0, None) => "which call caused it cannot be told".to_owned(),
        _ => format!("{how} {}", cause.confidence),
    };
    let others = cause
        .alternatives
        .iter()
        .filter_map(|one| id(one.leg))
        .take(2);
    let others: Vec<String> = others.collect();
    if !others.is_empty() {
        let _ = write!(note, ", or by {}", others.join(" or "));
    }
    note
}

/// Which legs of a call were seen, and how they were joined.
fn legs_note(rooted: &Rooted, branch: &Branch<'_>) -> String {
    let exchange = branch.exchange;
    let callee = exchange.inbound.and_then(|leg| rooted.legs().get(leg));
    match (exchange.outbound, callee, exchange.bond) {
        (Some(_), Some(callee), Some(bond)) => format!(
            "callee's leg {} by {} {}",
            callee.id,
            bond.how.as_str(),
            bond.confidence
        ),
        (Some(_), ..) => "callee's leg not seen".to_owned(),
        (None, ..) => "caller's leg not seen".to_owned(),
    }
}

#[cfg(test)]
mod tests;
