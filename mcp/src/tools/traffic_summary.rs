//! `traffic_summary`: calls by group, as a table.

use std::fmt::Write as _;

use remora_store::query::{Group, GroupKey, SummaryQuery};
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::FilterInput;
use super::nothing::{nothing, undecided_line};
use super::recorder_status::coverage_line;
use super::table::{Table, ms};
use super::{Outcome, RESULT_BYTES, ToolError, bounded, text, window};
use crate::api::query::{TIME_BUDGET, ask};
use crate::api::summary::share;
use crate::app::App;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness};
use crate::metrics::Asked;
use crate::snapshot::sight::Sight;

/// Its name.
pub const NAME: &str = "traffic_summary";
/// What it does.
pub const DESCRIPTION: &str = "Who called whom, how often, with what errors and latencies: a tab-separated table of groups of calls. \
The cheapest overview; narrow down with filter, then calls_search. \
Inbound and outbound rows are the two sides of the same calls: never add them up.";

/// Groups in an answer if nothing is said.
const DEFAULT_LIMIT: usize = 20;
/// Most groups in an answer.
const MOST: usize = 100;
/// Room for what stands beside the table.
const ROOM_BYTES: usize = 1_500;
/// What a table says of calls that faults met, where there are some.
const INJECTED_LINE: &str = "injected: calls that a fault of fault_start met; err% and latencies are of the other calls, \
since what a fault did says nothing of a service; where=fault != \"\" finds them\n";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id of a snapshot, or a window that ends now, such as live:15m (default)
    pub snapshot: Option<String>,
    /// Default: edge and route
    pub group_by: Option<Vec<Key>>,
    /// Only calls that match
    pub filter: Option<FilterInput>,
    /// Most groups, 1 to 100; default 20
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<usize>,
    /// Count kubelet's health checks too
    #[serde(default)]
    pub probes: bool,
}

/// What calls can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(
    missing_docs,
    reason = "the words explain themselves, and a model pays for each one more"
)]
pub enum Key {
    Edge,
    Route,
    Status,
    Revision,
}

impl From<Key> for GroupKey {
    fn from(key: Key) -> Self {
        match key {
            Key::Edge => Self::Edge,
            Key::Route => Self::Route,
            Key::Status => Self::Status,
            Key::Revision => Self::Revision,
        }
    }
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    let Sight {
        scope,
        window,
        view,
        ..
    } = window::read(app, scope, input.snapshot.as_deref()).await?;
    let scope = &scope;
    let ends = FilterInput::ends(input.filter.as_ref());
    let keys = chosen_keys(input.group_by);
    let query = SummaryQuery {
        filter: FilterInput::lower(input.filter)?,
        since_ns: window.since_ns,
        until_ns: window.until_ns,
        group_by: keys.iter().copied().map(GroupKey::from).collect(),
        probes: input.probes,
        limit: bounded("limit", input.limit, DEFAULT_LIMIT, MOST)?,
        view,
        time_budget: TIME_BUDGET,
    };
    app.control.hand_over(scope).await;
    let summary = ask(app, Asked::Summary, app.store.summarize(scope, &query)).await?;
    let coverage = Coverage::of(app, scope, window).await?;
    if summary.groups.is_empty() {
        let empty = Emptiness {
            coverage: &coverage,
            window,
            examined: summary.examined,
            cut_short: summary.scanned_until_ns.is_some(),
            undecided: summary.undecided,
            filter: &query.filter,
            continued: false,
        };
        return nothing(app, scope, empty, &ends).await;
    }
    let injected = summary.groups.iter().any(|group| group.injected > 0);
    let mut table = Table::new(&columns(&keys, injected), RESULT_BYTES - ROOM_BYTES);
    let rows = summary
        .groups
        .iter()
        .map(|group| cells(group, &keys, injected));
    let shown = rows.take_while(|cells| table.try_row(cells)).count();
    let omitted = summary.groups_omitted + (summary.groups.len() - shown) as u64;
    let mut text = table.text().to_owned();
    if omitted > 0 {
        let _ = writeln!(
            text,
            "… {omitted} more groups: narrow filter, or group by less"
        );
    }
    if let Some(until) = summary.scanned_until_ns {
        let _ = writeln!(
            text,
            "only calls after {} were examined: ask about less time",
            rfc3339(until)
        );
    }
    if injected {
        text.push_str(INJECTED_LINE);
    }
    text.push_str(&undecided_line(summary.undecided));
    let _ = writeln!(text, "{}", coverage_line(&coverage));
    text.push_str("next: calls_search(filter={…}) for the calls of a row\n");
    Ok(Outcome::text(text))
}

fn chosen_keys(chosen: Option<Vec<Key>>) -> Vec<Key> {
    let mut keys = Vec::new();
    for key in chosen.unwrap_or_else(|| vec![Key::Edge, Key::Route]) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn columns(keys: &[Key], injected: bool) -> Vec<&'static str> {
    let mut columns = vec!["leg"];
    for key in keys {
        let more: &[&str] = match key {
            Key::Edge => &["src", "dst"],
            Key::Route => &["method", "route"],
            Key::Status => &["status"],
            Key::Revision => &["revision"],
        };
        columns.extend_from_slice(more);
    }
    columns.push("n");
    if injected {
        columns.push("injected");
    }
    columns.extend_from_slice(&[
        "err%",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "req_bytes",
        "resp_bytes",
    ]);
    columns
}

fn cells(group: &Group, keys: &[Key], injected: bool) -> Vec<String> {
    let shown = |text: &Option<String>, show: fn(&str) -> &str| match text.as_deref() {
        None | Some("") => "-".to_owned(),
        Some(text) => show(text).to_owned(),
    };
    let mut cells = vec![group.leg.to_owned()];
    for key in keys {
        match key {
            Key::Edge => {
                cells.push(shown(&group.src, text::name_or_address));
                cells.push(shown(&group.dst, text::name_or_address));
            }
            Key::Route => {
                cells.push(shown(&group.method, text::method));
                cells.push(match group.route.as_deref() {
                    None | Some("") => "-".to_owned(),
                    Some(route) => text::route(route),
                });
            }
            Key::Status => cells.push(
                group
                    .outcome
                    .map_or_else(|| "-".to_owned(), |it| it.to_string()),
            ),
            Key::Revision => cells.push(shown(&group.revision, text::name_or_address)),
        }
    }
    let percent = share(group.errors, group.untouched()) * 100.0;
    cells.push(group.calls.to_string());
    if injected {
        cells.push(group.injected.to_string());
    }
    cells.push(if group.errors == 0 {
        "0".to_owned()
    } else {
        format!("{percent:.1}")
    });
    cells.extend([group.p50_ms, group.p95_ms, group.p99_ms].map(ms));
    cells.extend([group.request_bytes, group.response_bytes].map(|bytes| bytes.to_string()));
    cells
}
