//! `calls_search`: single calls, as a table.

use std::fmt::Write as _;

use remora_store::about::About;
use remora_store::grpc;
use remora_store::head::response_status;
use remora_store::outcome::refused;
use remora_store::query::{BadCursor, Cursor, FoundCall, Order, Page, Query};
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::FilterInput;
use super::nothing::{nothing, undecided_line};
use super::recorder_status::coverage_line;
use super::table::{Table, ms};
use super::{Outcome, RESULT_BYTES, ToolError, bounded, text, window};
use crate::api::query::{TIME_BUDGET, ask};
use crate::app::App;
use crate::call_json::milliseconds;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness};
use crate::metrics::Asked;
use crate::params::quoted;
use crate::snapshot::sight::Sight;

/// Its name.
pub const NAME: &str = "calls_search";
/// What it does.
pub const DESCRIPTION: &str = "Single calls that match, as a tab-separated table with their ids. Read one with call_get(call_ids=[id]). \
Each call shows once per side that recorded it: leg outbound is the caller's, inbound the callee's.";

/// Calls in an answer if nothing is said.
const DEFAULT_LIMIT: usize = 20;
/// Most calls in an answer.
const MOST: usize = 100;
/// Room for what stands beside the table.
const ROOM_BYTES: usize = 1_500;

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id of a snapshot, or a window that ends now, such as live:15m (default)
    pub snapshot: Option<String>,
    /// Only calls that match
    pub filter: Option<FilterInput>,
    /// Columns; default: id, time, leg, src, dst, method, route, status, ms
    pub fields: Option<Vec<Column>>,
    /// Default: newest first
    pub order: Option<OrderInput>,
    /// Most calls, 1 to 100; default 20
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<usize>,
    /// The cursor at the end of the page before
    pub cursor: Option<String>,
    /// Show kubelet's health checks too
    #[serde(default)]
    pub probes: bool,
}

/// Which calls come first.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(
    missing_docs,
    reason = "the words explain themselves, and a model pays for each one more"
)]
pub enum OrderInput {
    Newest,
    Oldest,
}

/// A column of the table. Nothing in it is recorded text as such: for that there is `call_get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the words explain themselves, and a model pays for each one more"
)]
pub enum Column {
    Id,
    Time,
    Leg,
    Src,
    Dst,
    Method,
    Route,
    Status,
    Ms,
    Protocol,
    State,
    ReqBytes,
    RespBytes,
    Connection,
    Ordinal,
    Revision,
}

pub(super) const DEFAULT_COLUMNS: &[Column] = &[
    Column::Id,
    Column::Time,
    Column::Leg,
    Column::Src,
    Column::Dst,
    Column::Method,
    Column::Route,
    Column::Status,
    Column::Ms,
];

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
    let columns = columns(input.fields);
    let continued = input.cursor.is_some();
    let order = match input.order {
        Some(OrderInput::Oldest) => Order::Oldest,
        Some(OrderInput::Newest) | None => Order::Newest,
    };
    let ends = FilterInput::ends(input.filter.as_ref());
    let query = Query {
        filter: FilterInput::lower(input.filter)?,
        since_ns: window.since_ns,
        until_ns: window.until_ns,
        order,
        limit: bounded("limit", input.limit, DEFAULT_LIMIT, MOST)?,
        cursor: input.cursor.as_deref().map(cursor).transpose()?,
        probes: input.probes,
        bodies: false,
        view,
        time_budget: TIME_BUDGET,
    };
    if !continued {
        app.control.hand_over(scope).await;
    }
    let page = ask(app, Asked::List, app.store.list(scope, &query)).await?;
    let coverage = Coverage::of(app, scope, window).await?;
    if page.calls.is_empty() {
        let empty = Emptiness {
            coverage: &coverage,
            window,
            examined: page.examined,
            cut_short: page.scanned_until_ns.is_some(),
            undecided: page.undecided,
            filter: &query.filter,
            continued,
        };
        return nothing(app, scope, empty, &ends).await;
    }
    let mut text = write_page(&page, &columns, order);
    let _ = writeln!(text, "{}", coverage_line(&coverage));
    Ok(Outcome::text(text))
}

fn cursor(text: &str) -> Result<Cursor, ToolError> {
    text.parse().map_err(|_: BadCursor| {
        ToolError::new(format!(
            "cursor: {} is not a cursor. Repeat the one at the end of the page before, or leave it out for \
             the first page.",
            quoted(text)
        ))
    })
}

fn columns(chosen: Option<Vec<Column>>) -> Vec<Column> {
    let mut columns = Vec::new();
    for column in chosen.unwrap_or_default() {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    if columns.is_empty() {
        DEFAULT_COLUMNS.to_vec()
    } else {
        columns
    }
}

/// The table, and how to go on where it ends early.
fn write_page(page: &Page, columns: &[Column], order: Order) -> String {
    let day = day(page.calls.first().map_or(0, |found| found.call.time_ns));
    let mut headings: Vec<&str> = columns.iter().map(|column| column.heading()).collect();
    // What a fault made of a call must not be taken for the service's own, whatever columns were asked for.
    let injected = page.calls.iter().any(|found| found.call.fault.is_some());
    if injected {
        headings.push("fault");
    }
    let mut table = Table::new(&headings, RESULT_BYTES - ROOM_BYTES);
    let mut last = None;
    for found in &page.calls {
        let mut cells: Vec<String> = columns
            .iter()
            .map(|column| column.cell(found, &day))
            .collect();
        if injected {
            cells.push(fault(found).unwrap_or_else(|| "-".to_owned()));
        }
        if !table.try_row(&cells) {
            break;
        }
        last = Some(Cursor {
            time_ns: found.call.time_ns,
            id: found.id,
        });
    }
    let cut_off = page.calls.len() - table.rows();
    let next = if cut_off > 0 {
        last.as_ref()
    } else {
        page.next.as_ref()
    };
    let first = match order {
        Order::Newest => "newest first",
        Order::Oldest => "oldest first",
    };
    let mut text = format!("{day} UTC, {first}\n{}", table.text());
    if let Some(next) = next {
        let more = match (cut_off, &page.next) {
            (0, _) => "more".to_owned(),
            (cut_off, None) => format!("{cut_off} more"),
            (cut_off, Some(_)) => format!("more than {cut_off} more"),
        };
        let _ = writeln!(text, "… {more}, cursor={next}");
    }
    if let Some(until) = page.scanned_until_ns {
        let _ = writeln!(
            text,
            "only calls on this side of {} were examined: ask about less time",
            rfc3339(until)
        );
    }
    text.push_str(&undecided_line(page.undecided));
    text
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Time => "time",
            Self::Leg => "leg",
            Self::Src => "src",
            Self::Dst => "dst",
            Self::Method => "method",
            Self::Route => "route",
            Self::Status => "status",
            Self::Ms => "ms",
            Self::Protocol => "protocol",
            Self::State => "state",
            Self::ReqBytes => "req_bytes",
            Self::RespBytes => "resp_bytes",
            Self::Connection => "connection",
            Self::Ordinal => "ordinal",
            Self::Revision => "revision",
        }
    }

    pub(super) fn cell(self, found: &FoundCall, day_shown: &str) -> String {
        let call = &found.call;
        match self {
            Self::Id => found.id.to_string(),
            Self::Time => time(call.time_ns, day_shown),
            Self::Leg => call.leg.to_string(),
            Self::Src => text::party(&found.src, false),
            Self::Dst => text::party(&found.dst, true),
            Self::Method => match &*About::of(call).method {
                "" => call.protocol.to_string(),
                method => text::method(method).to_owned(),
            },
            Self::Route => match &*About::of(call).route() {
                "" => "-".to_owned(),
                route => text::route(route),
            },
            Self::Status => outcome(found),
            Self::Ms => ms(call.phases.latency_ns().map(milliseconds)),
            Self::Protocol => call.protocol.to_string(),
            Self::State => call.state.to_string(),
            Self::ReqBytes => call.request.body_size.to_string(),
            Self::RespBytes => call.response.body_size.to_string(),
            Self::Connection => call.connection.id.to_string(),
            Self::Ordinal => call.connection.ordinal.to_string(),
            Self::Revision => text::name(&found.origin.revision).unwrap_or("-").to_owned(),
        }
    }
}

/// How a call ended: its status, which is that of gRPC where there is one, the error that a database
/// answered, its error, else its state.
pub(super) fn outcome(found: &FoundCall) -> String {
    let call = &found.call;
    if let Some(status) = grpc::status(call) {
        let name = grpc::status_name(status);
        return match call.error {
            Some(error) => format!("{name} {error}"),
            None => name.into_owned(),
        };
    }
    if let Some(code) = refused(call) {
        return code.to_string();
    }
    match (call.error, response_status(&call.response.head)) {
        (Some(error), Some(status)) => format!("{status} {error}"),
        (Some(error), None) => error.to_string(),
        (None, Some(status)) => status.to_string(),
        (None, None) => call.state.to_string(),
    }
}

/// The injected fault that met a call, and what it did: `f-7b1c09e4 status`; `None` where none did.
pub(super) fn fault(found: &FoundCall) -> Option<String> {
    let fault = found.call.fault.as_ref()?;
    let id = text::name(&fault.id).unwrap_or("(odd name)");
    Some(format!("{id} {}", fault.effect))
}

fn day(ns: i64) -> String {
    rfc3339(ns).chars().take_while(|&c| c != 'T').collect()
}

/// The time of day to the millisecond; with the date where it is another day than the one above.
fn time(ns: i64, day_shown: &str) -> String {
    let whole = rfc3339(ns);
    match whole.split_once('T') {
        Some((day, time)) if day == day_shown => time.chars().take("18:26:00.123".len()).collect(),
        _ => whole,
    }
}
