//! `fault_stop`: ends a fault before its time.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Outcome, ToolError};
use crate::app::App;
use crate::auth::Caller;
use crate::faults;

/// Its name.
pub const NAME: &str = "fault_stop";
/// What it does.
pub const DESCRIPTION: &str = "End a fault before its time.";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id from fault_start or fault_list
    pub id: String,
}

/// Answers.
///
/// # Errors
///
/// There is no such fault, or the caller may not.
pub async fn run(app: &App, caller: &Caller, input: Input) -> Result<Outcome, ToolError> {
    let stopped = faults::stop(app, caller, &input.id).await?;
    let late = match stopped.unanswered {
        0 => String::new(),
        count => format!(
            "; {count} sidecars have not said so, and end it once they hear of it, at {} at the latest",
            stopped.expires
        ),
    };
    let ended = match stopped.state {
        "expired" => format!("had ended by itself at {}", stopped.expires),
        state => format!("is {state}"),
    };
    Ok(Outcome::text(format!(
        "fault {} {ended}, it met {} calls{late}\n",
        stopped.stopped, stopped.touched
    )))
}
