//! The whole of it, pure: a pod in; a decision, a patch and warnings out.

use json_patch::Patch;
use serde_json::Value;

use crate::annotations::{INJECT, Options};
use crate::config::Config;
use crate::decide::{Decision, Namespace, Reason, decide};
use crate::patch::{self, Plan};
use crate::pod::Pod;
use crate::workload::Workload;

/// Most warnings about one pod; kubectl shows each on a line.
const MOST_WARNINGS: usize = 12;
/// Longest warning, in bytes; the API server cuts off longer ones.
const MOST_WARNING_BYTES: usize = 256;

/// What is to be done with a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// Whether it gets a sidecar, else why not.
    pub decision: Decision,
    /// What is added to the pod; empty if nothing is.
    pub patch: Patch,
    /// Sentences for whoever made the pod.
    pub warnings: Vec<String>,
}

/// Decides about `pod` and says what to add. `workload` is known where the pod is a template in a manifest;
/// else the pod's owner tells. The same pod gives the same bytes; a pod that was patched gives an empty patch, unless somebody has put init
/// containers behind ours that have to run before it.
pub fn inject(
    pod: &Value,
    namespace: Namespace<'_>,
    workload: Option<(&str, &str)>,
    config: &Config,
) -> Injection {
    let Some(pod) = Pod::new(pod) else {
        return Injection {
            decision: Decision::Skip(Reason::Unreadable),
            patch: Patch::default(),
            warnings: Vec::new(),
        };
    };
    let mut warnings = Vec::new();
    let decision = decide(pod, namespace, config);
    let patch = match decision {
        Decision::Inject => {
            warn_of_label(pod, &mut warnings);
            let plan = Plan {
                options: Options::read(pod, &mut warnings),
                workload: match workload {
                    Some((kind, name)) => Workload::of_template(kind, name, pod),
                    None => Workload::of_pod(pod),
                },
            };
            patch::inject(pod, &plan, config, &mut warnings)
        }
        Decision::Skip(reason) => return skip(pod, reason),
    };
    Injection {
        decision,
        patch,
        warnings: bounded(warnings),
    }
}

/// What is done with a pod that starts as it is: where somebody must be told why, it says so on itself.
pub fn skip(pod: Pod<'_>, reason: Reason) -> Injection {
    let mut injection = Injection {
        decision: Decision::Skip(reason),
        patch: Patch::default(),
        warnings: Vec::new(),
    };
    if reason == Reason::AlreadyInjected {
        injection.patch = patch::keep_order(pod);
    }
    if reason.is_news() {
        let warning = format!("not recorded ({}): {}", reason.code(), reason.message());
        injection.warnings = bounded(vec![warning]);
        injection.patch = patch::mark_skipped(pod, reason);
    }
    injection
}

/// A word that is neither of the two says nothing, and the namespace decides.
fn warn_of_label(pod: Pod<'_>, warnings: &mut Vec<String>) {
    if pod.label(INJECT).is_some_and(|word| word != "enabled") {
        warnings.push(format!(
            "label {INJECT} is neither enabled nor disabled; the namespace decides"
        ));
    }
}

fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(MOST_WARNINGS);
    warnings.truncate(MOST_WARNINGS);
    if more > 0 {
        warnings.push(format!("{more} more warnings"));
    }
    for warning in &mut warnings {
        warning.insert_str(0, "remora: ");
        let end = warning.floor_char_boundary(MOST_WARNING_BYTES);
        warning.truncate(end);
    }
    warnings
}
