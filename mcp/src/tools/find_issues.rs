//! `find_issues`: what is wrong, without anybody having said what to expect.

use std::fmt::Write as _;

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::FilterInput;
use super::{Outcome, ToolError, verify::close};
use crate::app::App;
use crate::checks::Kind;
use crate::verify::{self, FindingsAnswer};

/// Its name.
pub const NAME: &str = "find_issues";
/// What it does.
pub const DESCRIPTION: &str = "What is wrong with the calls of a snapshot, the worst first, each with numbers and the ids that prove it: \
retries without backoff or against Retry-After, retries that hide a fault, one call for each row, answers never cached, secrets sent on or in URLs, \
connections never used again, calls that fail. \
No finding means that none of these was seen in what was recorded; blind_spots says what was not.";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id of a snapshot, or a window that ends now, such as live:15m (default)
    pub snapshot: Option<String>,
    /// Any of retries, n_plus_one, cache, secrets, connections, status; default all
    pub checks: Option<Vec<String>>,
    /// Only calls that match
    pub filter: Option<FilterInput>,
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    let kinds = match &input.checks {
        None => Kind::FINDERS.to_vec(),
        Some(names) => names
            .iter()
            .map(|name| Kind::read_finder(name, "checks"))
            .collect::<Result<_, _>>()?,
    };
    let answer = verify::find(app, scope, input.snapshot.as_deref(), &kinds, input.filter).await?;
    Ok(Outcome::structured(describe(&answer), &answer))
}

/// The same facts in words.
fn describe(answer: &FindingsAnswer) -> String {
    let mut text = format!("{}\n", answer.summary);
    for it in &answer.findings {
        let _ = writeln!(
            text,
            "{} {} {}/{} {}: {}; n={}; evidence {}",
            it.severity.to_uppercase(),
            it.id,
            it.check,
            it.code,
            it.subject,
            it.seen,
            it.n,
            it.evidence.join(" ")
        );
    }
    if answer.findings_omitted > 0 {
        let _ = writeln!(
            text,
            "… {} more findings: narrow checks or filter",
            answer.findings_omitted
        );
    }
    close(&mut text, &answer.blind_spots, &answer.next);
    text
}
