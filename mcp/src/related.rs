//! What one call belongs to: its other leg, and what caused it.
//!
//! Both are looked for among the legs near it in time, of which no more are read than there is room for, and only
//! of those that the caller may see.

use remora_store::about::About;
use remora_store::call::Leg;
use remora_store::filter::{Filter, FlatFilter};
use remora_store::query::FoundCall;
use remora_store::snapshot::View;
use remora_store::store::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::around::{Stretch, read};
use crate::causality::{Cause, Causes};
use crate::error::ApiError;
use crate::join::{Exchange, Joined};

/// How far from a call its other leg is looked for: clocks are apart.
const CLOCKS_NS: i64 = 30_000_000_000; // 30 s
/// Most legs that are looked through on either side for the other one.
const MOST_ALIKE: usize = 1_000;
/// How long before a call that what caused it may have begun.
const PATIENCE_NS: i64 = 60_000_000_000; // 1 min
/// How long after a call what its pod did is looked at, to learn what it usually does.
const AFTERWARDS_NS: i64 = 5_000_000_000; // 5 s
/// Most legs of its pod that are looked at, before it and after it.
const MOST_OF_POD: usize = 1_000;
/// Longest beginning of a path by which legs are looked for.
const PATH_BYTES: usize = 256;

/// What a call belongs to.
#[derive(Debug, Default)]
pub struct Related {
    /// Its other leg.
    pub joined: Option<JoinedJson>,
    /// What caused it.
    pub parent: Option<ParentJson>,
}

/// The other leg of a call, recorded by the sidecar at its other end.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Joined)]
pub struct JoinedJson {
    /// Name of the other leg; `null` where it was not recorded, may not be seen, or cannot be told.
    pub id: Option<String>,
    /// By what they were found to be one call: `address_and_digest`, `address`, `tls_handshake` or `digest`.
    pub how: Option<&'static str>,
    /// How sure that is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Which leg is missing: `outbound`, that of the caller's sidecar, or `inbound`, that of the callee's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
    /// Legs that it could be instead, or as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<AlternativeJson>,
    /// How far the clock of the callee's sidecar is ahead of that of the caller's, as these two legs tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ns: Option<ClockJson>,
}

/// How far one clock is ahead of another; nothing is ordered inside of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClockBound)]
pub struct ClockJson {
    /// At least, in nanoseconds.
    pub low: i64,
    /// At most, in nanoseconds.
    pub high: i64,
}

/// The inbound call that an outbound one was made for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Parent)]
pub struct ParentJson {
    /// Name of the inbound leg at the same pod; `null` where there is none, or it cannot be told which.
    pub id: Option<String>,
    /// How often such an answer is right, from 0 to 1; see docs/causality.md.
    pub confidence: f64,
    /// By what it was found: `trace_headers`, `request_id`, `shared_id`, `only_one_in_flight`, `timing`; `ambiguous`
    /// where several could be, `background` where none could.
    pub how: &'static str,
    /// Others that it could be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<AlternativeJson>,
}

/// A call that may be meant as well.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Alternative)]
pub struct AlternativeJson {
    /// Its name.
    pub id: String,
    /// How likely it is, from 0 to 1.
    pub confidence: f64,
}

impl Related {
    /// Looks for what a call belongs to.
    ///
    /// # Errors
    ///
    /// The store failed, or the turn of a question did not come in time.
    pub async fn of(app: &App, scope: &Scope, found: &FoundCall) -> Result<Self, ApiError> {
        let mut legs = alike(app, scope, found).await?;
        let own = place_of(&mut legs, found);
        let joined = Joined::of(&legs);
        let exchange = joined.exchange_of(own);
        let outbound = exchange
            .and_then(|exchange| legs.get(exchange.outbound?))
            .cloned();
        let parent = match outbound {
            Some(outbound) => Some(parent(app, scope, &outbound).await?),
            None => None,
        };
        Ok(Self {
            joined: exchange.map(|exchange| JoinedJson::new(&legs, own, exchange, &joined)),
            parent,
        })
    }
}

impl JoinedJson {
    /// What is told of the other leg of `own`.
    pub fn new(legs: &[FoundCall], own: usize, exchange: &Exchange, joined: &Joined) -> Self {
        let partner = joined.partner(own);
        let id = |leg: usize| legs.get(leg).map(|found| found.id.to_string());
        let alternatives = exchange.alternatives.iter().filter_map(|alternative| {
            Some(AlternativeJson {
                id: id(alternative.leg)?,
                confidence: alternative.confidence.as_f64(),
            })
        });
        let missing = match (exchange.outbound, exchange.inbound) {
            (None, _) => Some(Leg::Outbound.as_str()),
            (_, None) => Some(Leg::Inbound.as_str()),
            _ => None,
        };
        let recorder = |leg: Option<usize>| Some(legs.get(leg?)?.origin.incarnation);
        let clock = partner.and_then(|_| {
            let (caller, callee) = (recorder(exchange.outbound)?, recorder(exchange.inbound)?);
            joined.clocks().between(caller, callee)
        });
        Self {
            id: partner.and_then(|(other, _)| id(other)),
            how: partner.map(|(_, bond)| bond.how.as_str()),
            confidence: partner.map(|(_, bond)| bond.confidence.as_f64()),
            missing,
            alternatives: alternatives.collect(),
            clock_ahead_ns: clock.map(|bound| ClockJson {
                low: bound.low_ns,
                high: bound.high_ns,
            }),
        }
    }
}

impl ParentJson {
    /// What is told of a cause.
    pub fn new(legs: &[FoundCall], cause: &Cause) -> Self {
        let id = |leg: usize| legs.get(leg).map(|found| found.id.to_string());
        let alternatives = cause.alternatives.iter().filter_map(|alternative| {
            Some(AlternativeJson {
                id: id(alternative.leg)?,
                confidence: alternative.confidence.as_f64(),
            })
        });
        Self {
            id: cause.parent.and_then(id),
            confidence: cause.confidence.as_f64(),
            how: cause.how.as_str(),
            alternatives: alternatives.collect(),
        }
    }
}

/// The legs near a call that are asked for alike: both legs of it are.
async fn alike(app: &App, scope: &Scope, found: &FoundCall) -> Result<Vec<FoundCall>, ApiError> {
    let stretch = Stretch {
        at_ns: found.call.time_ns,
        before_ns: CLOCKS_NS,
        after_ns: CLOCKS_NS,
        most_before: MOST_ALIKE,
        most_after: MOST_ALIKE,
        filter: asked_alike(found)?,
        view: View::default(),
    };
    Ok(read(app, scope, &stretch).await?.calls)
}

/// What both legs of a call have in common, as a filter: method and path, else the protocol.
fn asked_alike(found: &FoundCall) -> Result<Filter, ApiError> {
    let protocol = found.call.protocol;
    let about = About::of(&found.call);
    let path = about.path.as_ref();
    let flat = if path.starts_with('/') {
        let beginning = path.get(..path.floor_char_boundary(PATH_BYTES));
        FlatFilter {
            path_prefix: beginning.map(ToOwned::to_owned),
            ..FlatFilter::default()
        }
    } else {
        let word = match protocol.is_http() {
            true => "http",
            false => protocol.as_str(),
        };
        FlatFilter {
            r#where: Some(word.to_owned()),
            ..FlatFilter::default()
        }
    };
    Filter::from_flat(&flat).map_err(ApiError::bad_filter)
}

/// What caused an outbound leg.
async fn parent(app: &App, scope: &Scope, outbound: &FoundCall) -> Result<ParentJson, ApiError> {
    let latency_ns = outbound.call.phases.latency_ns().unwrap_or(0);
    let after_ns = i64::try_from(latency_ns).unwrap_or(i64::MAX);
    let stretch = Stretch {
        at_ns: outbound.call.time_ns,
        before_ns: PATIENCE_NS,
        after_ns: after_ns.saturating_add(AFTERWARDS_NS),
        most_before: MOST_OF_POD,
        most_after: MOST_OF_POD,
        filter: Filter::default(),
        view: View {
            workloads: [outbound.origin.workload.clone()].into(),
            before_block: None,
        },
    };
    let mut legs = read(app, scope, &stretch).await?.calls;
    legs.retain(|found| found.origin.incarnation == outbound.origin.incarnation);
    let own = place_of(&mut legs, outbound);
    let causes = Causes::of(&legs);
    let cause = causes
        .of_leg(own)
        .expect("an outbound leg has a cause, known or not");
    Ok(ParentJson::new(&legs, cause))
}

/// Where a leg is among others; it is added if it is not.
fn place_of(legs: &mut Vec<FoundCall>, own: &FoundCall) -> usize {
    let place = legs.iter().position(|found| found.id == own.id);
    place.unwrap_or_else(|| {
        legs.push(own.clone());
        legs.len() - 1
    })
}
