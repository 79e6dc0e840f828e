//! Requests that were sent again: how often, after which delays, and whether that helps.

pub mod attempts;
mod expected;
pub mod retry_after;
mod rhythm;
pub mod schedule;

use std::collections::BTreeMap;

use remora_store::call::{CallError, CallId};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence, span, spans, subject};
use super::{Finding, Ground, Judgement, Kind, Severity};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::View;
use attempts::{Chain, chains, delay_ns};
use expected::Expected;
use retry_after::is_ignored;
use schedule::{Schedule, Shape};

/// A constant delay of this length or more is no harm.
const LONG_DELAY_NS: f64 = 5e9;
/// So many delays tell a rule; with less it is a guess.
const SURE_OF_DELAYS: usize = 3;
/// So many retries without a delay make an outage worse.
const STORM_RETRIES: usize = 3;
/// More retries than these are many, whatever their delays.
const MANY_RETRIES: usize = 6;
/// A client that finds its connection closed asks again at once: within this, it did.
const AT_ONCE_NS: i64 = 100_000_000;

/// What is expected of retries. With none of `expect_…` that nothing is wrong with them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = RetriesArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// How often a failed request is sent again
    pub expect_retries: Option<u32>,
    /// After which delays, in ms, one for each retry
    pub expect_delays_ms: Option<Vec<f64>>,
    /// By which rule the delays grow
    pub expect_backoff: Option<Backoff>,
    /// How far a delay may be off, as a share; default 0.15
    pub tolerance: Option<f64>,
}

/// Delays that grow by a factor.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The first delay in ms
    pub base_ms: f64,
    /// How much longer each delay is than the one before
    pub factor: f64,
}

/// The arguments as they were understood.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Which calls.
    pub filter: Option<FilterInput>,
    expected: Expected,
}

impl Args {
    /// Reads what the types do not check.
    ///
    /// # Errors
    ///
    /// A number is outside its bounds, or two arguments contradict each other.
    pub fn read(self) -> Result<Expectation, ApiError> {
        Ok(Expectation {
            expected: Expected::of(&self)?,
            filter: self.filter,
        })
    }
}

/// Whether the retries of the calls in `view` are as they should be.
pub fn judge(view: &View<'_>, expectation: &Expectation, ground: &Ground) -> Judgement {
    let expected = &expectation.expected;
    if view.is_empty() {
        return Judgement::nothing_matched(expected.to_string());
    }
    let chains = chains(view);
    if chains.is_empty() {
        return Judgement {
            expected: expected.to_string(),
            actual: format!("{}, none failed", counted(view.len(), "call")),
            n: view.len() as u64,
            ..Judgement::inconclusive("no call failed, so there was nothing to try again")
        };
    }
    if expected.is_open() {
        return judge_by_findings(view, &chains);
    }
    expected.judge(&chains, ground)
}

fn judge_by_findings(view: &View<'_>, chains: &[Chain<'_>]) -> Judgement {
    let found = find_in(chains);
    let requests = counted(chains.len(), "failed request");
    let (worst, others) = match found.split_first() {
        None => {
            let retries: usize = chains.iter().map(Chain::retries).sum();
            return Judgement {
                verdict: super::Verdict::Pass,
                expected: "nothing wrong with retries".to_owned(),
                actual: format!("{requests}, {}", counted(retries, "retry")),
                n: view.len() as u64,
                evidence: evidence(chains.iter().flat_map(Chain::ids)),
                why: String::new(),
            };
        }
        Some(split) => split,
    };
    Judgement {
        verdict: super::Verdict::Fail,
        expected: "nothing wrong with retries".to_owned(),
        actual: format!("{}: {}", worst.subject, worst.seen),
        n: view.len() as u64,
        evidence: evidence(worst.evidence.iter().copied()),
        why: match others.len() {
            0 => String::new(),
            n => format!("and {} more; find_issues lists them", counted(n, "finding")),
        },
    }
}

/// What is wrong with the retries of the calls in `view`.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    find_in(&chains(view))
}

fn find_in(chains: &[Chain<'_>]) -> Vec<Finding> {
    let mut groups: BTreeMap<String, Vec<&Chain<'_>>> = BTreeMap::new();
    for chain in chains.iter().filter(|chain| chain.retries() > 0) {
        if let Some(last) = chain.attempts.last() {
            groups.entry(subject(last)).or_default().push(chain);
        }
    }
    let mut findings = Vec::new();
    for (subject, chains) in groups {
        let about = About { subject, chains };
        findings.extend(about.no_backoff());
        findings.extend(about.ignored_retry_after());
        findings.extend(about.hidden_fault());
        findings.extend(about.many());
    }
    findings.sort_by(|a, b| a.rank().cmp(&b.rank()));
    findings
}

impl Chain<'_> {
    fn ids(&self) -> impl Iterator<Item = CallId> {
        self.attempts.iter().map(|attempt| attempt.id())
    }

    fn delays(&self) -> Vec<f64> {
        self.delays_ns().map(|delay| delay as f64).collect()
    }
}

/// What was tried again of one kind of request.
struct About<'a> {
    subject: String,
    chains: Vec<&'a Chain<'a>>,
}

impl About<'_> {
    fn finding(&self, code: &'static str, severity: Severity, seen: String) -> Finding {
        Finding {
            kind: Kind::Retries,
            code,
            severity,
            subject: self.subject.clone(),
            seen,
            n: 0,
            evidence: Vec::new(),
        }
    }

    /// Delays that do not grow: whoever is down stays down.
    fn no_backoff(&self) -> Option<Finding> {
        let delays: Vec<Vec<f64>> = self.chains.iter().map(|chain| chain.delays()).collect();
        let schedule = Schedule::fit(&delays);
        let is_flat = matches!(schedule.shape, Shape::Immediate | Shape::Constant);
        if !is_flat || schedule.longest_ns() >= LONG_DELAY_NS {
            return None;
        }
        let longest = self.chains.iter().max_by_key(|chain| chain.retries())?;
        let severity = match schedule.measured {
            measured if measured < SURE_OF_DELAYS => Severity::Low,
            _ if schedule.shape == Shape::Immediate && longest.retries() >= STORM_RETRIES => {
                Severity::High
            }
            _ => Severity::Medium,
        };
        let rule = match schedule.shape {
            Shape::Immediate => "at once, without any delay".to_owned(),
            _ => format!(
                "constant (factor {:.1}), no backoff",
                schedule.factor.unwrap_or(1.0)
            ),
        };
        let retried = counted(self.chains.len(), "request");
        let seen = format!(
            "{retried} sent again, up to {} times after {}: {rule}",
            longest.retries(),
            spans(schedule.means_ns.iter().copied()),
        );
        Some(Finding {
            n: self.chains.iter().map(|chain| chain.retries() as u64).sum(),
            evidence: evidence(longest.ids()),
            ..self.finding("no_backoff", severity, seen)
        })
    }

    /// The server said when to come again, and the client came earlier.
    fn ignored_retry_after(&self) -> Option<Finding> {
        let mut ignored = Vec::new();
        for chain in &self.chains {
            for (failed, next) in chain.attempts.iter().zip(chain.attempts.iter().skip(1)) {
                if let Some(asked_ns) = is_ignored(failed, next) {
                    ignored.push((asked_ns, *failed, *next));
                }
            }
        }
        let (asked_ns, failed, next) = ignored.first().copied()?;
        let waited = delay_ns(failed, next).unwrap_or_default();
        let seen = format!(
            "{} did not wait as Retry-After asked: {} instead of {}",
            counted(ignored.len(), "retry"),
            span(waited as f64),
            span(asked_ns as f64)
        );
        Some(Finding {
            n: ignored.len() as u64,
            evidence: evidence(
                ignored
                    .iter()
                    .flat_map(|(_, failed, next)| [failed.id(), next.id()]),
            ),
            ..self.finding("retry_after_ignored", Severity::High, seen)
        })
    }

    /// Requests that came through only because a connection fault was papered over.
    fn hidden_fault(&self) -> Option<Finding> {
        let hidden: Vec<_> = self
            .chains
            .iter()
            .filter(|chain| chain.succeeded())
            .filter_map(|chain| Some((*chain, first_fault(chain)?)))
            .collect();
        let (_, fault) = hidden.first()?;
        let harmless = hidden.iter().all(|(chain, _)| is_idle_close(chain));
        let severity = match harmless {
            true => Severity::Low,
            false => Severity::Medium,
        };
        let retries: usize = hidden.iter().map(|(chain, _)| chain.retries()).sum();
        let seen = format!(
            "{} came through only after {}: the retries hide {fault}",
            counted(hidden.len(), "request"),
            counted(retries, "retry"),
        );
        Some(Finding {
            n: hidden.len() as u64,
            evidence: evidence(hidden.iter().flat_map(|(chain, _)| chain.ids())),
            ..self.finding("hides_fault", severity, seen)
        })
    }

    /// More attempts than any outage is ended by.
    fn many(&self) -> Option<Finding> {
        let many = self
            .chains
            .iter()
            .filter(|chain| chain.retries() > MANY_RETRIES);
        let longest = many.clone().max_by_key(|chain| chain.retries())?;
        let is_slow = longest.delays().iter().all(|delay| *delay >= LONG_DELAY_NS);
        let severity = match is_slow {
            true => Severity::Low,
            false => Severity::Medium,
        };
        let seen = format!(
            "sent again up to {} times; {} more than {MANY_RETRIES} times",
            longest.retries(),
            counted(many.clone().count(), "request"),
        );
        Some(Finding {
            n: many.count() as u64,
            evidence: evidence(longest.ids()),
            ..self.finding("many_retries", severity, seen)
        })
    }
}

fn first_fault(chain: &Chain<'_>) -> Option<CallError> {
    chain.attempts.iter().find_map(|attempt| attempt.error())
}

/// One retry at once, since the server had closed the connection on which the request was sent: no
/// client can rule that out (RFC 9112 section 9.3.1).
fn is_idle_close(chain: &Chain<'_>) -> bool {
    let [failed, next] = chain.attempts.as_slice() else {
        return false;
    };
    let closed = matches!(
        failed.error(),
        Some(CallError::ServerClosed | CallError::ServerReset | CallError::ServerRefused)
    );
    closed
        && !failed.is_first_on_connection()
        && delay_ns(failed, next).is_some_and(|delay| delay < AT_ONCE_NS)
}

#[cfg(test)]
mod tests;
