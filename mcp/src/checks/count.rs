//! How many calls there are.

use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence};
use super::{Ground, Judgement, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::View;

/// How many calls there should be: at least one of `min` and `max`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = CountArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// At least so many
    pub min: Option<u64>,
    /// At most so many
    pub max: Option<u64>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// Neither bound is given, or no number lies between them.
    pub fn validate(&self) -> Result<(), ApiError> {
        let message = match (self.min, self.max) {
            (None, None) => "args.min: neither min nor max is given".to_owned(),
            (Some(min), Some(max)) if min > max => {
                format!("args.min: {min} is more than max, {max}")
            }
            _ => return Ok(()),
        };
        let error = ApiError::bad_request("bad_arguments", message).field("args.min");
        Err(error.hint("such as {\"min\": 1} or {\"max\": 12}"))
    }
}

/// Whether there are as many calls in `view` as there should be.
///
/// Calls that were not recorded can make it fewer, never more: what is too many is too many, and the
/// rest holds where the ground is firm.
pub fn judge(view: &View<'_>, args: &Args, ground: &Ground) -> Judgement {
    let n = view.len() as u64;
    let too_many = args.max.is_some_and(|max| n > max);
    let too_few = args.min.is_some_and(|min| n < min);
    let enough = args.max.is_none() && !too_few;
    let (verdict, why) = match ground.is_firm() {
        _ if too_many => (Verdict::Fail, String::new()),
        _ if enough => (Verdict::Pass, String::new()),
        false => (Verdict::Inconclusive, ground.doubt()),
        true if too_few => (Verdict::Fail, String::new()),
        true => (Verdict::Pass, String::new()),
    };
    Judgement {
        verdict,
        expected: match (args.min, args.max) {
            (Some(min), Some(max)) if min == max => counted(min as usize, "call"),
            (Some(min), Some(max)) => format!("{min} to {max} calls"),
            (Some(min), None) => format!("at least {}", counted(min as usize, "call")),
            (None, Some(max)) => format!("at most {}", counted(max as usize, "call")),
            (None, None) => "any number of calls".to_owned(),
        },
        actual: counted(view.len(), "call"),
        n,
        evidence: evidence(view.calls().map(|call| call.id())),
        why,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{firm, judge, refused_field, shaky};
    use super::*;
    use crate::checks::Kind;
    use crate::traffic::testing::get;

    #[test_case(json!({"min": 2}), 2, Verdict::Pass, Verdict::Pass)]
    #[test_case(json!({"min": 3}), 2, Verdict::Fail, Verdict::Inconclusive; "some may be missing")]
    #[test_case(json!({"max": 2}), 2, Verdict::Pass, Verdict::Inconclusive; "there may be more")]
    #[test_case(json!({"max": 1}), 2, Verdict::Fail, Verdict::Fail; "too many are too many")]
    #[test_case(json!({"min": 2, "max": 2}), 2, Verdict::Pass, Verdict::Inconclusive)]
    #[test_case(json!({"max": 0}), 0, Verdict::Pass, Verdict::Inconclusive)]
    fn calls_are_counted(args: Value, calls: i64, on_firm: Verdict, on_shaky: Verdict) {
        let told: Vec<_> = (0..calls).map(|at_ms| get(at_ms, "/", 200)).collect();
        let verdict = |ground| judge(Kind::Count, args.clone(), told.clone(), ground).verdict;
        assert_eq!((verdict(&firm()), verdict(&shaky())), (on_firm, on_shaky));
    }

    #[test_case(json!({}))]
    #[test_case(json!({"min": 3, "max": 2}))]
    fn bounds_that_say_nothing_are_refused(args: Value) {
        assert_eq!(refused_field(Kind::Count, args), "args.min");
    }
}
