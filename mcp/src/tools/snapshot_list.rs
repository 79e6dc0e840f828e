//! `snapshot_list`: the snapshots there are, as a table.

use std::fmt::Write as _;

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;

use super::table::Table;
use super::text::clean;
use super::{Outcome, RESULT_BYTES, ToolError};
use crate::app::App;
use crate::clock::rfc3339;
use crate::snapshot;

/// Its name.
pub const NAME: &str = "snapshot_list";
/// What it does.
pub const DESCRIPTION: &str =
    "The snapshots there are, the newest first: a tab-separated table with their ids.";

/// Room for what stands beside the table.
const ROOM_BYTES: usize = 200;

/// What it takes: nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

/// Answers.
///
/// # Errors
///
/// The store failed.
pub async fn run(app: &App, scope: &Scope, _input: Input) -> Result<Outcome, ToolError> {
    let snapshots = snapshot::list(app, scope).await?;
    if snapshots.is_empty() {
        let text = "no snapshots\nnext: snapshot_start(), or snapshot=\"live:15m\"\n";
        return Ok(Outcome::text(text.to_owned()));
    }
    let columns = ["id", "state", "since", "until", "expires", "pinned", "name"];
    let mut table = Table::new(&columns, RESULT_BYTES - ROOM_BYTES);
    let rows = snapshots.iter().rev().map(|it| {
        [
            it.id.to_string(),
            if it.seal.is_some() { "sealed" } else { "open" }.to_owned(),
            rfc3339(it.since_ns),
            it.until_ns().map_or_else(|| "-".to_owned(), rfc3339),
            rfc3339(it.expires_ns),
            if it.unpinned_ns.is_none() {
                "yes"
            } else {
                "no"
            }
            .to_owned(),
            clean(&it.name),
        ]
    });
    let shown = rows.take_while(|cells| table.try_row(cells)).count();
    let mut text = table.text().to_owned();
    if shown < snapshots.len() {
        let _ = writeln!(text, "… {} older ones", snapshots.len() - shown);
    }
    Ok(Outcome::text(text))
}
