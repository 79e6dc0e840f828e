//! `check`: one expectation, judged; with none, whether anything is wrong of that kind.

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::filter::FilterInput;
use super::{Outcome, ToolError, verify};
use crate::app::App;
use crate::verify::{Expectation, VerifyRequest};

/// Its name.
pub const NAME: &str = "check";
/// What it does.
pub const DESCRIPTION: &str = "One check over the calls that match: what was measured, and whether it is as expected. \
kind and args are those of verify; retries, cache, n_plus_one, secrets, connections and status without args ask whether anything is wrong.";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// retries, n_plus_one, cache, secrets, connections, headers, latency, status, count, no_call or order
    pub kind: String,
    /// Id of a snapshot, or a window that ends now, such as live:15m (default)
    pub snapshot: Option<String>,
    /// Only calls that match
    // Checked where the arguments are.
    #[schemars(with = "Option<FilterInput>")]
    pub filter: Option<Map<String, Value>>,
    /// What to expect: of that check
    #[serde(default)]
    pub args: Map<String, Value>,
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, or the store failed.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    let mut args = input.args;
    if let Some(filter) = input.filter {
        if args.contains_key("filter") {
            return Err(ToolError::new(
                "filter is given twice: leave it out of args.",
            ));
        }
        args.insert("filter".to_owned(), json!(filter));
    }
    let request = VerifyRequest {
        snapshot: input.snapshot,
        expectations: vec![Expectation {
            name: None,
            check: input.kind,
            args,
        }],
    };
    verify::run(app, scope, request).await
}
