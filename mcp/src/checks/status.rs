//! How calls end.

use std::collections::BTreeMap;

use remora_store::call::State;
use remora_store::filter::{Filter, FlatFilter, StatusFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::database::is_greeting;
use super::words::{counted, evidence, percent, subject};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};

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
    /// What each of them matches; `None` for any that does not fail.
    ends_so: Option<Filter>,
}

impl Args {
    /// Reads what the types do not check.
    ///
    /// # Errors
    ///
    /// There is no such status.
    pub fn read(self) -> Result<Expectation, ApiError> {
        let ends_so = self.filter_of_expected()?;
        Ok(Expectation {
            expected: self.expected(),
            ends_so: self.expect.is_some().then_some(ends_so),
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

/// Whether every call in `view` ended as it should.
pub fn judge(view: &View<'_>, expectation: &Expectation) -> Judgement {
    let expected = expectation.expected.clone();
    if view.is_empty() {
        return Judgement::nothing_matched(expected);
    }
    let is_right = |call: &&Observed| match &expectation.ends_so {
        None => !call.ending.failed(),
        Some(filter) => filter.matches(&call.found).unwrap_or(false),
    };
    let has_ended = |call: &&Observed| call.found.call.state != State::Open;
    let ended = || view.calls().filter(has_ended);
    let wrong: Vec<&Observed> = ended().filter(|call| !is_right(call)).collect();
    let running = view.len() - ended().count();
    let verdict = match (wrong.is_empty(), running) {
        (true, 0) => Verdict::Pass,
        (true, _) => Verdict::Inconclusive,
        (false, _) => Verdict::Fail,
    };
    let shown = match wrong.is_empty() {
        true => evidence(view.calls().map(Observed::id)),
        false => evidence(wrong.iter().map(|call| call.id())),
    };
    Judgement {
        verdict,
        expected,
        actual: match wrong.len() {
            0 => format!("{}, all so", counted(view.len(), "call")),
            n => format!(
                "{n} of {} did not: {}",
                counted(view.len(), "call"),
                endings(&wrong)
            ),
        },
        n: view.len() as u64,
        evidence: shown,
        why: match (wrong.is_empty(), running) {
            (true, 1..) => format!("{} still running", counted(running, "call")),
            _ => String::new(),
        },
    }
}

/// Requests of a kind.
#[derive(Default)]
struct Group<'a> {
    total: usize,
    failed: Vec<&'a Observed>,
    /// How many of those that failed caused a call that an injected fault met.
    above: usize,
}

/// Requests that fail, by kind.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    let traffic = view.traffic();
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for exchange in view.exchanges() {
        let Some(call) = traffic.told(exchange).filter(|call| !is_greeting(call)) else {
            continue;
        };
        let group = groups.entry(subject(call)).or_default();
        group.total += 1;
        if call.ending.failed() {
            group.failed.push(call);
            group.above += usize::from(traffic.is_touched_below(exchange));
        }
    }
    groups
        .into_iter()
        .filter(|(_, group)| !group.failed.is_empty())
        .map(|(subject, group)| group.finding(subject))
        .collect()
}

impl Group<'_> {
    fn finding(&self, subject: String) -> Finding {
        let (total, failed) = (self.total, self.failed.len());
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
        Finding {
            kind: Kind::Status,
            code: "failing",
            severity,
            subject,
            seen: format!(
                "{failed} of {} failed ({}): {}{above}",
                counted(total, "call"),
                percent(failed, total),
                endings(&self.failed)
            ),
            n: failed as u64,
            evidence: evidence(self.failed.iter().map(|call| call.id())),
        }
    }
}

/// How calls ended, each way once, the most frequent first.
fn endings(calls: &[&Observed]) -> String {
    const SHOWN: usize = 4;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(call.outcome().to_string()).or_default() += 1;
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

#[cfg(test)]
mod tests {
    use remora_store::call::{Call, Detail, ErrorCode};
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{findings, firm, judge, refused_field};
    use super::*;
    use crate::traffic::testing::{command, get, refused};

    fn ending(statuses: &[u16]) -> Vec<crate::traffic::testing::Told> {
        let calls = (0..).zip(statuses);
        calls
            .map(|(at_ms, status)| get(at_ms, "/pay", *status))
            .collect()
    }

    #[test_case("CLIENT SETINFO", &[]; "an older server does not know what a newer client says of itself")]
    #[test_case("HGETALL", &[("failing", "high")]; "a question")]
    fn commands_that_redis_refuses(command_name: &str, expected: &[(&str, &str)]) {
        let refuse = |call: &mut Call| {
            if let Detail::Redis(redis) = &mut call.detail {
                redis.error = ErrorCode::read(b"ERR");
            }
        };
        let told = (0..5).map(|at_ms| command(at_ms, command_name, "k").having(refuse));
        let found = findings(Kind::Status, told.collect());
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.code, it.severity.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test_case(json!({"expect": "2xx"}), &[200, 204], Verdict::Pass)]
    #[test_case(json!({"expect": "2xx"}), &[200, 404], Verdict::Fail)]
    #[test_case(json!({"expect": 404}), &[404], Verdict::Pass)]
    #[test_case(json!({}), &[200, 404], Verdict::Pass; "a 404 is no failure")]
    #[test_case(json!({}), &[200, 500], Verdict::Fail)]
    #[test_case(json!({"expect": "2xx"}), &[], Verdict::Inconclusive)]
    fn every_call_ends_so(args: Value, statuses: &[u16], expected: Verdict) {
        let judgement = judge(Kind::Status, args, ending(statuses), &firm());
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }

    #[test]
    fn a_call_that_runs_is_neither_right_nor_wrong() {
        let running = get(1, "/pay", 200).having(|call| {
            call.state = State::Open;
            call.response = Default::default();
        });
        let told = vec![get(0, "/pay", 200), running];
        let judgement = judge(Kind::Status, json!({"expect": "2xx"}), told, &firm());
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
        assert_eq!(judgement.why, "1 call still running");
    }

    #[test]
    fn a_connection_that_never_was_is_no_success() {
        let told = vec![get(0, "/pay", 200), refused(1)];
        let judgement = judge(Kind::Status, json!({"expect": "2xx"}), told, &firm());
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(
            judgement.actual,
            "1 of 2 calls did not: 1 × connect_refused"
        );
    }

    #[test_case(&[500; 3], Some(Severity::High); "all")]
    #[test_case(&[500, 500, 500, 200, 200, 200], Some(Severity::Medium); "half")]
    #[test_case(&[500, 200, 200, 200], Some(Severity::Low); "one is bad luck")]
    #[test_case(&[404, 429, 200], None; "answers")]
    fn failures_are_found(statuses: &[u16], expected: Option<Severity>) {
        let found = findings(Kind::Status, ending(statuses));
        assert_eq!(found.first().map(|it| it.severity), expected, "{found:?}");
    }

    #[test]
    fn a_status_that_is_none_is_refused() {
        assert_eq!(
            refused_field(Kind::Status, json!({"expect": "2x"})),
            "args.expect"
        );
    }
}
