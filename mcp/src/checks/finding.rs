//! A finding: one thing wrong, with evidence.

use std::cmp::Reverse;

use remora_store::call::CallId;

use super::Kind;

/// How much it matters, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Something that an engineer would mend.
    Medium,
    /// Something that breaks, or that makes an outage worse.
    High,
}

impl Severity {
    /// `low`, `medium` or `high`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub kind: Kind,
    /// What it is, in a fixed word, such as `no_backoff`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Between whom, and what: trusted text.
    pub subject: String,
    /// What was seen, in one sentence with numbers: trusted text.
    pub seen: String,
    /// How often.
    pub n: u64,
    /// Ids of the calls that prove it, the most telling first.
    pub evidence: Vec<CallId>,
}

impl Finding {
    /// A name that the same thing has in every answer, whatever else is found.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [self.kind.as_str(), self.code, &self.subject] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        let hash = hasher.finalize().to_hex();
        format!("f_{}", hash.get(..10).unwrap_or_default())
    }

    /// The order in which findings are told.
    pub(super) fn rank(&self) -> impl Ord + use<'_> {
        (
            Reverse(self.severity),
            Reverse(self.n),
            self.kind,
            self.code,
            &self.subject,
        )
    }
}
