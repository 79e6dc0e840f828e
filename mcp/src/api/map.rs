//! `GET /api/v1/map`: who calls whom: workloads, and the edges between them.
//!
//! Counted as a summary is, so the two legs of an edge stand side by side and are never added up.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use remora_store::query::{Group, GroupKey, Summary, SummaryQuery};
use remora_store::store::Recorder;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::query::{About, TIME_BUDGET, ask, filter, probes, sight};
use crate::api::summary::Totals;
use crate::app::App;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::coverage::{Coverage, Emptiness, EmptyBecause, Window, is_zero};
use crate::error::{ApiError, ErrorBody};
use crate::metrics::Asked;
use crate::params::Params;
use crate::snapshot::sight::Sight;

/// Most edges in an answer, and how many there are if nothing is said.
const MOST_EDGES: usize = 1_000;
/// Most workloads without an edge in an answer.
const MOST_LONE_NODES: usize = 1_000;

/// Who calls whom.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapAnswer {
    /// Both ends of the edges, and without a filter also the workloads that were recorded and neither
    /// called nor were called; by `id`.
    pub nodes: Vec<NodeJson>,
    /// How many workloads without an edge were left out.
    pub nodes_omitted: u64,
    /// The edges, the one with most calls first.
    pub edges: Vec<EdgeJson>,
    /// How many edges the limit cut off; their ends are not among the nodes.
    pub edges_omitted: u64,
    /// Set when the time for one question ran out: everything newer was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_until: Option<String>,
    /// How many calls were left out because the filter asks for what was not kept of them; with
    /// the whole of it they might match.
    #[serde(skip_serializing_if = "is_zero")]
    pub undecided: u64,
    /// Why there are no edges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_because: Option<EmptyBecause>,
    /// What may be missing.
    pub coverage: Coverage,
}

/// One end of edges.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeJson {
    /// What edges call it: `namespace/name`, or the name alone where no namespace is known.
    #[schema(example = "shop/orders")]
    pub id: String,
    /// Its workload, service or pod, whichever of them is known first, else its address.
    pub name: String,
    /// Its namespace; empty where it is not known.
    pub namespace: String,
    /// Whether a sidecar beside it recorded calls in the time asked for. Where not, it was only seen
    /// as the other end of somebody else's calls.
    pub recorded: bool,
    /// The revisions of it that were recorded.
    pub revisions: BTreeSet<String>,
}

/// Calls of one caller to one callee, over one protocol, as the sidecars on one side saw them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Edge)]
pub struct EdgeJson {
    /// `outbound` if the caller's sidecars recorded them, `inbound` if the callee's did. Where both
    /// did, both edges are there and tell of the same calls: do not add them up.
    pub leg: &'static str,
    /// Id of the caller's node.
    pub src: String,
    /// Id of the callee's node.
    pub dst: String,
    /// `http1`, `http2`, `grpc`, `websocket`, `postgresql`, `redis`, `tls` or `opaque`.
    pub protocol: &'static str,
    /// What they come to.
    #[serde(flatten)]
    pub totals: Totals,
}

/// `GET /api/v1/map`
#[utoipa::path(
    get, path = "/api/v1/map", operation_id = "map",
    summary = "Who calls whom, how often, how well and how fast",
    params(
        ("filter" = Option<String>, Query, description = "CEL over one call"),
        About,
        ("limit" = Option<usize>, Query, description = "Most edges in the answer, 1 to 1000; default 1000", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = MapAnswer, description = "Workloads and edges"),
        (status = 400, body = ErrorBody, description = "The question is wrong; the error names the field"),
        (status = 503, body = ErrorBody, description = "Too many questions at a time, or the store failed"),
    )
)]
pub async fn map(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<MapAnswer>, ApiError> {
    let known = &["filter", "snapshot", "since", "until", "limit", "probes"];
    let params = Params::parse(query.as_deref(), known)?;
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
        group_by: vec![GroupKey::Edge, GroupKey::Namespaces, GroupKey::Protocol],
        probes: probes(&params)?,
        limit: params.number("limit", 1..=MOST_EDGES, MOST_EDGES)?,
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
    let empty_because = groups.is_empty().then(|| {
        EmptyBecause::of(Emptiness {
            coverage: &coverage,
            window,
            examined,
            cut_short: scanned_until_ns.is_some(),
            undecided,
            filter: &query.filter,
            continued: false,
        })
    });
    let mut nodes = Nodes::default();
    let edges = groups.into_iter().map(|group| nodes.edge(group)).collect();
    let recorders = app.store.recorders(&scope).await?;
    let lone = match params.text("filter") {
        None => MOST_LONE_NODES,
        Some(_) => 0,
    };
    nodes.add_recorders(&recorders, window, lone);
    let nodes_omitted = match lone {
        0 => 0,
        _ => nodes.omitted.len() as u64,
    };
    Ok(Json(MapAnswer {
        nodes: nodes.by_id.into_values().collect(),
        nodes_omitted,
        edges,
        edges_omitted: groups_omitted,
        scanned_until: scanned_until_ns.map(rfc3339),
        undecided,
        empty_because,
        coverage,
    }))
}

/// The nodes of a map while it is drawn.
#[derive(Debug, Default)]
struct Nodes {
    by_id: BTreeMap<String, NodeJson>,
    omitted: BTreeSet<String>,
}

impl Nodes {
    fn edge(&mut self, group: Group) -> EdgeJson {
        let totals = Totals::of(&group);
        EdgeJson {
            leg: group.leg,
            src: self.end(group.src, group.src_namespace),
            dst: self.end(group.dst, group.dst_namespace),
            protocol: group.protocol.map_or("", |protocol| protocol.as_str()),
            totals,
        }
    }

    /// The id of an end, which is a node from now on.
    fn end(&mut self, name: Option<String>, namespace: Option<String>) -> String {
        let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        let id = id_of(&name, &namespace);
        self.by_id.entry(id.clone()).or_insert_with(|| NodeJson {
            id: id.clone(),
            name,
            namespace,
            ..NodeJson::default()
        });
        id
    }

    /// Marks who recorded something in the time; of those without an edge, `lone` become nodes.
    fn add_recorders(&mut self, recorders: &[Recorder], window: Window, lone: usize) {
        let most = self.by_id.len() + lone;
        let in_time = recorders
            .iter()
            .filter(|recorder| window.touches(recorder.first_ns, recorder.last_ns));
        for Recorder { origin, .. } in in_time {
            let id = id_of(&origin.workload, &origin.namespace);
            if !self.by_id.contains_key(&id) {
                if self.by_id.len() == most {
                    self.omitted.insert(id);
                    continue;
                }
                self.end(
                    Some(origin.workload.clone()),
                    Some(origin.namespace.clone()),
                );
            }
            if let Some(node) = self.by_id.get_mut(&id) {
                node.recorded = true;
                if !origin.revision.is_empty() {
                    node.revisions.insert(origin.revision.clone());
                }
            }
        }
    }
}

fn id_of(name: &str, namespace: &str) -> String {
    match namespace {
        "" => name.to_owned(),
        _ => format!("{namespace}/{name}"),
    }
}
