//! `snapshot_delete`: a snapshot goes, and what it pinned may be forgotten.

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Outcome, ToolError};
use crate::app::App;
use crate::snapshot;

/// Its name.
pub const NAME: &str = "snapshot_delete";
/// What it does.
pub const DESCRIPTION: &str = "Delete a snapshot. Its calls stay until retention forgets them.";

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Id from snapshot_start or snapshot_list
    pub snapshot: String,
}

/// Answers.
///
/// # Errors
///
/// There is no such snapshot, or the caller does not see all of it.
pub async fn run(app: &App, scope: &Scope, input: Input) -> Result<Outcome, ToolError> {
    let gone = snapshot::delete(app, scope, &input.snapshot).await?;
    Ok(Outcome::text(format!("deleted {}\n", gone.id)))
}
