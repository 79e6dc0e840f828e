//! Which workload a pod belongs to, and which label of it tells its revision.

use serde_json::Value;

use crate::pod::{Pod, name_of};

/// Label that a Deployment's ReplicaSet puts on its pods.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The same, of Argo Rollouts.
const ROLLOUTS_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";
/// Label that StatefulSets and DaemonSets put on their pods.
const REVISION_HASH: &str = "controller-revision-hash";
/// Label by which people name a version.
const VERSION: &str = "app.kubernetes.io/version";
/// Least digits of the minute that a CronJob appends to the names of its Jobs.
const LEAST_CRON_DIGITS: usize = 8;

/// A workload by the name people know, such as that of the Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name; never empty.
    pub name: String,
    /// The label of its pods whose value is the revision.
    pub revision_label: Option<&'static str>,
}

impl Workload {
    /// The workload of a pod that is being made: told by its controller, else by its own name.
    pub fn of_pod(pod: Pod<'_>) -> Self {
        let owners = pod.list("/metadata/ownerReferences");
        let is_controller = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
        let Some(owner) = owners.iter().find(is_controller) else {
            let name = pod
                .text("/metadata/name")
                .or(pod.text("/metadata/generateName"));
            return Self::named(name.unwrap_or_default(), version_label(pod));
        };
        let name = name_of(owner);
        match owner.get("kind").and_then(Value::as_str) {
            Some("ReplicaSet") => Self::of_replica_set(pod, name),
            Some("StatefulSet" | "DaemonSet") => Self::named(name, Some(REVISION_HASH)),
            Some("Job") => Self::named(without_minute(name), version_label(pod)),
            _ => Self::named(name, version_label(pod)),
        }
    }

    /// The workload of a template inside a manifest of `kind` with the name `name`.
    pub fn of_template(kind: &str, name: &str, template: Pod<'_>) -> Self {
        let revision_label = match kind {
            "Deployment" => Some(TEMPLATE_HASH),
            "StatefulSet" | "DaemonSet" => Some(REVISION_HASH),
            _ => version_label(template),
        };
        Self::named(name, revision_label)
    }

    /// A ReplicaSet carries the name of its Deployment and the hash of the template, if it has one.
    fn of_replica_set(pod: Pod<'_>, name: &str) -> Self {
        for label in [TEMPLATE_HASH, ROLLOUTS_TEMPLATE_HASH] {
            let hash = pod.label(label).filter(|hash| !hash.is_empty());
            if let Some(deployment) = hash.and_then(|hash| name.strip_suffix(hash)) {
                return Self::named(deployment, Some(label));
            }
        }
        Self::named(name, version_label(pod))
    }

    fn named(name: &str, revision_label: Option<&'static str>) -> Self {
        let name = name.trim_end_matches('-');
        Self {
            // The sidecar takes no empty name, and a pod must start whatever it is called.
            name: if name.is_empty() { "unknown" } else { name }.to_owned(),
            revision_label,
        }
    }
}

fn version_label(pod: Pod<'_>) -> Option<&'static str> {
    pod.label(VERSION).map(|_| VERSION)
}

/// The CronJob's name, if a Job's name ends in the minute it was due.
fn without_minute(job: &str) -> &str {
    match job.rsplit_once('-') {
        Some((cron, minute))
            if minute.len() >= LEAST_CRON_DIGITS && minute.bytes().all(|b| b.is_ascii_digit()) =>
        {
            cron
        }
        _ => job,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case("ReplicaSet", "web-7d9c8b6f5d" => ("web".to_owned(), Some(TEMPLATE_HASH)); "a Deployment's")]
    #[test_case("ReplicaSet", "web" => ("web".to_owned(), None); "a ReplicaSet of its own")]
    #[test_case("StatefulSet", "db" => ("db".to_owned(), Some(REVISION_HASH)); "a StatefulSet's")]
    #[test_case("DaemonSet", "agent" => ("agent".to_owned(), Some(REVISION_HASH)); "a DaemonSet's")]
    #[test_case("Job", "migrate" => ("migrate".to_owned(), None); "a Job's")]
    #[test_case("Job", "report-29391234" => ("report".to_owned(), None); "a CronJob's")]
    #[test_case("Job", "batch-2024" => ("batch-2024".to_owned(), None); "a Job with a year in its name")]
    #[test_case("Cluster", "pg" => ("pg".to_owned(), None); "a custom resource's")]
    fn the_workload_of_a_pod_is(kind: &str, owner: &str) -> (String, Option<&'static str>) {
        let pod = json!({
            "metadata": {
                "generateName": format!("{owner}-"),
                "labels": {"pod-template-hash": "7d9c8b6f5d"},
                "ownerReferences": [{"kind": kind, "name": owner, "controller": true}],
            },
            "spec": {"containers": [{}]},
        });
        let workload = Workload::of_pod(Pod::new(&pod).unwrap());
        (workload.name, workload.revision_label)
    }

    #[test_case(json!({"name": "shell"}) => "shell"; "by its name")]
    #[test_case(json!({"generateName": "shell-"}) => "shell"; "by the name it will get")]
    #[test_case(json!({}) => "unknown"; "by none")]
    fn a_pod_without_controller_is_its_own_workload(metadata: Value) -> String {
        let pod = json!({"metadata": metadata, "spec": {"containers": [{}]}});
        Workload::of_pod(Pod::new(&pod).unwrap()).name
    }
}
