//! `GET /api/v1/calls`: calls that match, a page at a time, as one JSON document or line by line.
//!
//! Bodies make calls large, so they are read from the store in small pages whatever was asked for:
//! a JSON page ends early when it has grown too large, and lines are sent as they are read.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http_body_util::channel::{Channel, Sender};
use remora_store::query::{Cursor, Order, Page, Query};
use remora_store::store::Scope;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::query::{TIME_BUDGET, ask, filter, probes, read_cursor, window};
use crate::app::App;
use crate::auth::Caller;
use crate::call_json::CallJson;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness, EmptyBecause, Window};
use crate::error::{ApiError, ErrorBody};
use crate::fields::Fields;
use crate::metrics::Asked;
use crate::params::Params;

/// Calls on a page if nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Most calls on a page.
const MOST: usize = 1_000;
/// Calls that are read from the store at a time, when their bodies are read too.
const READ_WITH_BODIES: usize = 50;
/// A JSON page ends early once it has so many bytes.
const PAGE_BYTES: usize = 8 * 1024 * 1024; // 8 MiB
/// Pieces of an answer that wait to be sent.
const PIECES_AHEAD: usize = 2;

/// Calls that match.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallsAnswer {
    /// The calls, in the order asked for, with the fields that were asked for.
    #[schema(value_type = Vec<CallJson>)]
    pub calls: Vec<Value>,
    /// Give this as `cursor` to get the next page; `null` at the end.
    pub next: Option<String>,
    /// Set when the time for one question ran out: everything on this side of the time was looked
    /// at. Ask on with `next`, or about less time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_until: Option<String>,
    /// Why there are no calls in this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_because: Option<EmptyBecause>,
    /// What may be missing.
    pub coverage: Coverage,
}

const PARAMETERS: &[&str] = &[
    "filter", "since", "until", "order", "limit", "cursor", "fields", "format", "probes",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
}

/// `GET /api/v1/calls`
#[utoipa::path(
    get, path = "/api/v1/calls", operation_id = "calls",
    summary = "Calls that match, a page at a time",
    params(
        ("filter" = Option<String>, Query, description = "CEL over one call, such as status >= 500 && dst.workload == \"orders\""),
        ("since" = Option<String>, Query, description = "Only calls that began then or later: RFC 3339, or a duration before now such as 15m"),
        ("until" = Option<String>, Query, description = "Only calls that began before then"),
        ("order" = Option<String>, Query, description = "newest (default) or oldest first"),
        ("limit" = Option<usize>, Query, description = "Most calls in the answer, 1 to 1000; default 100", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The next of the answer before"),
        ("fields" = Option<String>, Query, description = "Comma list of the parts to show, such as id,request.headers; leave bodies out where they are not needed; a call then has no other parts"),
        ("format" = Option<String>, Query, description = "json (default), or ndjson: a call a line, and in the end a line with next if there is more, or with empty_because if there was nothing; coverage is in the header remora-coverage"),
        ("probes" = Option<String>, Query, description = "include or exclude (default) kubelet's health checks"),
    ),
    responses(
        (status = 200, description = "The calls", content((CallsAnswer = "application/json"), (CallJson = "application/x-ndjson"))),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn calls(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), PARAMETERS)?;
    let format = params.word(
        "format",
        &[("json", Format::Json), ("ndjson", Format::Ndjson)],
        Format::Json,
    )?;
    let fields = Fields::parse(params.text("fields"))?;
    let window = window(&params)?;
    let query = Query {
        filter: filter(&params)?,
        since_ns: window.since_ns,
        until_ns: window.until_ns,
        order: params.word(
            "order",
            &[("newest", Order::Newest), ("oldest", Order::Oldest)],
            Order::Newest,
        )?,
        limit: params.number("limit", 1..=MOST, DEFAULT_LIMIT)?,
        cursor: params.text("cursor").map(read_cursor).transpose()?,
        probes: probes(&params)?,
        bodies: fields.show_bodies(),
        time_budget: TIME_BUDGET,
    };
    let coverage = Coverage::of(&app, &caller.scope, window).await?;
    let reader = Reader::new(app, caller.scope, query, fields);
    match format {
        Format::Json => reader
            .document(coverage, window)
            .await
            .map(IntoResponse::into_response),
        Format::Ndjson => reader.lines(coverage, window).await,
    }
}

/// Reads an answer from the store, piece by piece.
struct Reader {
    app: App,
    scope: Scope,
    query: Query,
    fields: Fields,
    continued: bool,
    left: usize,
    examined: u64,
    scanned_until_ns: Option<i64>,
    done: bool,
}

impl Reader {
    fn new(app: App, scope: Scope, query: Query, fields: Fields) -> Self {
        Self {
            app,
            scope,
            continued: query.cursor.is_some(),
            left: query.limit,
            query,
            fields,
            examined: 0,
            scanned_until_ns: None,
            done: false,
        }
    }

    /// The next calls, each with the place after it; empty at the end.
    async fn read(&mut self) -> Result<Vec<(Cursor, Value)>, ApiError> {
        if self.done || self.left == 0 {
            return Ok(Vec::new());
        }
        let most = if self.query.bodies {
            READ_WITH_BODIES
        } else {
            MOST
        };
        self.query.limit = self.left.min(most);
        let Page {
            calls,
            next,
            scanned_until_ns,
            examined,
        } = ask(
            &self.app,
            Asked::List,
            self.app.store.list(&self.scope, &self.query),
        )
        .await?;
        self.left = self.left.saturating_sub(calls.len());
        self.examined += examined;
        self.scanned_until_ns = scanned_until_ns;
        self.done = next.is_none() || scanned_until_ns.is_some();
        self.query.cursor = next;
        let shown = calls.iter().map(|found| {
            let after = Cursor {
                time_ns: found.call.time_ns,
                id: found.id,
            };
            (after, self.fields.select(&CallJson::new(found)))
        });
        Ok(shown.collect())
    }

    async fn document(
        mut self,
        coverage: Coverage,
        window: Window,
    ) -> Result<Json<CallsAnswer>, ApiError> {
        let mut calls = Vec::new();
        let mut size = 0;
        let mut cut_at = None;
        'page: loop {
            let piece = self.read().await?;
            if piece.is_empty() {
                break;
            }
            for (after, call) in piece {
                size += call.to_string().len();
                calls.push(call);
                if size > PAGE_BYTES {
                    cut_at = Some(after);
                    break 'page;
                }
            }
        }
        let next = cut_at
            .as_ref()
            .or(self.query.cursor.as_ref())
            .map(Cursor::to_string);
        Ok(Json(CallsAnswer {
            empty_because: self.empty_because(calls.len(), &coverage, window),
            calls,
            next,
            scanned_until: self.scanned_until_ns.map(rfc3339),
            coverage,
        }))
    }

    fn empty_because(
        &self,
        shown: usize,
        coverage: &Coverage,
        window: Window,
    ) -> Option<EmptyBecause> {
        if shown > 0 {
            return None;
        }
        let empty = Emptiness {
            coverage,
            window,
            examined: self.examined,
            cut_short: self.scanned_until_ns.is_some(),
            filter: &self.query.filter,
            continued: self.continued,
        };
        Some(EmptyBecause::of(empty))
    }

    /// Line by line. The first piece is read before the answer begins, so that what is wrong with
    /// the question is told by the status.
    async fn lines(mut self, coverage: Coverage, window: Window) -> Result<Response, ApiError> {
        let first = self.read().await?;
        let header = coverage_header(&coverage);
        let (sender, body) = Channel::<Bytes, Infallible>::new(PIECES_AHEAD);
        tokio::spawn(self.send_lines(first, sender, coverage, window));
        let mut response = Body::new(body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        );
        headers.insert("remora-coverage", header);
        Ok(response)
    }

    /// Ends early when the caller hangs up.
    async fn send_lines(
        mut self,
        first: Vec<(Cursor, Value)>,
        mut sender: Sender<Bytes>,
        coverage: Coverage,
        window: Window,
    ) {
        let mut shown = 0;
        let mut piece = first;
        while !piece.is_empty() {
            shown += piece.len();
            let lines: String = piece.iter().map(|(_, call)| format!("{call}\n")).collect();
            if sender.send_data(lines.into()).await.is_err() {
                return;
            }
            piece = match self.read().await {
                Ok(piece) => piece,
                Err(error) => {
                    let error = json!({"error": {"code": error.code(), "message": error.message(), "hint": error.hint_text()}});
                    let _ = sender.send_data(format!("{error}\n").into()).await;
                    return;
                }
            };
        }
        let next = self.query.cursor.as_ref().map(Cursor::to_string);
        let last = match self.empty_because(shown, &coverage, window) {
            Some(because) => json!({"next": next, "empty_because": because}),
            None if next.is_some() => json!({"next": next}),
            None => return,
        };
        let _ = sender.send_data(format!("{last}\n").into()).await;
    }
}

/// Coverage for a header: the numbers alone, on one line.
fn coverage_header(coverage: &Coverage) -> HeaderValue {
    let mut short = coverage.clone();
    short.sidecars.clear();
    let text = serde_json::to_string(&short).unwrap_or_default();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("{}"))
}
