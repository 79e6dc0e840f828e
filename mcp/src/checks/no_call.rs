//! That there is no such call.

use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence};
use super::{Judgement, Verdict};
use crate::tools::filter::FilterInput;
use crate::traffic::View;

/// Of which calls there should be none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = NoCallArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
}

/// Whether no call is in `view`.
pub fn judge(view: &View<'_>) -> Judgement {
    Judgement {
        verdict: match view.is_empty() {
            true => Verdict::Pass,
            false => Verdict::Fail,
        },
        expected: "no call".to_owned(),
        actual: counted(view.len(), "call"),
        n: view.len() as u64,
        evidence: evidence(view.calls().map(|call| call.id())),
        why: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{firm, judge, shaky};
    use super::*;
    use crate::checks::{Ground, Kind};
    use crate::traffic::testing::get;

    #[test]
    fn absence_is_proved_only_where_everything_would_have_been_seen() {
        let verdict = |told, ground: &Ground| judge(Kind::NoCall, json!({}), told, ground).verdict;
        assert_eq!(verdict(vec![], &firm()), Verdict::Pass);
        assert_eq!(verdict(vec![], &shaky()), Verdict::Inconclusive);
        assert_eq!(verdict(vec![get(0, "/", 200)], &shaky()), Verdict::Fail);
        let doubt = judge(Kind::NoCall, json!({}), vec![], &shaky()).why;
        assert_eq!(
            doubt,
            "what was not seen may have happened: 3 calls were not recorded"
        );
    }
}
