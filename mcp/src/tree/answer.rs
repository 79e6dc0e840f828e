//! A tree as it is told: read from the store around its root, and put into JSON.

use remora_store::about::About;
use remora_store::call::CallId;
use remora_store::filter::Filter;
use remora_store::head::response_status;
use remora_store::names::Party;
use remora_store::query::FoundCall;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Branch, Limits, Tree};
use crate::api::query::ask;
use crate::app::App;
use crate::around::{Stretch, read};
use crate::call_json::{FaultMarkJson, PartyJson, milliseconds};
use crate::causality::Causes;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::join::Joined;
use crate::metrics::Asked;
use crate::related::{JoinedJson, ParentJson};
use crate::snapshot::sight::Sight;

/// How long before the root what its pods do is looked at, to learn what they usually do.
const BEFORE_NS: i64 = 10_000_000_000; // 10 s
/// How long after its end what it caused is looked for: clocks are apart, and some things are done afterwards.
const AFTERWARDS_NS: i64 = 5_000_000_000; // 5 s
/// Most legs before the root.
const MOST_BEFORE: usize = 4_000;
/// Most legs after its beginning.
const MOST_AFTER: usize = 16_000;

/// The legs around a root, joined, with their causes.
pub struct Rooted {
    root: usize,
    legs: Vec<FoundCall>,
    joined: Joined,
    causes: Causes,
    is_cut: bool,
}

/// A call and what it caused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tree)]
pub struct TreeJson {
    /// The call that was asked about, and behind each call those that it caused, in the order in which they began.
    pub calls: Vec<BranchJson>,
    /// Calls that one of these may have caused, or another call; they are not shown.
    pub unsure: usize,
    /// Why there may be more than is shown: `depth`, `calls`, or `legs` where there was too much traffic around
    /// the call to look at all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<&'static str>,
    /// How many legs were looked at.
    pub legs: usize,
}

/// One call of a tree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Branch)]
pub struct BranchJson {
    /// Name of the call: of the leg that the caller's sidecar recorded, else of the callee's.
    #[schema(example = "c12-7")]
    pub id: String,
    /// How many calls it lies below the one that was asked about.
    pub depth: usize,
    /// When its first byte was seen: RFC 3339 in UTC.
    pub time: String,
    /// `http1`, `http2`, `grpc`, `websocket`, `postgresql`, `redis`, `tls` or `opaque`.
    pub protocol: &'static str,
    /// Who called.
    pub src: PartyJson,
    /// Who was called.
    pub dst: PartyJson,
    /// Request method.
    pub method: Option<String>,
    /// The path with its variable segments written `{id}`.
    pub route: Option<String>,
    /// Status of the response.
    pub status: Option<u16>,
    /// Why the call failed below its protocol.
    pub error: Option<&'static str>,
    /// The injected fault that met the call: what it explains says nothing of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultMarkJson>,
    /// From the first byte of the request that caused it to its own, in milliseconds.
    pub gap_ms: Option<f64>,
    /// From the first byte of the request to the last of the response, in milliseconds.
    pub latency_ms: Option<f64>,
    /// How much of that passed outside of the callee's pod, where both legs were recorded.
    pub network_ms: Option<f64>,
    /// Its other leg.
    pub joined: JoinedJson,
    /// What caused it.
    pub parent: Option<ParentJson>,
}

impl Rooted {
    /// Reads what a caller sees around a call.
    ///
    /// # Errors
    ///
    /// There is no such call in sight, or the store failed.
    pub async fn read(app: &App, sight: &Sight, id: CallId) -> Result<Self, ApiError> {
        let found = ask(app, Asked::Get, app.store.get(&sight.scope, id)).await?;
        let found = found.filter(|found| is_in_sight(sight, found));
        let Some(root) = found else {
            let error = ApiError::not_found("no_such_call", format!("there is no call {id}"));
            return Err(error.field("id").hint(
                "it was never recorded here, is older than what the hub keeps, or is not part of the snapshot",
            ));
        };
        let latency_ns = root.call.phases.latency_ns().unwrap_or(0);
        let latency_ns = i64::try_from(latency_ns).unwrap_or(i64::MAX);
        let stretch = Stretch {
            at_ns: root.call.time_ns,
            before_ns: BEFORE_NS,
            after_ns: latency_ns.saturating_add(AFTERWARDS_NS),
            most_before: MOST_BEFORE,
            most_after: MOST_AFTER,
            filter: Filter::default(),
            view: sight.view.clone(),
        };
        let around = read(app, &sight.scope, &stretch).await?;
        let mut legs = around.calls;
        legs.retain(|found| is_in_sight(sight, found) && found.id != root.id);
        legs.push(root);
        Ok(Self {
            root: legs.len() - 1,
            joined: Joined::of(&legs),
            causes: Causes::of(&legs),
            legs,
            is_cut: around.is_cut,
        })
    }

    /// The tree below the root.
    pub fn tree(&self, limits: Limits) -> Tree<'_> {
        Tree::below(&self.legs, &self.joined, &self.causes, self.root, limits)
    }

    /// The leg that tells of a call: that of the caller's sidecar, else that of the callee's.
    pub fn told(&self, branch: &Branch<'_>) -> Option<&FoundCall> {
        self.legs.get(told(branch)?)
    }

    /// Who was called: the callee's sidecar knows itself, the caller's often knows but a service's address.
    pub fn callee(&self, branch: &Branch<'_>) -> Option<&Party> {
        let leg = branch.exchange.inbound.or(branch.exchange.outbound)?;
        self.legs.get(leg).map(|found| &found.dst)
    }

    /// Every leg that was looked at.
    pub fn legs(&self) -> &[FoundCall] {
        &self.legs
    }

    /// Whether there was more around the root than could be looked at.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// When the first leg that was looked at began: nanoseconds since the Unix epoch.
    pub fn since_ns(&self) -> i64 {
        let began = self.legs.iter().map(|found| found.call.time_ns);
        began.min().unwrap_or(0)
    }

    /// The moment after the last one began.
    pub fn until_ns(&self) -> i64 {
        let began = self.legs.iter().map(|found| found.call.time_ns);
        began.max().unwrap_or(0).saturating_add(1)
    }

    /// The tree in JSON.
    pub fn json(&self, limits: Limits) -> TreeJson {
        let tree = self.tree(limits);
        let cuts = [
            (tree.is_cut_in_depth, "depth"),
            (tree.is_cut_in_calls, "calls"),
            (self.is_cut, "legs"),
        ];
        TreeJson {
            calls: tree
                .branches
                .iter()
                .filter_map(|branch| self.branch(branch))
                .collect(),
            unsure: tree.unsure,
            cut: cuts
                .into_iter()
                .filter_map(|(cut, why)| cut.then_some(why))
                .collect(),
            legs: self.legs.len(),
        }
    }

    fn branch(&self, branch: &Branch<'_>) -> Option<BranchJson> {
        let own = told(branch)?;
        let found = self.legs.get(own)?;
        let call = &found.call;
        let about = About::of(call);
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let joined = JoinedJson::new(&self.legs, own, branch.exchange, &self.joined);
        Some(BranchJson {
            id: found.id.to_string(),
            depth: branch.depth,
            time: rfc3339(call.time_ns),
            protocol: call.protocol.as_str(),
            src: PartyJson::new(&found.src),
            dst: PartyJson::new(self.callee(branch)?),
            method: known(&about.method),
            route: known(&about.route()),
            status: response_status(&call.response.head),
            error: call.error.map(|error| error.as_str()),
            fault: call.fault.as_ref().map(FaultMarkJson::new),
            gap_ms: branch.gap_ns.map(milliseconds),
            latency_ms: call.phases.latency_ns().map(milliseconds),
            network_ms: self.network_ns(branch).map(milliseconds),
            joined,
            parent: branch.cause.map(|cause| ParentJson::new(&self.legs, cause)),
        })
    }

    /// How much longer a call took for the caller than for the callee: each by its own clock, so that it does
    /// not matter how far these are apart.
    fn network_ns(&self, branch: &Branch<'_>) -> Option<u64> {
        let latency = |leg: Option<usize>| self.legs.get(leg?)?.call.phases.latency_ns();
        let (outer, inner) = (
            latency(branch.exchange.outbound)?,
            latency(branch.exchange.inbound)?,
        );
        outer.checked_sub(inner)
    }
}

fn told(branch: &Branch<'_>) -> Option<usize> {
    branch.exchange.outbound.or(branch.exchange.inbound)
}

fn is_in_sight(sight: &Sight, found: &FoundCall) -> bool {
    let began = found.call.time_ns;
    let before_block = sight.view.before_block;
    sight.view.sees(&found.origin.workload)
        && before_block.is_none_or(|before| found.id.block < before)
        && sight.window.since_ns.is_none_or(|since| since <= began)
        && sight.window.until_ns.is_none_or(|until| began < until)
}
