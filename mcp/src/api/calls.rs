//! `GET /api/v1/calls`: calls that match, a page at a time, as one JSON document or piece by piece.
//!
//! Bodies make calls large, so they are read from the store in small pages whatever was asked for:
//! a JSON page ends early when it has grown too large, and the other formats ([`stream`]) are sent as
//! they are read.

mod stream;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use remora_store::query::{Cursor, FoundCall, Order, Page, Query};
use remora_store::store::Scope;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::query::{About, TIME_BUDGET, ask, filter, probes, read_cursor, sight};
use crate::app::App;
use crate::auth::Caller;
use crate::call_json::CallJson;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness, EmptyBecause, Window, is_zero};
use crate::error::{ApiError, ErrorBody};
use crate::fields::Fields;
use crate::metrics::Asked;
use crate::params::Params;
use crate::snapshot::sight::Sight;
use stream::Written;

/// Calls on a page if nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Most calls on a page.
const MOST: usize = 1_000;
/// Calls that are read from the store at a time, when their bodies are read too.
const READ_WITH_BODIES: usize = 50;
/// A JSON page ends early once it has so many bytes.
const PAGE_BYTES: usize = 8 * 1024 * 1024; // 8 MiB

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
    /// How many calls were left out because the filter asks for what was not kept of them, or is
    /// withheld from you; with the whole of it they might match.
    #[serde(skip_serializing_if = "is_zero")]
    pub undecided: u64,
    /// Why there are no calls in this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_because: Option<EmptyBecause>,
    /// What may be missing.
    pub coverage: Coverage,
}

const PARAMETERS: &[&str] = &[
    "filter", "snapshot", "since", "until", "order", "limit", "cursor", "fields", "format",
    "probes",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
    Tsv,
    Har,
}

const FORMATS: &[(&str, Format)] = &[
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("tsv", Format::Tsv),
    ("har", Format::Har),
];

/// `GET /api/v1/calls`
#[utoipa::path(
    get, path = "/api/v1/calls", operation_id = "calls",
    summary = "Calls that match, a page at a time",
    params(
        ("filter" = Option<String>, Query, description = "CEL over one call, such as status >= 500 && dst.workload == \"orders\""),
        About,
        ("order" = Option<String>, Query, description = "newest (default) or oldest first"),
        ("limit" = Option<usize>, Query, description = "Most calls in the answer, 1 to 1000; default 100", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The next of the answer before"),
        ("fields" = Option<String>, Query, description = "Comma list of the parts to show, such as id,request.headers; leave bodies out where they are not needed; a call then has no other parts; the columns of tsv"),
        ("format" = Option<String>, Query, description = "json (default); ndjson: a call a line, and in the end a line with next if there is more, or with empty_because if there was nothing; tsv: a line of names, a call a line with \\t, \\n, \\r and \\\\ escaped, and such a last line behind #; har: a HAR 1.2 archive of the HTTP calls, with next in log._remora. Coverage is in the header remora-coverage"),
    ),
    responses(
        (status = 200, description = "The calls", content((CallsAnswer = "application/json"), (CallJson = "application/x-ndjson"), (String = "text/tab-separated-values"))),
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
    let format = params.word("format", FORMATS, Format::Json)?;
    let fields = fields(&params, format)?.read_by(&app.descriptors.now());
    let Sight {
        scope,
        window,
        view,
        ..
    } = sight(&app, &caller.scope, &params).await?;
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
        view,
        time_budget: TIME_BUDGET,
    };
    let coverage = Coverage::of(&app, &scope, window).await?;
    let reader = Reader::new(app, scope, query);
    let written = match format {
        Format::Json => {
            let document = reader.document(&fields, coverage, window).await;
            return document.map(IntoResponse::into_response);
        }
        Format::Ndjson => Written::ndjson(fields),
        Format::Tsv => Written::tsv(fields),
        Format::Har => Written::har(),
    };
    stream::respond(reader, written, coverage, window).await
}

/// Reads `fields`, as far as the format has any.
fn fields(params: &Params, format: Format) -> Result<Fields, ApiError> {
    match (format, params.text("fields")) {
        (Format::Tsv, None) => Fields::parse(Some(stream::TSV_FIELDS)),
        (Format::Har, Some(_)) => Err(ApiError::bad_request(
            "bad_parameter",
            "fields goes with the other formats; an archive has whole calls",
        )
        .field("fields")
        .hint("leave fields out, or ask for format=json, ndjson or tsv")),
        (_, list) => Fields::parse(list),
    }
}

/// Reads an answer from the store, piece by piece.
struct Reader {
    app: App,
    scope: Scope,
    query: Query,
    continued: bool,
    left: usize,
    examined: u64,
    undecided: u64,
    scanned_until_ns: Option<i64>,
    done: bool,
}

impl Reader {
    fn new(app: App, scope: Scope, query: Query) -> Self {
        Self {
            app,
            scope,
            continued: query.cursor.is_some(),
            left: query.limit,
            query,
            examined: 0,
            undecided: 0,
            scanned_until_ns: None,
            done: false,
        }
    }

    /// The next calls; none at the end.
    async fn read(&mut self) -> Result<Vec<FoundCall>, ApiError> {
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
            undecided,
        } = ask(
            &self.app,
            Asked::List,
            self.app.store.list(&self.scope, &self.query),
        )
        .await?;
        self.left = self.left.saturating_sub(calls.len());
        self.examined += examined;
        self.undecided += undecided;
        self.scanned_until_ns = scanned_until_ns;
        self.done = next.is_none() || scanned_until_ns.is_some();
        self.query.cursor = next;
        Ok(calls)
    }

    async fn document(
        mut self,
        fields: &Fields,
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
            for found in piece {
                let call = fields.select(&found);
                size += call.to_string().len();
                calls.push(call);
                if size > PAGE_BYTES {
                    cut_at = Some(Cursor {
                        time_ns: found.call.time_ns,
                        id: found.id,
                    });
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
            undecided: self.undecided,
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
            undecided: self.undecided,
            filter: &self.query.filter,
            continued: self.continued,
        };
        Some(EmptyBecause::of(empty))
    }
}
