//! `verify`: expectations, judged.

use std::fmt::Write as _;

use remora_store::store::Scope;

use super::{Outcome, RESULT_BYTES, ToolError, text};
use crate::app::App;
use crate::verify::{self, CheckJson, VerifyAnswer, VerifyRequest};

/// Its name.
pub const NAME: &str = "verify";
/// What it does.
pub const DESCRIPTION: &str = "Whether what you expect of calls holds: pass, fail or inconclusive, with the ids that prove it. \
args by check, each with filter: retries {expect_retries, expect_delays_ms:[…] or expect_backoff:{base_ms,factor}, tolerance}, \
n_plus_one {max_calls_per_request}, cache {expect_hit_ratio,expect_warm_p50_ms}, secrets {may_receive:[…]}, status {expect:\"2xx\"}, count {min,max}, no_call {}, latency {p50_ms,p95_ms,p99_ms,max_ms,phase}, \
headers {require:[{name,on,pattern,propagate}], forbid:[{name,on}]}, connections {min_reuse,max_opened,max_broken}, order {steps:[filter,…]}. \
Inconclusive is not pass: its why says what is missing.";

/// Answers.
///
/// # Errors
///
/// An expectation cannot be read, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: VerifyRequest) -> Result<Outcome, ToolError> {
    let answer = verify::verify(app, scope, input).await?;
    Ok(Outcome::structured(describe(&answer), &answer))
}

/// The same facts in words.
pub(super) fn describe(answer: &VerifyAnswer) -> String {
    let mut text = format!("{}\n", answer.summary);
    for check in &answer.checks {
        text.push_str(&row(check));
    }
    close(&mut text, &answer.blind_spots, &answer.next);
    text
}

fn row(check: &CheckJson) -> String {
    let mut row = format!(
        "{} {}: expected {}; saw {}; n={}",
        check.verdict.to_uppercase(),
        check.name,
        check.expected,
        check.actual,
        check.n
    );
    if !check.why.is_empty() {
        let _ = write!(row, "; {}", check.why);
    }
    if !check.evidence.is_empty() {
        let _ = write!(row, "; evidence {}", check.evidence.join(" "));
    }
    row.push('\n');
    row
}

/// What may be missing, and what to do next.
pub(super) fn close(text: &mut String, blind_spots: &[String], next: &[String]) {
    for spot in blind_spots {
        let _ = writeln!(text, "blind spot: {spot}");
    }
    for next in next {
        let _ = writeln!(text, "next: {next}");
    }
    if text.len() > RESULT_BYTES {
        *text = text::cut(text, RESULT_BYTES);
    }
}
