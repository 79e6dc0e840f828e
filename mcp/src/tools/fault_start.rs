//! `fault_start`: has the sidecars of a workload fail calls for a while.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Outcome, ToolError, schema};
use crate::app::App;
use crate::auth::Caller;
use crate::faults;
use crate::faults::answer::FaultAnswer;
use crate::faults::request::FaultRequest;

/// Its name.
pub const NAME: &str = "fault_start";
/// What it does.
pub const DESCRIPTION: &str = "Have a workload's sidecars answer, delay, reset or slow down requests, such as to verify retries; it ends by itself. \
The calls it meets say so: where fault != \"\".";

/// What it takes. A filter has other fields as well, which say why they cannot decide over a request.
pub fn input_schema() -> Map<String, Value> {
    let mut schema = schema::of_input::<FaultRequest>();
    let filter = "Which requests: dst, method, route, path_prefix, header, trace_id, where (over the head, as records show it; probes only if it says so)";
    if let Some(known) = schema.get_mut("properties") {
        known["filter"] = json!({"type": "object"});
    }
    schema::in_words(&mut schema, "filter", filter);
    let effect = "One of status (the sidecar answers; with headers, body), delay_ms, reset, bytes_per_second (of the response)";
    schema::in_words(&mut schema, "effect", effect);
    schema
}

/// Answers.
///
/// # Errors
///
/// An argument is wrong, the workload is not there or allows no faults, or the caller may not.
pub async fn run(app: &App, caller: &Caller, input: FaultRequest) -> Result<Outcome, ToolError> {
    let begun = faults::start(app, caller, input).await?;
    Ok(Outcome::text(describe(&begun)))
}

fn describe(begun: &FaultAnswer) -> String {
    let mut text = format!(
        "fault {} acts in {} sidecars of {}/{} until {}\nopen connections: {} covered, {} not covered\n",
        begun.id,
        begun.sidecars,
        begun.namespace,
        begun.workload,
        begun.expires,
        begun.covered,
        begun.not_covered
    );
    if begun.not_covered > 0 {
        text.push_str(
            "not covered, until they end: HTTP/2 that was open before, TLS that passes through, upgrades and tunnels; and calls under way\n",
        );
    }
    for (count, what) in [
        (
            begun.unanswered,
            "did not answer in time; it begins there once they do",
        ),
        (
            begun.not_allowing,
            "allow no faults: their pods lack the annotation remora.dev/faults: \"allowed\"",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{count} sidecars {what}");
        }
    }
    for why in &begun.refused {
        let _ = writeln!(text, "refused: {why}");
    }
    let _ = writeln!(
        text,
        "next: exercise the program, then verify or check; fault_stop(id=\"{}\") ends it",
        begun.id
    );
    text
}
