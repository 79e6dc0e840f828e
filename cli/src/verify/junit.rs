//! Verdicts in the form that build servers read.

use anyhow::Context;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::Value;

use super::sentence;
use crate::hub_api::{part, text};

/// A test case for each expectation: what fails is a failure, what is inconclusive is skipped.
pub(super) fn report(answer: &Value) -> anyhow::Result<String> {
    let mut suite = TestSuite::new("remora verify");
    for check in part(answer, "checks").as_array().into_iter().flatten() {
        let mut status = match text(check, "verdict") {
            "pass" => TestCaseStatus::success(),
            "fail" => TestCaseStatus::non_success(NonSuccessKind::Failure),
            _ => TestCaseStatus::skipped(),
        };
        if !matches!(status, TestCaseStatus::Success { .. }) {
            status.set_message(sentence(check));
        }
        let mut case = TestCase::new(text(check, "name"), status);
        case.set_classname(text(check, "check"));
        suite.add_test_case(case);
    }
    let mut report = Report::new("remora");
    report.add_test_suite(suite);
    report.to_string().context("write JUnit")
}
