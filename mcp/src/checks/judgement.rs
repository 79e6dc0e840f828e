//! A judgement: whether one expectation holds, with what was expected, what was seen, and the evidence.

use remora_store::call::CallId;

/// Most calls that are named as evidence of one judgement.
pub const EVIDENCE: usize = 5;

/// Whether an expectation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It cannot be told.
    Inconclusive,
    /// It does not hold.
    Fail,
}

impl Verdict {
    /// `pass`, `fail` or `inconclusive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// What several come to: one failure fails all, and what cannot be told keeps the rest from passing.
    /// Nothing comes to nothing.
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Inconclusive)
    }
}

/// What one expectation came to. All text is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// How many calls, or groups of them, it was judged by.
    pub n: u64,
    /// Ids of calls that prove it, the most telling first, at most [`EVIDENCE`].
    pub evidence: Vec<CallId>,
    /// Why it is so; empty where expected and actual say it.
    pub why: String,
}

impl Judgement {
    /// One that cannot be told, and why.
    pub fn inconclusive(why: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Inconclusive,
            expected: String::new(),
            actual: String::new(),
            n: 0,
            evidence: Vec::new(),
            why: why.into(),
        }
    }

    /// One about what nothing matched.
    pub fn nothing_matched(expected: String) -> Self {
        Self {
            expected,
            actual: "no call matched".to_owned(),
            ..Self::inconclusive("no call matched the filter, so there is nothing to judge by")
        }
    }
}
