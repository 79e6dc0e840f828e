//! Answers without calls: why there are none, and what to ask instead.

use remora_store::filter::nearest;
use remora_store::store::{Recorder, Scope};

use super::recorder_status::coverage_line;
use super::{Outcome, ToolError, text};
use crate::app::App;
use crate::coverage::{Emptiness, EmptyBecause, UNDECIDED_BECAUSE};
use crate::error::ApiError;
use crate::params::quoted;

/// Says why there is nothing to say, and what to call next. `ends` are the caller and the callee that
/// were asked for.
pub(super) async fn nothing(
    app: &App,
    scope: &Scope,
    empty: Emptiness<'_>,
    ends: &[(&'static str, String)],
) -> Result<Outcome, ToolError> {
    let mut because = EmptyBecause::of(empty);
    if because.code == "nothing_matches" {
        let recorders = app.store.recorders(scope).await.map_err(ApiError::from)?;
        for (field, given) in ends {
            if let Some(near) = nearest_party(given, &recorders) {
                because.message.push_str(&format!(
                    "; nobody is known as {field} {}: did you mean {near}?",
                    quoted(given)
                ));
            }
        }
    }
    let next = match because.code {
        "nothing_in_window" => "the same call with a longer window, such as snapshot=\"live:2h\"",
        "nothing_matches" => "traffic_summary() without filter, to see what there is",
        _ => "recorder_status()",
    };
    let coverage = coverage_line(empty.coverage);
    Ok(Outcome::text(format!(
        "no calls: {}\n{coverage}\nnext: {next}\n",
        because.message
    )))
}

/// How many calls a filter could not decide over, for the end of a table; nothing where there are none.
pub(super) fn undecided_line(undecided: u64) -> String {
    match undecided {
        0 => String::new(),
        calls => format!("left out: {calls} calls that might match; {UNDECIDED_BECAUSE}\n"),
    }
}

/// The recorded workload or pod that a name which none of them has most likely stands for.
fn nearest_party<'a>(given: &str, recorders: &'a [Recorder]) -> Option<&'a str> {
    let names = recorders
        .iter()
        .flat_map(|recorder| [&recorder.origin.workload, &recorder.origin.pod])
        .filter_map(|name| text::name(name));
    if names.clone().any(|name| name == given) {
        return None;
    }
    nearest(given, names)
}
