//! `compare`: how two stretches of traffic differ.

use std::fmt::Write as _;

use remora_store::store::Scope;

use super::{Outcome, ToolError, verify::close};
use crate::app::App;
use crate::compare::{self, CompareAnswer, CompareRequest};

/// Its name.
pub const NAME: &str = "compare";
/// What it does.
pub const DESCRIPTION: &str = "What is new, gone, slower, fails more or has other headers in head than in base, with the ids that show it: \
two snapshots, or two revisions of a workload as workload@revision. Differences that chance may have made are not told.";

/// Answers.
///
/// # Errors
///
/// A side cannot be read, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: CompareRequest) -> Result<Outcome, ToolError> {
    let answer = compare::compare(app, scope, input).await?;
    Ok(Outcome::structured(describe(&answer), &answer))
}

/// The same facts in words.
fn describe(answer: &CompareAnswer) -> String {
    let mut text = format!("{}\n", answer.summary);
    for it in &answer.differences {
        let _ = writeln!(
            text,
            "{} {}: {} -> {}; n={} -> {}; evidence {}",
            it.change.to_uppercase(),
            it.subject,
            it.base,
            it.head,
            it.n_base,
            it.n_head,
            it.evidence.join(" ")
        );
    }
    if answer.differences_omitted > 0 {
        let _ = writeln!(
            text,
            "… {} more differences: narrow filter",
            answer.differences_omitted
        );
    }
    close(&mut text, &answer.blind_spots, &answer.next);
    text
}
