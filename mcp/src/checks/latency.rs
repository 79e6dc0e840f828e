//! How long calls take, as a whole or a part of them.

use remora_store::call::{CallId, Phases};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::rank::nearest_rank;
use super::words::{evidence, span};
use super::{Judgement, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::View;

/// How long calls may take: at least one of the limits.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = LatencyArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// Which part of a call; default all of it
    pub phase: Option<Phase>,
    /// Half of them, in ms
    pub p50_ms: Option<f64>,
    /// 95 of 100, in ms
    pub p95_ms: Option<f64>,
    /// 99 of 100, in ms
    pub p99_ms: Option<f64>,
    /// Every one, in ms
    pub max_ms: Option<f64>,
}

/// A part of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// From the first byte of the request to the last of the response
    Total,
    /// Until the connection to the server stood; of the first call on it
    Connect,
    /// From the first byte of the request to its last
    Request,
    /// From the last byte of the request to the first of the response: the server
    Wait,
    /// From the first byte of the response to its last
    Response,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "latency",
            Self::Connect => "connecting",
            Self::Request => "sending the request",
            Self::Wait => "waiting for the response",
            Self::Response => "receiving the response",
        }
    }

    fn of(self, phases: &Phases, is_first: bool) -> Option<u64> {
        let between = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        match self {
            Self::Total => phases.latency_ns(),
            Self::Connect => phases.connected.filter(|_| is_first),
            Self::Request => between(phases.request_first, phases.request_last),
            Self::Wait => between(phases.request_last, phases.response_first),
            Self::Response => between(phases.response_first, phases.response_last),
        }
    }
}

impl Args {
    fn limits(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let limits = [
            ("p50", 0.50, self.p50_ms),
            ("p95", 0.95, self.p95_ms),
            ("p99", 0.99, self.p99_ms),
            ("max", 1.0, self.max_ms),
        ];
        limits
            .into_iter()
            .filter_map(|(name, rank, limit)| Some((name, rank, limit?)))
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// There is no limit, or one that is no time.
    pub fn validate(&self) -> Result<(), ApiError> {
        let bad = |field: String, message: String| {
            let error = ApiError::bad_request("bad_arguments", message).field(field);
            error.hint("such as {\"p95_ms\": 50}; limits are p50_ms, p95_ms, p99_ms and max_ms")
        };
        if self.limits().next().is_none() {
            return Err(bad("args".to_owned(), "args: no limit is given".to_owned()));
        }
        let wrong = self
            .limits()
            .find(|(_, _, limit)| !(limit.is_finite() && *limit >= 0.0));
        match wrong {
            None => Ok(()),
            Some((name, _, limit)) => Err(bad(
                format!("args.{name}_ms"),
                format!("args.{name}_ms: {limit} is not a time in ms"),
            )),
        }
    }

    fn expected(&self) -> String {
        let phase = self.phase.unwrap_or(Phase::Total).as_str();
        let limits = self
            .limits()
            .map(|(name, _, limit)| format!("{name} ≤ {}", span(limit * 1e6)));
        format!("{phase} {}", limits.collect::<Vec<_>>().join(", "))
    }
}

/// Whether the calls in `view` are fast enough.
///
/// A percentile of fewer calls than it takes to tell (20 for p95, 100 for p99) fails nothing; where even
/// the slowest is fast enough, it passes.
pub fn judge(view: &View<'_>, args: &Args) -> Judgement {
    let phase = args.phase.unwrap_or(Phase::Total);
    let mut timed: Vec<(u64, CallId)> = view
        .calls()
        .filter(|call| !call.found.call.is_stream())
        .filter_map(|call| {
            let recorded = &call.found.call;
            let took = match (phase, recorded.error) {
                // Nobody had an answer from it; whoever waited did so until it was over.
                (Phase::Total, Some(_)) => {
                    let lasted = call.ended_ns()?.saturating_sub(call.began_ns());
                    u64::try_from(lasted).ok()
                }
                _ => phase.of(&recorded.phases, call.is_first_on_connection()),
            };
            Some((took?, call.id()))
        })
        .collect();
    timed.sort_unstable();
    let Some((slowest, _)) = timed.last().copied() else {
        return Judgement::nothing_matched(args.expected());
    };
    let mut verdicts = Vec::new();
    let mut seen = Vec::new();
    let mut why = String::new();
    for (name, rank, limit) in args.limits() {
        let value = nearest_rank(&timed, rank).map_or(slowest, |(value, _)| value);
        seen.push(format!("{name} {}", span(value as f64)));
        let is_slow = value as f64 > limit * 1e6;
        let enough = 1.0 / (1.0 - rank).max(1e-9);
        verdicts.push(match is_slow {
            false => Verdict::Pass,
            true if rank < 1.0 && (timed.len() as f64) < enough - 1e-6 => {
                why = format!("{} calls are too few for {name}", timed.len());
                Verdict::Inconclusive
            }
            true => Verdict::Fail,
        });
    }
    seen.push(format!("slowest {}", span(slowest as f64)));
    Judgement {
        verdict: Verdict::of_all(verdicts),
        expected: args.expected(),
        actual: seen.join(", "),
        n: timed.len() as u64,
        evidence: evidence(timed.iter().rev().map(|(_, id)| *id)),
        why,
    }
}

#[cfg(test)]
mod tests {
    use remora_store::call::CallError;
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{firm, judge, refused_field};
    use super::*;
    use crate::checks::Kind;
    use crate::traffic::testing::get;

    #[test_case(json!({"p95_ms": 50}), 100, 4, Verdict::Pass; "five of a hundred may be slow")]
    #[test_case(json!({"p95_ms": 50}), 100, 6, Verdict::Fail)]
    #[test_case(json!({"p95_ms": 50}), 10, 1, Verdict::Inconclusive; "too few to tell")]
    #[test_case(json!({"p95_ms": 50}), 10, 0, Verdict::Pass; "even the slowest is fast")]
    #[test_case(json!({"max_ms": 50}), 10, 1, Verdict::Fail; "none may be slow")]
    #[test_case(json!({"p50_ms": 50}), 2, 2, Verdict::Fail)]
    #[test_case(json!({"p50_ms": 50}), 0, 0, Verdict::Inconclusive; "nothing was there")]
    #[test_case(json!({"phase": "wait", "max_ms": 20}), 5, 5, Verdict::Fail; "the server is slow")]
    #[test_case(json!({"phase": "response", "max_ms": 20}), 5, 5, Verdict::Pass; "its answer is quick")]
    fn slow_calls_among_fast_ones(args: Value, calls: i64, slow: i64, expected: Verdict) {
        let told =
            (0..calls).map(|it| get(it, "/", 200).taking_ms(if it < slow { 100 } else { 10 }));
        let judgement = judge(Kind::Latency, args, told.collect(), &firm());
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }

    #[test]
    fn a_call_that_was_given_up_took_until_then() {
        let hung = get(1, "/", 200)
            .taking_ms(30_000)
            .failing(CallError::ClientClosed);
        let told = vec![get(0, "/", 200).taking_ms(10), hung];
        let judgement = judge(Kind::Latency, json!({"max_ms": 1000}), told, &firm());
        assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:?}");
        assert_eq!(judgement.n, 2);
    }

    #[test]
    fn the_slowest_calls_are_the_evidence() {
        let told = vec![
            get(0, "/", 200).taking_ms(10),
            get(1, "/", 200).taking_ms(90),
            get(2, "/", 200).taking_ms(70),
        ];
        let judgement = judge(Kind::Latency, json!({"max_ms": 50}), told, &firm());
        let ids: Vec<_> = judgement.evidence.iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["c1-1", "c1-2", "c1-0"]);
        assert_eq!(judgement.actual, "max 90 ms, slowest 90 ms");
    }

    #[test_case(json!({}), "args")]
    #[test_case(json!({"p95_ms": -1}), "args.p95_ms")]
    #[test_case(json!({"phase": "sleeping", "p95_ms": 1}), "args.phase")]
    fn limits_that_are_none_are_refused(args: Value, field: &str) {
        assert_eq!(refused_field(Kind::Latency, args), field);
    }
}
