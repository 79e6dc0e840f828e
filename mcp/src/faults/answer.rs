//! What a caller is told of faults, in JSON.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::control::SidecarState;
use crate::control::faults::KnownFault;
use crate::tools::text::clean;

/// Most reasons of sidecars that are told.
const MOST_REASONS: usize = 5;

/// A fault that was begun.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct FaultAnswer {
    /// Its name.
    pub id: String,
    /// Namespace of the workload.
    pub namespace: String,
    /// The workload.
    pub workload: String,
    /// When it ends by itself.
    pub expires: String,
    /// Open connections on which it acts.
    pub covered: u64,
    /// Open connections that may carry such requests and on which it does not act until they end.
    pub not_covered: u64,
    /// Sidecars that have it.
    pub sidecars: u64,
    /// Sidecars that did not answer in time, and have it once they do.
    pub unanswered: u64,
    /// Sidecars of the workload that allow no faults, or do not know of any.
    pub not_allowing: u64,
    /// Why sidecars do not carry it out, each reason once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// A fault and what came of it.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
#[schema(as = Fault)]
pub struct FaultJson {
    /// Its name.
    pub id: String,
    /// Namespace of the workload.
    pub namespace: String,
    /// The workload.
    pub workload: String,
    /// `outbound`, calls that the workload makes, or `inbound`, those it is sent.
    pub leg: String,
    /// Which requests.
    pub filter: Value,
    /// What is done to them.
    pub effect: Value,
    /// Only the first so many, in each sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// Only this share of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// `active`, `spent` (`first` is used up everywhere), `expired` or `stopped`.
    pub state: &'static str,
    /// When it was begun; for one of an earlier run of the hub, when it was found.
    pub begun: String,
    /// When it ends by itself.
    pub expires: String,
    /// Calls that it met, in all sidecars.
    pub touched: u64,
    /// Open connections on which it acts.
    pub covered: u64,
    /// Open connections that may carry such requests and on which it does not act until they end.
    pub not_covered: u64,
    /// Sidecars that are connected and have it.
    pub sidecars: u64,
    /// Why sidecars do not carry it out, each reason once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// A fault that has ended.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct StoppedAnswer {
    /// Its name.
    pub stopped: String,
    /// `stopped`, or `expired` where it had ended by itself before.
    pub state: &'static str,
    /// Calls that it met, in all sidecars.
    pub touched: u64,
    /// Sidecars that have not said that it ended there; it does once they hear of it, and at `expires` at the latest.
    pub unanswered: u64,
    /// When it ended by itself, or would have.
    pub expires: String,
}

impl FaultAnswer {
    pub(super) fn of(fault: &KnownFault, sidecars: &[SidecarState]) -> Self {
        let allowing = sidecars.iter().filter(|it| it.allows_faults == Some(true));
        let answered = |it: &&SidecarState| {
            fault.seen.contains_key(&it.incarnation) || fault.refused.contains_key(&it.incarnation)
        };
        let unanswered = allowing.clone().filter(|it| !answered(it)).count();
        let live = sidecars.iter().map(|it| it.incarnation).collect();
        let (covered, not_covered) = connections(fault, &live);
        Self {
            id: fault.spec.id.clone(),
            namespace: fault.owner.0.clone(),
            workload: fault.owner.1.clone(),
            expires: rfc3339(fault.expires_ns),
            covered,
            not_covered,
            sidecars: held_by(fault, &live),
            unanswered: unanswered as u64,
            not_allowing: (sidecars.len() - allowing.count()) as u64,
            refused: reasons(fault),
        }
    }
}

impl FaultJson {
    pub(super) fn of(fault: &KnownFault, live: &HashSet<u128>) -> Self {
        let spec = &fault.spec;
        let json = |value: Result<Value, _>| value.unwrap_or_default();
        let is_over = fault.state().is_over();
        let (covered, not_covered) = match is_over {
            true => (0, 0),
            false => connections(fault, live),
        };
        Self {
            id: spec.id.clone(),
            namespace: fault.owner.0.clone(),
            workload: fault.owner.1.clone(),
            leg: spec.leg.clone(),
            filter: json(serde_json::to_value(&spec.filter)),
            effect: json(serde_json::to_value(&spec.effect)),
            first: spec.first,
            share: spec.share,
            state: fault.state().as_str(),
            begun: rfc3339(fault.begun_ns),
            expires: rfc3339(fault.expires_ns),
            touched: touched(fault),
            covered,
            not_covered,
            sidecars: held_by(fault, live),
            refused: reasons(fault),
        }
    }
}

impl StoppedAnswer {
    pub(super) fn of(fault: &KnownFault, live: &HashSet<u128>) -> Self {
        Self {
            stopped: fault.spec.id.clone(),
            state: fault.state().as_str(),
            touched: touched(fault),
            unanswered: live.iter().filter(|it| fault.acts_in(**it)).count() as u64,
            expires: rfc3339(fault.expires_ns),
        }
    }
}

fn touched(fault: &KnownFault) -> u64 {
    let each = fault.seen.values().map(|held| held.touched);
    each.fold(0, u64::saturating_add)
}

fn connections(fault: &KnownFault, live: &HashSet<u128>) -> (u64, u64) {
    let there = fault.seen.iter().filter(|(it, _)| live.contains(it));
    there.fold((0, 0), |(covered, not), (_, held)| {
        (
            u64::saturating_add(covered, held.covered),
            u64::saturating_add(not, held.not_covered),
        )
    })
}

fn held_by(fault: &KnownFault, live: &HashSet<u128>) -> u64 {
    live.iter().filter(|it| fault.acts_in(**it)).count() as u64
}

fn reasons(fault: &KnownFault) -> Vec<String> {
    let mut reasons: Vec<String> = fault.refused.values().map(|why| clean(why)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.truncate(MOST_REASONS);
    reasons
}
