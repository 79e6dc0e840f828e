//! `snapshot`: what a tool looks at.

use remora_store::store::Scope;

use super::ToolError;
use crate::app::App;
use crate::snapshot::sight::Sight;

/// What is looked at if nothing is said.
pub const DEFAULT: &str = "live:15m";

/// Reads the id of a snapshot, or `live:15m`: from so long ago until now.
///
/// # Errors
///
/// It is something else, or there is no such snapshot.
pub async fn read(app: &App, caller: &Scope, snapshot: Option<&str>) -> Result<Sight, ToolError> {
    let sight = Sight::read(app, caller, snapshot.unwrap_or(DEFAULT)).await;
    sight.map_err(ToolError::from)
}
