//! How calls end.

mod wanted;

use std::collections::BTreeMap;

use remora_store::call::State;
use remora_store::filter::{Filter, FlatFilter, StatusFilter};
use remora_store::outcome::Refusal;
use remora_store::query::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::database::is_greeting;
use super::words::{counted, evidence, percent, subject};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};
use wanted::Wanted;

/// From this share of failures on, something is broken and not only unlucky.
const BROKEN_SHARE: f64 = 0.05;
/// So few failures are too few to call anything broken.
const FEW_FAILURES: usize = 3;

/// How calls should end.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = StatusArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// "404", "2xx", or of gRPC "OK": how every one of them ends; default that none fails
    #[schemars(with = "Option<String>")]
    #[schema(value_type = Option<String>)]
    pub expect: Option<StatusFilter>,
}

/// The arguments as they were understood.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Which calls.
    pub filter: Option<FilterInput>,
    /// How every one of them ends, in words.
    expected: String,
    /// The status of each; `None` for any that does not fail.
    status: Option<Wanted>,
}

impl Args {
    /// Reads what the types do not check.
    ///
    /// # Errors
    ///
    /// There is no such status.
    pub fn read(self) -> Result<Expectation, ApiError> {
        let filter = self.filter_of_expected()?;
        let expect = self.expect.as_ref();
        Ok(Expectation {
            expected: self.expected(),
            status: expect.map(|status| Wanted::new(status, filter)),
            filter: self.filter,
        })
    }

    fn filter_of_expected(&self) -> Result<Filter, ApiError> {
        let flat = FlatFilter {
            status: self.expect.clone(),
            ..FlatFilter::default()
        };
        Filter::from_flat(&flat).map_err(|error| {
            let message = error.message.replacen("status: ", "args.expect: ", 1);
            let refusal = ApiError::bad_request("bad_arguments", message).field("args.expect");
            match error.hint {
                Some(hint) => refusal.hint(hint),
                None => refusal,
            }
        })
    }

    fn expected(&self) -> String {
        match &self.expect {
            None => "no failure".to_owned(),
            Some(StatusFilter::Code(code)) => format!("every call ends with {code}"),
            Some(StatusFilter::Class(class)) => format!("every call ends with {}", class.trim()),
        }
    }
}

/// Whether every call in `view` ended as it should. A status is asked of those that have one; whether a statement
/// that was cancelled failed, only who cancelled it could tell.
pub fn judge(view: &View<'_>, expectation: &Expectation) -> Judgement {
    let expected = expectation.expected.clone();
    if view.is_empty() {
        return Judgement::nothing_matched(expected);
    }
    let status = expectation.status.as_ref();
    let is_meant = |call: &&Observed| status.is_none_or(|status| status.is_about(call));
    let (calls, others): (Vec<&Observed>, Vec<&Observed>) = view.calls().partition(is_meant);
    let left_out = status.filter(|_| !others.is_empty());
    let left_out = left_out.map(|status| status.left_out(others.len()));
    if let (true, Some(left_out)) = (calls.is_empty(), &left_out) {
        return Judgement {
            expected,
            actual: left_out.clone(),
            ..Judgement::inconclusive("no call that matched has such a status")
        };
    }
    let is_right = |call: &Observed| match status {
        None => !call.ending.failed(),
        Some(status) => status.is_met_by(call),
    };
    let ended = calls.iter().copied().filter(|call| has_ended(call));
    let (right, wrong): (Vec<&Observed>, Vec<&Observed>) = ended.partition(|call| is_right(call));
    let running = calls.len() - right.len() - wrong.len();
    let cancelled = right.iter().filter(|call| is_cancelled(call)).count();
    let mut actual = match wrong.len() {
        0 => format!("{}, all so", counted(calls.len(), "call")),
        n => format!(
            "{n} of {} did not: {}",
            counted(calls.len(), "call"),
            endings(&wrong)
        ),
    };
    if let Some(left_out) = left_out {
        actual = format!("{actual}; {left_out}");
    }
    let open: Vec<String> = [
        (running, "still running"),
        (cancelled, "cancelled, by a timeout or on demand"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, how)| format!("{} {how}", counted(n, "call")))
    .collect();
    let (verdict, shown) = match (wrong.is_empty(), open.is_empty()) {
        (true, true) => (Verdict::Pass, &calls),
        (true, false) => (Verdict::Inconclusive, &calls),
        (false, _) => (Verdict::Fail, &wrong),
    };
    Judgement {
        verdict,
        expected,
        actual,
        n: calls.len() as u64,
        evidence: evidence(shown.iter().map(|call| call.id())),
        why: match verdict {
            Verdict::Inconclusive => open.join(", "),
            Verdict::Pass | Verdict::Fail => String::new(),
        },
    }
}

fn has_ended(call: &Observed) -> bool {
    call.found.call.state != State::Open
}

fn is_cancelled(call: &Observed) -> bool {
    call.ending.refusal() == Some(Refusal::Cancelled)
}

/// Requests of a kind.
#[derive(Default)]
struct Group<'a> {
    total: usize,
    failed: Vec<&'a Observed>,
    /// How many of those that failed caused a call that an injected fault met.
    above: usize,
    cancelled: Vec<&'a Observed>,
}

/// Requests that fail, and statements that were cancelled, by kind.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    let traffic = view.traffic();
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for exchange in view.exchanges() {
        let Some(call) = traffic.told(exchange).filter(|call| !is_greeting(call)) else {
            continue;
        };
        let group = groups.entry(subject(call)).or_default();
        group.total += 1;
        if is_cancelled(call) {
            group.cancelled.push(call);
        }
        if call.ending.failed() {
            group.failed.push(call);
            group.above += usize::from(traffic.is_touched_below(exchange));
        }
    }
    groups
        .into_iter()
        .flat_map(|(subject, group)| [group.failing(&subject), group.cancelled(&subject)])
        .flatten()
        .collect()
}

impl Group<'_> {
    fn failing(&self, subject: &str) -> Option<Finding> {
        let (total, failed) = (self.total, self.failed.len());
        if failed == 0 {
            return None;
        }
        let share = failed as f64 / total as f64;
        let severity = match failed {
            n if n < FEW_FAILURES || n == self.above => Severity::Low,
            n if n == total => Severity::High,
            _ if share >= BROKEN_SHARE => Severity::Medium,
            _ => Severity::Low,
        };
        let above = match self.above {
            0 => String::new(),
            n => format!("; {n} of them while an injected fault met what they called"),
        };
        Some(Finding {
            kind: Kind::Status,
            code: "failing",
            severity,
            subject: subject.to_owned(),
            seen: format!(
                "{failed} of {} failed ({}): {}{above}",
                counted(total, "call"),
                percent(failed, total),
                endings(&self.failed)
            ),
            n: failed as u64,
            evidence: evidence(self.failed.iter().map(|call| call.id())),
        })
    }

    fn cancelled(&self, subject: &str) -> Option<Finding> {
        let cancelled = &self.cancelled;
        (!cancelled.is_empty()).then(|| Finding {
            kind: Kind::Status,
            code: "cancelled",
            severity: Severity::Low,
            subject: subject.to_owned(),
            seen: format!(
                "{} of {} cancelled, by a timeout or on demand: {}",
                cancelled.len(),
                counted(self.total, "call"),
                endings(cancelled)
            ),
            n: cancelled.len() as u64,
            evidence: evidence(cancelled.iter().map(|call| call.id())),
        })
    }
}

/// How calls ended, each way once, the most frequent first.
fn endings(calls: &[&Observed]) -> String {
    const SHOWN: usize = 4;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(ending(call)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = counts.len() > SHOWN;
    let shown = counts.into_iter().take(SHOWN);
    let mut text = shown
        .map(|(ending, n)| format!("{n} × {ending}"))
        .collect::<Vec<_>>()
        .join(", ");
    if more {
        text.push_str(", …");
    }
    text
}

/// How a call ended: by its status, and by what went wrong behind it.
fn ending(call: &Observed) -> String {
    match (call.outcome(), call.error()) {
        (outcome @ Outcome::Error(_), _) | (outcome, None) => outcome.to_string(),
        (outcome, Some(error)) => format!("{outcome} {error}"),
    }
}

#[cfg(test)]
mod tests;
