//! One call that causes many of a kind: a query for each row, or the same question again and again.

use std::collections::{BTreeMap, HashMap, HashSet};

use remora_store::call::{CallId, Digest};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::database::{asks_for_data, noun, only_reads};
use super::retries::attempts::has_failed;
use super::words::{counted, evidence, span, subject};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, Question, View};

/// So many calls of a kind are one for each of something.
const MANY: usize = 5;
/// So many, one after the other, are a page that gets slower with each row.
const VERY_MANY: usize = 20;
/// Most that one call may cause of a kind, if nothing is said.
const DEFAULT_MOST: u64 = 4;

/// How many calls of a kind one call may cause.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = NPlusOneArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which of the calls that are caused
    pub filter: Option<FilterInput>,
    /// Most of them with the same destination, method and route that one call may cause; default 4
    pub max_calls_per_request: Option<u64>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The most is none at all: that no call is made, `no_call` says.
    pub fn validate(&self) -> Result<(), ApiError> {
        if self.max_calls_per_request != Some(0) {
            return Ok(());
        }
        let message = "args.max_calls_per_request: 0 calls";
        let error =
            ApiError::bad_request("bad_arguments", message).field("args.max_calls_per_request");
        Err(error.hint("1 or more; that there is none at all, no_call says"))
    }

    fn most(&self) -> usize {
        usize::try_from(self.max_calls_per_request.unwrap_or(DEFAULT_MOST)).unwrap_or(usize::MAX)
    }
}

/// Calls of a kind that one call caused.
struct Group<'a> {
    parent: &'a Observed,
    children: Vec<&'a Observed>,
    /// How many of them ask something different.
    distinct: usize,
    /// How often the same was asked, at most.
    most_of_the_same: usize,
}

impl<'a> Group<'a> {
    fn new(parent: &'a Observed, children: Vec<&'a Observed>) -> Self {
        let asked: HashSet<Question<'_>> = children.iter().map(|call| call.question()).collect();
        let mut again: HashMap<(Question<'_>, Digest), usize> = HashMap::new();
        for call in &children {
            if let Some(answer) = answer(call) {
                *again.entry((call.question(), answer)).or_default() += 1;
            }
        }
        Self {
            distinct: asked.len(),
            most_of_the_same: again.into_values().max().unwrap_or_default(),
            parent,
            children,
        }
    }

    /// Whether each but a few of the calls began when the one before it was over.
    fn is_serial(&self) -> bool {
        let pairs = self.children.iter().zip(self.children.iter().skip(1));
        let after = pairs
            .filter(|(one, next)| one.ended_ns().is_some_and(|ended| ended <= next.began_ns()));
        after.count() * 10 >= (self.children.len().saturating_sub(1)) * 8
    }

    /// What the calls took together beside the longest of them: what one call for all would save.
    fn wasted_ns(&self) -> u64 {
        let took = self
            .children
            .iter()
            .filter_map(|call| call.found.call.phases.latency_ns());
        let longest = took.clone().max().unwrap_or_default();
        match self.is_serial() {
            true => took
                .fold(0_u64, u64::saturating_add)
                .saturating_sub(longest),
            false => 0,
        }
    }

    /// The call, and what it caused first.
    fn ids(&self) -> Vec<CallId> {
        let children = self.children.iter().map(|call| call.id());
        evidence(std::iter::once(self.parent.id()).chain(children))
    }

    fn describe(&self) -> String {
        let how = match self.is_serial() {
            true => "one after the other",
            false => "at the same time",
        };
        let wasted = match self.wasted_ns() {
            0 => String::new(),
            wasted => format!(", {} of it waiting", span(wasted as f64)),
        };
        format!(
            "one call caused {}, {} of them different, {how}{wasted}",
            counted(self.children.len(), noun(&self.children)),
            self.distinct
        )
    }
}

/// What a call was told, where it is known what it asked: one that is told something else was not asked in vain,
/// such as whether a job is done, for the next number of a sequence, or again behind a change. Of HTTP the address
/// says enough of what was asked.
fn answer(call: &Observed) -> Option<Digest> {
    let recorded = &call.found.call;
    let is_asked = recorded.protocol.is_http() || recorded.request.body_digest.is_some();
    recorded.response.body_digest.filter(|_| is_asked)
}

/// The calls in `view` that were surely caused, by what caused them and by kind; without attempts after a
/// failure, which `retries` judges.
fn groups<'a>(view: &View<'a>) -> Vec<Group<'a>> {
    let traffic = view.traffic();
    // What is shown of a route may be less than what tells it from another.
    let mut groups: BTreeMap<(usize, String, &str), (&'a Observed, Vec<&'a Observed>)> =
        BTreeMap::new();
    for leg in view.exchanges().filter_map(|exchange| exchange.outbound) {
        let (Some(parent), Some(call)) = (traffic.cause(leg), traffic.leg(leg)) else {
            continue;
        };
        if !counts(call) {
            continue;
        }
        let Some(cause) = traffic.teller(parent) else {
            continue;
        };
        let group = groups.entry((parent, subject(call), call.route.as_str()));
        group.or_insert((cause, Vec::new())).1.push(call);
    }
    let groups = groups.into_values();
    groups
        .map(|(parent, children)| Group::new(parent, children))
        .collect()
}

/// Whether a call is one of those that are counted.
fn counts(call: &Observed) -> bool {
    asks_for_data(call) && !call.found.call.is_stream() && !has_failed(call)
}

/// Whether one call causes as few of the calls in `view` as it should.
pub fn judge(view: &View<'_>, args: &Args) -> Judgement {
    let expected = format!(
        "at most {} of a kind for each call",
        counted(args.most(), "call")
    );
    let groups = groups(view);
    let Some(worst) = groups.iter().max_by_key(|group| group.children.len()) else {
        let why = match view.is_empty() {
            true => return Judgement::nothing_matched(expected),
            false => {
                "none of the calls can be told to be caused by another one: is the caller's sidecar there, on both of its sides?"
            }
        };
        return Judgement {
            expected,
            actual: format!(
                "{}, of none the cause is known",
                counted(view.len(), "call")
            ),
            ..Judgement::inconclusive(why)
        };
    };
    let traffic = view.traffic();
    let legs = view.exchanges().filter_map(|exchange| exchange.outbound);
    let unsure = legs
        .filter(|leg| traffic.is_unsure(*leg) && traffic.leg(*leg).is_some_and(counts))
        .count();
    // Whatever caused them, they may all belong to the worst.
    let may_be_over = worst.children.len() + unsure > args.most();
    let over = groups
        .iter()
        .filter(|group| group.children.len() > args.most())
        .count();
    let parents = counted(groups.len(), "call");
    Judgement {
        verdict: match (over, may_be_over) {
            (0, false) => Verdict::Pass,
            (0, true) => Verdict::Inconclusive,
            _ => Verdict::Fail,
        },
        expected,
        actual: format!(
            "{over} of {parents} caused more; at worst {}",
            worst.describe()
        ),
        n: groups.len() as u64,
        evidence: worst.ids(),
        why: match (over, may_be_over) {
            (0, true) => format!(
                "of {} it is not sure what caused them",
                counted(unsure, "call")
            ),
            _ => String::new(),
        },
    }
}

/// Calls that cause one call for each of something, and calls that ask the same again.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    let mut kinds: BTreeMap<String, Vec<Group<'_>>> = BTreeMap::new();
    for group in groups(view) {
        let Some(first) = group.children.first() else {
            continue;
        };
        let kind = format!("{} causes {}", subject(group.parent), subject(first));
        kinds.entry(kind).or_default().push(group);
    }
    let mut findings = Vec::new();
    for (subject, groups) in kinds {
        findings.extend(one_for_each(&subject, &groups));
        findings.extend(the_same_again(&subject, &groups));
    }
    findings
}

fn one_for_each(subject: &str, groups: &[Group<'_>]) -> Option<Finding> {
    let many = groups.iter().filter(|group| group.distinct >= MANY);
    let worst = many.clone().max_by_key(|group| group.distinct)?;
    let severity = match (worst.distinct, worst.is_serial()) {
        (n, true) if n >= VERY_MANY => Severity::High,
        (n, false) if n < VERY_MANY => Severity::Low,
        _ => Severity::Medium,
    };
    Some(Finding {
        kind: Kind::NPlusOne,
        code: "one_call_for_each",
        severity,
        subject: subject.to_owned(),
        seen: format!(
            "{}; so do {} of {}",
            worst.describe(),
            many.clone().count(),
            counted(groups.len(), "call")
        ),
        n: many.map(|group| group.children.len() as u64).sum(),
        evidence: worst.ids(),
    })
}

fn the_same_again(subject: &str, groups: &[Group<'_>]) -> Option<Finding> {
    let repeats = groups.iter().filter(|group| {
        group.children.first().is_some_and(|call| only_reads(call)) && group.most_of_the_same > 1
    });
    let worst = repeats.clone().max_by_key(|group| group.most_of_the_same)?;
    let most = worst.most_of_the_same;
    Some(Finding {
        kind: Kind::NPlusOne,
        code: "same_call_again",
        severity: match most {
            2 => Severity::Low,
            _ => Severity::Medium,
        },
        subject: subject.to_owned(),
        seen: format!(
            "one call asked the same {most} times, though the first answer was good; so do {} of {}",
            repeats.clone().count(),
            counted(groups.len(), "call")
        ),
        n: repeats.map(|group| group.most_of_the_same as u64 - 1).sum(),
        evidence: worst.ids(),
    })
}

#[cfg(test)]
mod tests;
