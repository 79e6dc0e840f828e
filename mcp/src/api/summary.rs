//! `GET /api/v1/summary`: calls that match, counted by group.

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use remora_store::grpc::status_name;
use remora_store::query::{Group, GroupKey, Outcome, Summary, SummaryQuery};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::query::{About, TIME_BUDGET, ask, filter, probes, sight};
use crate::app::App;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness, EmptyBecause, is_zero};
use crate::error::{ApiError, ErrorBody};
use crate::metrics::Asked;
use crate::params::Params;
use crate::snapshot::sight::Sight;

/// Groups in an answer if nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Most groups in an answer.
const MOST: usize = 1_000;

/// The words of `group_by`.
pub const GROUP_KEYS: &[(&str, GroupKey)] = &[
    ("edge", GroupKey::Edge),
    ("namespaces", GroupKey::Namespaces),
    ("protocol", GroupKey::Protocol),
    ("route", GroupKey::Route),
    ("status", GroupKey::Status),
    ("revision", GroupKey::Revision),
];

/// Groups of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryAnswer {
    /// The groups, the one with most calls first.
    pub groups: Vec<GroupJson>,
    /// How many groups the limit cut off.
    pub groups_omitted: u64,
    /// Always `null`: what the limit cut off is counted in `groups_omitted`.
    pub next: Option<String>,
    /// Set when the time for one question ran out: everything newer was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_until: Option<String>,
    /// How many calls were left out because the filter asks for what was not kept of them; with
    /// the whole of it they might match.
    #[serde(skip_serializing_if = "is_zero")]
    pub undecided: u64,
    /// Why there are no groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_because: Option<EmptyBecause>,
    /// What may be missing.
    pub coverage: Coverage,
}

/// Calls with the same key, counted. The leg is always part of the key: the two legs of a call are
/// never added up. What was not grouped by is left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupJson {
    /// `inbound` or `outbound`.
    pub leg: &'static str,
    /// Caller's name, or its address without the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Callee's name, or its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Caller's namespace, empty where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_namespace: Option<String>,
    /// Callee's namespace, the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst_namespace: Option<String>,
    /// `http1`, `http2`, `grpc`, `websocket`, `postgresql`, `redis`, `tls` or `opaque`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// Method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Status of the response, as in a call; `null` where there was none, and for gRPC calls that ended
    /// with a status of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>)]
    pub status: Option<Option<u16>>,
    /// Status of gRPC calls by name, such as `NOT_FOUND`; `null` for other calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub grpc_status: Option<Option<String>>,
    /// Code of the error that a database answered, such as `23505`; `null` for other calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error_code: Option<Option<String>>,
    /// Why the calls failed below their protocol, where there was no status; grouped by with the
    /// status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error: Option<Option<&'static str>>,
    /// Revision of the recording workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What they come to.
    #[serde(flatten)]
    pub totals: Totals,
}

/// What calls that were counted together come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Totals {
    /// How many calls.
    pub calls: u64,
    /// How many of them an injected fault met, as the filter `fault != ""` finds them. They are among the
    /// calls and the bytes, and not among the errors, their rate and the latencies: what they would say of
    /// a service, the fault made up.
    #[serde(skip_serializing_if = "is_zero")]
    pub injected: u64,
    /// How many of the others failed: status 500 or above, a gRPC status that stands for one, or an error
    /// below the protocol. The filter `failed && fault == ""` finds them.
    pub errors: u64,
    /// The same as a share of the calls that no fault met, 0 to 1.
    pub error_rate: f64,
    /// Median latency in milliseconds; `null` where no call has ended. Streams (WebSocket, server-sent
    /// events, gRPC with several messages one way) are left out of it: how long somebody listened is no
    /// latency.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the latency.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the latency.
    pub p99_ms: Option<f64>,
    /// Request body bytes.
    pub request_bytes: u64,
    /// Response body bytes.
    pub response_bytes: u64,
}

/// `GET /api/v1/summary`
#[utoipa::path(
    get, path = "/api/v1/summary", operation_id = "summary",
    summary = "Counts, error rates and latencies, by group",
    params(
        ("group_by" = Option<String>, Query, description = "Comma list of edge, namespaces, protocol, route, status and revision; default edge,route"),
        ("filter" = Option<String>, Query, description = "CEL over one call"),
        About,
        ("limit" = Option<usize>, Query, description = "Most groups in the answer, 1 to 1000; default 100", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = SummaryAnswer, description = "The groups"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn summary(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<SummaryAnswer>, ApiError> {
    let params = Params::parse(
        query.as_deref(),
        &[
            "group_by", "filter", "snapshot", "since", "until", "limit", "probes",
        ],
    )?;
    let Sight {
        scope,
        window,
        view,
        ..
    } = sight(&app, &caller.scope, &params).await?;
    let query = SummaryQuery {
        filter: filter(&params)?,
        since_ns: window.since_ns,
        until_ns: window.until_ns,
        group_by: params
            .words("group_by", GROUP_KEYS)?
            .unwrap_or_else(|| vec![GroupKey::Edge, GroupKey::Route]),
        probes: probes(&params)?,
        limit: params.number("limit", 1..=MOST, DEFAULT_LIMIT)?,
        view,
        time_budget: TIME_BUDGET,
    };
    let Summary {
        groups,
        groups_omitted,
        scanned_until_ns,
        examined,
        undecided,
        rest: _,
    } = ask(&app, Asked::Summary, app.store.summarize(&scope, &query)).await?;
    let coverage = Coverage::of(&app, &scope, window).await?;
    let empty_because = match groups.as_slice() {
        [] => {
            let empty = Emptiness {
                coverage: &coverage,
                window,
                examined,
                cut_short: scanned_until_ns.is_some(),
                undecided,
                filter: &query.filter,
                continued: false,
            };
            Some(EmptyBecause::of(empty))
        }
        _ => None,
    };
    Ok(Json(SummaryAnswer {
        groups: groups.into_iter().map(GroupJson::from).collect(),
        groups_omitted,
        next: None,
        scanned_until: scanned_until_ns.map(rfc3339),
        undecided,
        empty_because,
        coverage,
    }))
}

impl From<Group> for GroupJson {
    fn from(group: Group) -> Self {
        let totals = Totals::of(&group);
        let (mut status, mut grpc_status) = (None, None);
        let (mut code, mut error) = (None, None);
        match group.outcome {
            Some(Outcome::Status(ended)) => status = Some(ended),
            Some(Outcome::Grpc(ended)) => grpc_status = Some(status_name(ended).into_owned()),
            Some(Outcome::Refused(refused)) => code = Some(refused.to_string()),
            Some(Outcome::Error(why)) => error = Some(why.as_str()),
            Some(Outcome::Answered | Outcome::Nothing) | None => {}
        }
        let by_status = group.outcome.is_some();
        Self {
            leg: group.leg,
            src: group.src,
            dst: group.dst,
            src_namespace: group.src_namespace,
            dst_namespace: group.dst_namespace,
            protocol: group.protocol.map(|protocol| protocol.as_str()),
            method: group.method,
            route: group.route,
            status: by_status.then_some(status),
            grpc_status: by_status.then_some(grpc_status),
            error_code: by_status.then_some(code),
            error: by_status.then_some(error),
            revision: group.revision,
            totals,
        }
    }
}

impl Totals {
    /// Those of a group.
    pub fn of(group: &Group) -> Self {
        Self {
            calls: group.calls,
            injected: group.injected,
            errors: group.errors,
            error_rate: share(group.errors, group.untouched()),
            p50_ms: group.p50_ms.map(to_microsecond),
            p95_ms: group.p95_ms.map(to_microsecond),
            p99_ms: group.p99_ms.map(to_microsecond),
            request_bytes: group.request_bytes,
            response_bytes: group.response_bytes,
        }
    }
}

/// A share, to four places.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0
}

/// Milliseconds, to the microsecond: more would be noise.
fn to_microsecond(ms: f64) -> f64 {
    (ms * 1_000.0).round() / 1_000.0
}
