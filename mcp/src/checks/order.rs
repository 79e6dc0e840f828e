//! That one thing comes after the other.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::span;
use super::{Ground, Judgement, Verdict};
use crate::error::ApiError;
use crate::join::Clocks;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};

/// Most steps of an order.
const MOST_STEPS: usize = 20;
/// How far the clocks of two sidecars are taken to be apart where no call between them says it.
const CLOCKS_APART_NS: i64 = 100_000_000;

/// What comes after what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = OrderArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Filters, 2 to 20: the first call of each begins before the first call of the next
    pub steps: Vec<FilterInput>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// There are too few steps for an order, or too many.
    pub fn validate(&self) -> Result<(), ApiError> {
        match self.steps.len() {
            2..=MOST_STEPS => Ok(()),
            n => Err(
                ApiError::bad_request("bad_arguments", format!("args.steps: {n} steps"))
                    .field("args.steps")
                    .hint(
                        "2 to 20 filters, such as [{\"route\":\"/reserve\"},{\"route\":\"/pay\"}]",
                    ),
            ),
        }
    }
}

/// Whether the first call of each view begins before the first call of the next. Where records are missing,
/// an earlier one may be among them.
pub fn judge(steps: &[View<'_>], ground: &Ground) -> Judgement {
    let judgement = by_what_was_recorded(steps);
    match judgement.verdict {
        Verdict::Pass | Verdict::Fail if ground.has_gaps => Judgement {
            verdict: Verdict::Inconclusive,
            why: "records are missing, and an earlier call of a step may be among them".to_owned(),
            ..judgement
        },
        _ => judgement,
    }
}

fn by_what_was_recorded(steps: &[View<'_>]) -> Judgement {
    let expected = format!("{} steps, each after the one before", steps.len());
    let firsts: Vec<Option<&Observed>> = steps.iter().map(|step| step.calls().next()).collect();
    let evidence = firsts.iter().flatten().map(|call| call.id());
    let base = Judgement {
        verdict: Verdict::Pass,
        expected,
        actual: "as expected".to_owned(),
        n: steps.iter().map(|step| step.len() as u64).sum(),
        evidence: super::words::evidence(evidence),
        why: String::new(),
    };
    if let Some(missing) = firsts.iter().position(Option::is_none) {
        return Judgement {
            verdict: Verdict::Inconclusive,
            actual: format!("no call matched step {}", missing + 1),
            why: "without it there is no order to judge".to_owned(),
            ..base
        };
    }
    let calls: Vec<&Observed> = firsts.into_iter().flatten().collect();
    let clocks = steps.first().map(|step| step.traffic().clocks());
    let mut unordered = None;
    for (place, (one, next)) in calls.iter().zip(calls.iter().skip(1)).enumerate() {
        match clocks.and_then(|clocks| order_of(clocks, one, next)) {
            Some(Ordering::Less) => {}
            None => _ = unordered.get_or_insert(place),
            Some(Ordering::Equal | Ordering::Greater) => {
                let late_ns = one.began_ns().saturating_sub(next.began_ns());
                return Judgement {
                    verdict: Verdict::Fail,
                    actual: format!(
                        "step {} came {} before step {}",
                        place + 2,
                        span(late_ns as f64),
                        place + 1
                    ),
                    ..base
                };
            }
        }
    }
    match unordered {
        None => base,
        Some(place) => Judgement {
            verdict: Verdict::Inconclusive,
            actual: format!("steps {} and {} came together", place + 1, place + 2),
            why: "two sidecars saw them, and their clocks are not known well enough to order them"
                .to_owned(),
            ..base
        },
    }
}

/// Which of two calls began first; `None` where clocks do not tell.
fn order_of(clocks: &Clocks, one: &Observed, next: &Observed) -> Option<Ordering> {
    let (first, second) = (one.found.origin.incarnation, next.found.origin.incarnation);
    if clocks.between(first, second).is_some() {
        return clocks.order(&one.found, &next.found);
    }
    let ahead_ns = next.began_ns().saturating_sub(one.began_ns());
    (ahead_ns.saturating_abs() >= CLOCKS_APART_NS).then(|| one.began_ns().cmp(&next.began_ns()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::super::testing::{firm, refused_field, shaky};
    use super::*;
    use crate::checks::Kind;
    use crate::traffic::testing::{Told, get, traffic};

    fn judged(told: Vec<Told>, paths: &[&str]) -> Judgement {
        judged_on(&firm(), told, paths)
    }

    fn judged_on(ground: &Ground, told: Vec<Told>, paths: &[&str]) -> Judgement {
        let traffic = traffic(told);
        let picked: Vec<Vec<usize>> = paths
            .iter()
            .map(|path| {
                let observed = traffic.observed();
                traffic.pick(|id| observed.iter().any(|it| it.id() == id && it.path == *path))
            })
            .collect();
        let views: Vec<_> = picked.iter().map(|it| traffic.view(it)).collect();
        judge(&views, ground)
    }

    #[test_case(&[("/reserve", 0), ("/pay", 100)]; "as expected")]
    #[test_case(&[("/pay", 0), ("/reserve", 100)]; "the other way round")]
    fn nothing_is_said_of_an_order_in_which_calls_are_missing(calls: &[(&str, i64)]) {
        let told = calls.iter().map(|(path, at_ms)| get(*at_ms, path, 200));
        let judgement = judged_on(&shaky(), told.collect(), &["/reserve", "/pay"]);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
        assert!(judgement.why.contains("are missing"), "{judgement:?}");
    }

    #[test_case(&[("/reserve", 0), ("/pay", 100)], Verdict::Pass)]
    #[test_case(&[("/pay", 0), ("/reserve", 100)], Verdict::Fail)]
    #[test_case(&[("/reserve", 0), ("/pay", 100), ("/reserve", 200)], Verdict::Pass; "the first of each counts")]
    #[test_case(&[("/reserve", 0)], Verdict::Inconclusive; "a step is missing")]
    fn one_comes_after_the_other(calls: &[(&str, i64)], expected: Verdict) {
        let told = calls.iter().map(|(path, at_ms)| get(*at_ms, path, 200));
        let judgement = judged(told.collect(), &["/reserve", "/pay"]);
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }

    #[test]
    fn what_two_sidecars_saw_together_has_no_order() {
        let told = |at_ms| {
            let pay = get(at_ms, "/pay", 200).between("admin", "payments");
            vec![get(500, "/reserve", 200), pay]
        };
        let verdict = |at_ms| judged(told(at_ms), &["/reserve", "/pay"]).verdict;
        assert_eq!(verdict(550), Verdict::Inconclusive);
        assert_eq!(verdict(450), Verdict::Inconclusive);
        assert_eq!(verdict(700), Verdict::Pass);
        assert_eq!(verdict(10), Verdict::Fail);
    }

    #[test]
    fn one_step_is_no_order() {
        let field = refused_field(Kind::Order, json!({"steps": [{"method": "GET"}]}));
        assert_eq!(field, "args.steps");
    }
}
