//! What judgements and findings come to, in an answer (pure).

use super::{CheckJson, FINDINGS, FindingJson, FindingsAnswer, Read, VerifyAnswer};
use crate::checks::words::counted;
use crate::checks::{Finding, Judgement, Verdict};
use crate::tools::call_get::look_at;

impl CheckJson {
    pub(super) fn new(expectation: &Read, judgement: Judgement) -> Self {
        Self {
            name: expectation.name.clone(),
            check: expectation.kind.as_str(),
            verdict: judgement.verdict.as_str(),
            expected: judgement.expected,
            actual: judgement.actual,
            n: judgement.n,
            evidence: judgement.evidence.iter().map(ToString::to_string).collect(),
            why: judgement.why,
        }
    }
}

impl VerifyAnswer {
    pub(super) fn new(checks: Vec<CheckJson>, blind_spots: Vec<String>) -> Self {
        let count = |verdict: Verdict| {
            let of_it = checks.iter().filter(|it| it.verdict == verdict.as_str());
            of_it.count()
        };
        let (failed, unclear) = (count(Verdict::Fail), count(Verdict::Inconclusive));
        let verdict = match (failed, unclear) {
            (0, 0) => Verdict::Pass,
            (0, _) => Verdict::Inconclusive,
            _ => Verdict::Fail,
        };
        let summary = format!(
            "{}: {} pass, {failed} fail, {unclear} inconclusive",
            verdict.as_str(),
            count(Verdict::Pass)
        );
        let mut next = Vec::new();
        let failing = checks
            .iter()
            .find(|it| it.verdict == Verdict::Fail.as_str());
        if let Some(ids) = failing.and_then(|it| look_at(&it.evidence)) {
            next.push(ids);
        }
        if unclear > 0 {
            next.push(
                "inconclusive is not pass: mend what its why says, then verify again".to_owned(),
            );
        }
        Self {
            verdict: verdict.as_str(),
            summary,
            checks,
            blind_spots,
            next,
        }
    }
}

impl FindingsAnswer {
    pub(super) fn new(calls: usize, findings: Vec<Finding>, blind_spots: Vec<String>) -> Self {
        let total = findings.len();
        let of = |severity: &str| {
            let of_it = findings
                .iter()
                .filter(|it| it.severity.as_str() == severity);
            of_it.count()
        };
        let summary = match (calls, total) {
            (0, _) => "no calls were looked at".to_owned(),
            (calls, 0) => format!("nothing found in {}", counted(calls, "call")),
            (calls, total) => format!(
                "{} in {}: {} high, {} medium, {} low",
                counted(total, "finding"),
                counted(calls, "call"),
                of("high"),
                of("medium"),
                of("low")
            ),
        };
        let shown: Vec<FindingJson> = findings
            .into_iter()
            .take(FINDINGS)
            .map(FindingJson::of)
            .collect();
        let next = match shown.first().and_then(|it| look_at(&it.evidence)) {
            Some(ids) => vec![ids],
            None if calls == 0 => vec!["recorder_status()".to_owned()],
            None => vec!["verify(expectations=[…]) for what should hold".to_owned()],
        };
        Self {
            summary,
            calls: calls as u64,
            findings_omitted: (total - shown.len()) as u64,
            findings: shown,
            blind_spots,
            next,
        }
    }
}

impl FindingJson {
    fn of(finding: Finding) -> Self {
        Self {
            id: finding.id(),
            check: finding.kind.as_str(),
            code: finding.code,
            severity: finding.severity.as_str(),
            subject: finding.subject,
            seen: finding.seen,
            n: finding.n,
            evidence: finding.evidence.iter().map(ToString::to_string).collect(),
        }
    }
}
