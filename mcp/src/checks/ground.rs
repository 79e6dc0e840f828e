//! What a pass rests on (pure): one rule for every check. `docs/ground.md` has it in a table.
//!
//! A verdict that fails has calls to show, and stands whatever else was not seen. One that passes says that
//! nothing was seen that should not be, and that is worth as much as the sight was clear. Which doubts there
//! are about one expectation, [`crate::verify::ground`] finds out; which of them matter, the check says.

use super::{Judgement, Verdict};

/// What a pass of one check rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rests {
    /// On calls that are there: more of them would change nothing, or the check weighs the ground itself.
    OnWhatIsThere,
    /// On knowing each call that was recorded, whatever nobody recorded.
    OnEveryRecord,
    /// On knowing besides all that the called asked of others.
    OnEffects,
    /// On there being none that was not recorded.
    OnAbsence,
}

/// How far an answer can be trusted about what is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    /// Why calls may have been made that nobody recorded; empty where whatever happened would have been seen.
    pub doubts: Vec<String>,
    /// Why records of calls may be missing: those of `doubts` that are about sidecars which recorded them.
    pub missing: Vec<String>,
    /// Why not all is known that those who were called asked of others meanwhile.
    pub effects: Vec<String>,
    /// Connections that are no part of what was looked at, and over which they may have asked.
    pub unread: Vec<Unread>,
    /// Which names in a filter nobody has, and whom they may have meant; part of `doubts`.
    pub mistaken: Vec<String>,
    /// Whether records are missing among those that were looked at.
    pub has_gaps: bool,
    /// First moment that was looked at: nanoseconds since the Unix epoch; `None` for all that is kept.
    pub since_ns: Option<i64>,
    /// First moment that was not looked at.
    pub until_ns: i64,
}

/// A connection from a pod to others, over which passed what nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Random number of the run of the pod's sidecar.
    pub run: u128,
    /// When it was opened: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// When it was closed, or the end of time.
    pub until_ns: i64,
}

impl Ground {
    /// Whether what was not seen did not happen.
    pub fn is_firm(&self) -> bool {
        self.doubts.is_empty()
    }

    /// Why it cannot be told, in one sentence.
    pub(super) fn doubt(&self) -> String {
        format!(
            "what was not seen may have happened: {}",
            self.doubts.join("; ")
        )
    }

    /// A judgement as far as this ground bears it: what fails has proof, and what passes may not.
    #[must_use]
    pub(super) fn bears(&self, mut judgement: Judgement, rests: Rests) -> Judgement {
        if judgement.verdict == Verdict::Inconclusive && judgement.n == 0 {
            for mistaken in self.mistaken.iter() {
                if !judgement.why.contains(mistaken) {
                    judgement.why = format!("{}; {mistaken}", judgement.why);
                }
            }
        }
        let why = match rests {
            Rests::OnAbsence if !self.is_firm() => self.doubt(),
            Rests::OnEveryRecord | Rests::OnEffects if !self.missing.is_empty() => format!(
                "calls that are not among those may be otherwise: {}",
                self.missing.join("; ")
            ),
            Rests::OnEffects if !self.effects.is_empty() => format!(
                "more may have been asked of others than is known: {}",
                self.effects.join("; ")
            ),
            _ => return judgement,
        };
        match judgement.verdict {
            Verdict::Pass => Judgement {
                verdict: Verdict::Inconclusive,
                why,
                ..judgement
            },
            Verdict::Inconclusive | Verdict::Fail => judgement,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{firm, judge, shaky};
    use super::*;
    use crate::checks::Kind;
    use crate::traffic::testing::{Told, get};

    fn web_asks_orders() -> Vec<Told> {
        let asked = (0..30).map(|it| get(it * 100, "/orders/7", 200).on_connection(1, it as u32));
        asked.collect()
    }

    /// A request that makes its service ask for something once.
    fn one_that_asks() -> Vec<Told> {
        vec![
            get(0, "/orders/7", 200).taking_ms(40).received(),
            get(5, "/rows/7", 200).between("orders", "stock"),
        ]
    }

    fn answered_with_a_header() -> Vec<Told> {
        let told = web_asks_orders().into_iter();
        told.map(|it| it.answering("x-a: 1")).collect()
    }

    #[test_case(Kind::Status, json!({}), web_asks_orders())]
    #[test_case(Kind::Latency, json!({"max_ms": 1000}), web_asks_orders())]
    #[test_case(Kind::Connections, json!({"max_opened": 2}), web_asks_orders())]
    #[test_case(Kind::Connections, json!({"max_broken": 0}), web_asks_orders(); "none is broken")]
    #[test_case(Kind::NPlusOne, json!({}), one_that_asks())]
    #[test_case(Kind::Secrets, json!({}), web_asks_orders())]
    #[test_case(Kind::NoCall, json!({}), vec![])]
    #[test_case(Kind::Count, json!({"max": 30}), web_asks_orders())]
    #[test_case(Kind::Headers, json!({"require": [{"name": "x-a"}]}), answered_with_a_header(); "what every head has")]
    #[test_case(Kind::Headers, json!({"forbid": [{"name": "x-b"}]}), answered_with_a_header(); "what none has")]
    #[test_case(Kind::Headers, json!({"require": [{"name": "x-a"}], "forbid": [{"name": "x-b"}]}), answered_with_a_header(); "both")]
    fn what_is_not_known_is_no_pass(kind: Kind, args: Value, told: Vec<Told>) {
        let verdict = |ground: &Ground| judge(kind, args.clone(), told.clone(), ground).verdict;
        assert_eq!(verdict(&firm()), Verdict::Pass);
        assert_eq!(verdict(&shaky()), Verdict::Inconclusive);
    }

    #[test_case(Kind::Status, json!({}), Verdict::Pass; "of what was recorded")]
    #[test_case(Kind::Headers, json!({"require": [{"name": "x-a"}]}), Verdict::Pass; "what every head has")]
    #[test_case(Kind::Headers, json!({"require": [{"name": "x-a"}], "forbid": [{"name": "x-b"}]}), Verdict::Inconclusive; "what none has")]
    #[test_case(Kind::Count, json!({"min": 1}), Verdict::Pass; "what is there is there")]
    #[test_case(Kind::Count, json!({"max": 30}), Verdict::Inconclusive; "there may be more")]
    fn what_nobody_could_record_matters_to_absence_alone(
        kind: Kind,
        args: Value,
        expected: Verdict,
    ) {
        let beside_nobody = Ground {
            doubts: vec!["no sidecar beside admin recorded anything".to_owned()],
            ..firm()
        };
        let judgement = judge(kind, args, answered_with_a_header(), &beside_nobody);
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }

    #[test]
    fn what_fails_has_proof_on_any_ground() {
        let told = vec![get(0, "/", 200), get(1, "/", 500)];
        let judgement = judge(Kind::Status, json!({}), told, &shaky());
        assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:?}");
        assert_eq!(judgement.why, "");
    }
}
