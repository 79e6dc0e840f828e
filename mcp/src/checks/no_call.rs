//! That there is no such call.

use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence};
use super::{Ground, Judgement, Verdict};
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

/// Whether no call is in `view`. That passes only where whatever happened would have been seen.
pub fn judge(view: &View<'_>, ground: &Ground) -> Judgement {
    let (verdict, why) = match (view.is_empty(), ground.is_firm()) {
        (false, _) => (Verdict::Fail, String::new()),
        (true, true) => (Verdict::Pass, String::new()),
        (true, false) => (Verdict::Inconclusive, ground.doubt()),
    };
    Judgement {
        verdict,
        expected: "no call".to_owned(),
        actual: counted(view.len(), "call"),
        n: view.len() as u64,
        evidence: evidence(view.calls().map(|call| call.id())),
        why,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{firm, judge, shaky};
    use super::*;
    use crate::checks::Kind;
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
