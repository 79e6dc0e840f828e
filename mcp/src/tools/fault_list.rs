//! `fault_list`: the faults there are and what they did, as a table.

use std::fmt::Write as _;

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use super::text::{clean, cut};
use super::{Outcome, RESULT_BYTES, ToolError};
use crate::app::App;
use crate::faults::{self, answer::FaultJson};

/// Its name.
pub const NAME: &str = "fault_list";
/// What it does.
pub const DESCRIPTION: &str =
    "Faults of now and the last ten minutes, with the calls that each met: a tab-separated table.";

/// Room for what stands beside the table.
const ROOM_BYTES: usize = 200;
/// Longest filter that is shown whole.
const FILTER_BYTES: usize = 200;

/// What it takes: nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

/// Answers.
///
/// # Errors
///
/// None now.
pub async fn run(app: &App, scope: &Scope, _input: Input) -> Result<Outcome, ToolError> {
    let faults = faults::list(app, scope).await;
    if faults.is_empty() {
        return Ok(Outcome::text("no faults\n".to_owned()));
    }
    let columns = [
        "id",
        "state",
        "workload",
        "leg",
        "calls",
        "effect",
        "touched",
        "covered",
        "not_covered",
        "sidecars",
        "expires",
        "filter",
    ];
    let mut table = Table::new(&columns, RESULT_BYTES - ROOM_BYTES);
    let rows = faults.iter().rev().map(row);
    let shown = rows.take_while(|cells| table.try_row(cells)).count();
    let mut text = table.text().to_owned();
    if shown < faults.len() {
        let _ = writeln!(text, "… {} older ones", faults.len() - shown);
    }
    Ok(Outcome::text(text))
}

fn row(fault: &FaultJson) -> [String; 12] {
    let selection = match (fault.first, fault.share) {
        (Some(first), _) => format!("first {first}"),
        (_, Some(share)) => format!("share {share}"),
        _ => "all".to_owned(),
    };
    [
        fault.id.clone(),
        fault.state.to_owned(),
        format!("{}/{}", fault.namespace, fault.workload),
        fault.leg.clone(),
        selection,
        effect(&fault.effect),
        fault.touched.to_string(),
        fault.covered.to_string(),
        fault.not_covered.to_string(),
        fault.sidecars.to_string(),
        fault.expires.clone(),
        cut(&clean(&fault.filter.to_string()), FILTER_BYTES),
    ]
}

/// Its kind and number; what an answer of it says is left out.
fn effect(effect: &Value) -> String {
    let number = |name: &str| effect.get(name).and_then(Value::as_u64);
    match (
        number("status"),
        number("delay_ms"),
        number("bytes_per_second"),
    ) {
        (Some(status), _, _) => format!("status {status}"),
        (_, Some(delay_ms), _) => format!("delay {delay_ms} ms"),
        (_, _, Some(rate)) => format!("{rate} bytes/s"),
        _ => "reset".to_owned(),
    }
}
