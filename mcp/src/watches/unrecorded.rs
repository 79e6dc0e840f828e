//! Which pods should be recorded and are not, why, and what helps (pure).

use std::collections::{BTreeMap, HashSet};

use remora_store::store::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::namespaces::Enabled;
use super::pods::{Inject, Sidecar};
use super::{PodFacts, State, Watches};
use crate::clock::now_ns;

/// Most groups of pods that are listed.
const LISTED: usize = 20;

/// Most pods that a command names one by one.
const NAMED_PODS: usize = 5;

/// How long a pod may take to start and its sidecar to be heard of, in nanoseconds.
const STARTING_NS: i64 = /* one minute */ 60_000_000_000;

/// Pods of one workload that should be recorded and are not, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unrecorded {
    /// Their namespace.
    pub namespace: String,
    /// Their workload.
    pub workload: String,
    /// What that is, such as `Deployment`; `Pod` for a pod of its own.
    pub kind: String,
    /// How many they are.
    pub pods: u64,
    /// `older_than_label`, `skipped`, `webhook_not_reached`, `label_time_unknown` (one of these two),
    /// `init_failed`, `sidecar_not_ready` or `silent`.
    pub reason: &'static str,
    /// The same in words.
    pub message: String,
    /// What to do about it; empty where nothing is known to help.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// All of them that one caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllUnrecorded {
    /// Those that are listed, by namespace and workload.
    pub groups: Vec<Unrecorded>,
    /// How many more groups there are.
    pub omitted: u64,
    /// How many pods there are in all groups.
    pub pods: u64,
}

/// A pod by its namespace and name.
pub type PodName<'a> = (&'a str, &'a str);

impl Watches {
    /// Which pods should be recorded and are not. `heard` are the pods whose sidecars the hub heard of.
    pub fn unrecorded(&self, scope: &Scope, heard: &HashSet<PodName<'_>>) -> AllUnrecorded {
        find(&self.state(), scope, heard, now_ns())
    }
}

/// Why one pod is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    OlderThanLabel,
    WebhookNotReached,
    /// One of the two above.
    LabelTimeUnknown,
    Skipped(String, String),
    InitFailed(String),
    NotReady(String),
    Silent,
}

fn find(state: &State, scope: &Scope, heard: &HashSet<PodName<'_>>, now_ns: i64) -> AllUnrecorded {
    let enabled: BTreeMap<&str, Enabled> = state
        .namespaces
        .iter()
        .filter_map(|namespace| Some((&*namespace.name, namespace.enabled?)))
        .collect();
    let mut groups: BTreeMap<(&str, &str, &str, Why), Vec<&PodFacts>> = BTreeMap::new();
    for pod in state.pods.iter().filter(|pod| scope.sees(&pod.namespace)) {
        let asked = match pod.inject {
            Some(Inject::Disabled) => None,
            Some(Inject::Enabled(since_ns)) => Some(Enabled { since_ns }),
            None => enabled.get(&*pod.namespace).copied(),
        };
        let is_heard = heard.contains(&(&*pod.namespace, &*pod.name));
        if let Some(why) = why(pod, asked, is_heard, now_ns) {
            let group = (&*pod.namespace, &*pod.workload, &*pod.kind, why);
            groups.entry(group).or_default().push(pod);
        }
    }
    AllUnrecorded {
        pods: groups.values().map(|pods| pods.len() as u64).sum(),
        omitted: groups.len().saturating_sub(LISTED) as u64,
        groups: groups
            .iter()
            .take(LISTED)
            .map(|((.., why), pods)| Unrecorded::new(why, pods))
            .collect(),
    }
}

/// Why a pod is not recorded; `None` if it is, may soon be, or need not be.
fn why(pod: &PodFacts, asked: Option<Enabled>, is_heard: bool, now_ns: i64) -> Option<Why> {
    if pod.is_leaving || pod.ended_ns.is_some() {
        return None;
    }
    let is_starting = now_ns.saturating_sub(pod.created_ns) < STARTING_NS;
    match &pod.sidecar {
        Sidecar::Skipped { code, message } => {
            asked?;
            Some(Why::Skipped(code.clone(), message.clone()))
        }
        Sidecar::None => Some(match asked?.since_ns {
            None => Why::LabelTimeUnknown,
            // Times of the API server are whole seconds: within one, the label came first.
            Some(since_ns) if pod.created_ns < since_ns => Why::OlderThanLabel,
            Some(_) => Why::WebhookNotReached,
        }),
        Sidecar::InitFailed(words) => Some(Why::InitFailed(words.clone())),
        Sidecar::NotReady(_) if is_starting => None,
        Sidecar::NotReady(reason) => Some(Why::NotReady(reason.clone())),
        Sidecar::Ready => (!is_heard && !is_starting).then_some(Why::Silent),
    }
}

impl Unrecorded {
    fn new(why: &Why, pods: &[&PodFacts]) -> Self {
        let first = pods.first();
        let text =
            |of: fn(&PodFacts) -> &String| first.map_or_else(String::new, |it| of(it).clone());
        let (reason, message, fix) = match why {
            Why::OlderThanLabel => (
                "older_than_label",
                "older than the label remora.dev/inject=enabled".to_owned(),
                restart(pods),
            ),
            Why::WebhookNotReached => (
                "webhook_not_reached",
                "made after the label, but the API server did not reach the injector".to_owned(),
                format!("see that the injector is up, then {}", restart(pods)),
            ),
            Why::LabelTimeUnknown => (
                "label_time_unknown",
                "older than the label remora.dev/inject=enabled, whose time is not known, or the API server did not \
                 reach the injector"
                    .to_owned(),
                format!("{}, and if that does not help, see that the injector is up", restart(pods)),
            ),
            Why::Skipped(code, message) => ("skipped", format!("{code}: {message}"), String::new()),
            Why::InitFailed(words) => (
                "init_failed",
                format!("the redirect rules could not be written: {words}"),
                String::new(),
            ),
            Why::NotReady(state) => (
                "sidecar_not_ready",
                format!("the sidecar does not run: {state}"),
                logs(pods),
            ),
            Why::Silent => (
                "silent",
                "the sidecar runs, but this hub never heard of it".to_owned(),
                logs(pods),
            ),
        };
        Self {
            namespace: text(|pod| &pod.namespace),
            workload: text(|pod| &pod.workload),
            kind: text(|pod| &pod.kind),
            pods: pods.len() as u64,
            reason,
            message,
            fix,
        }
    }

    /// In a sentence, without the fix.
    pub fn sentence(&self) -> String {
        let Self {
            namespace,
            workload,
            pods,
            message,
            ..
        } = self;
        let what = self.kind.to_lowercase();
        let pods = if *pods == 1 {
            "1 pod".to_owned()
        } else {
            format!("{pods} pods")
        };
        match self.reason {
            "older_than_label" | "webhook_not_reached" | "label_time_unknown" => {
                format!("no sidecar: {pods} of {what}/{workload} in {namespace}: {message}")
            }
            _ => format!("not recorded: {pods} of {what}/{workload} in {namespace}: {message}"),
        }
    }
}

/// The command that makes the pods anew.
fn restart(pods: &[&PodFacts]) -> String {
    let Some(first) = pods.first() else {
        return String::new();
    };
    let PodFacts {
        namespace,
        workload,
        kind,
        ..
    } = first;
    match kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            let kind = kind.to_lowercase();
            format!("kubectl -n {namespace} rollout restart {kind}/{workload}")
        }
        "Rollout" => format!("kubectl argo rollouts -n {namespace} restart {workload}"),
        "CronJob" => "wait for the next run".to_owned(),
        "Job" => format!("run the job {workload} again"),
        kind => {
            let names = pods.iter().take(NAMED_PODS).map(|pod| pod.name.as_str());
            let names: Vec<&str> = names.collect();
            // Nobody else makes a pod of its own again.
            let again = if kind == "Pod" {
                ", and make it again"
            } else {
                ""
            };
            format!(
                "kubectl -n {namespace} delete pod {}{again}",
                names.join(" ")
            )
        }
    }
}

fn logs(pods: &[&PodFacts]) -> String {
    pods.first().map_or_else(String::new, |pod| {
        let (namespace, name) = (&pod.namespace, &pod.name);
        format!("kubectl -n {namespace} logs {name} -c remora-proxy")
    })
}

#[cfg(test)]
mod tests;
