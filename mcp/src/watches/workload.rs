//! Which workload a pod belongs to, and of which revision it is: the same as the injector says to the
//! sidecar, told from the pod alone.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

/// Least digits of the minute that a CronJob appends to the names of its Jobs.
const LEAST_CRON_DIGITS: usize = 8;

/// A workload, by the name and kind that people know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) name: String,
    /// Such as `Deployment`; `Pod` for a pod of its own.
    pub(super) kind: String,
    /// Value of the label that tells revisions apart; empty without one.
    pub(super) revision: String,
}

impl Workload {
    pub(super) fn of(pod: &Pod) -> Self {
        let owners = pod.owner_references();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        let Some(owner) = controller else {
            return Self::new(&own_name(pod), "Pod", label(pod, VERSION));
        };
        match owner.kind.as_str() {
            "ReplicaSet" => Self::of_replica_set(pod, &owner.name),
            kind @ ("StatefulSet" | "DaemonSet") => {
                Self::new(&owner.name, kind, label(pod, "controller-revision-hash"))
            }
            "Job" => match without_minute(&owner.name) {
                Some(cron) => Self::new(cron, "CronJob", label(pod, VERSION)),
                None => Self::new(&owner.name, "Job", label(pod, VERSION)),
            },
            kind => Self::new(&owner.name, kind, label(pod, VERSION)),
        }
    }

    /// A ReplicaSet carries the name of its Deployment and the hash of the template, if it has one.
    fn of_replica_set(pod: &Pod, name: &str) -> Self {
        let owners = [
            ("pod-template-hash", "Deployment"),
            ("rollouts-pod-template-hash", "Rollout"),
        ];
        for (hash_label, kind) in owners {
            let hash = label(pod, hash_label);
            if let Some(owner) = name.strip_suffix(hash).filter(|_| !hash.is_empty()) {
                return Self::new(owner.trim_end_matches('-'), kind, hash);
            }
        }
        Self::new(name, "ReplicaSet", label(pod, VERSION))
    }

    fn new(name: &str, kind: &str, revision: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            revision: revision.to_owned(),
        }
    }
}

/// The name of a pod that nobody controls. A name that the API server made has an end that says nothing, and that the
/// injector did not know of yet.
fn own_name(pod: &Pod) -> String {
    let name = pod.name_any();
    let prefix = pod.metadata.generate_name.as_deref().unwrap_or_default();
    let given = prefix.trim_end_matches('-');
    match name.starts_with(prefix) && !given.is_empty() {
        true => given.to_owned(),
        false => name,
    }
}

/// Label by which people name a version.
const VERSION: &str = "app.kubernetes.io/version";

fn label<'a>(pod: &'a Pod, name: &str) -> &'a str {
    pod.labels().get(name).map_or("", String::as_str)
}

/// The CronJob's name, if a Job's name ends in the minute it was due.
fn without_minute(job: &str) -> Option<&str> {
    let (cron, minute) = job.rsplit_once('-')?;
    let is_minute =
        minute.len() >= LEAST_CRON_DIGITS && minute.bytes().all(|byte| byte.is_ascii_digit());
    is_minute.then_some(cron)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case("ReplicaSet", "web-7d9c8b6f5d" => "Deployment/web/7d9c8b6f5d"; "a Deployment's")]
    #[test_case("ReplicaSet", "web" => "ReplicaSet/web/"; "a ReplicaSet of its own")]
    #[test_case("StatefulSet", "db" => "StatefulSet/db/db-1"; "a StatefulSet's")]
    #[test_case("DaemonSet", "agent" => "DaemonSet/agent/db-1"; "a DaemonSet's")]
    #[test_case("Job", "migrate" => "Job/migrate/"; "a Job's")]
    #[test_case("Job", "report-29391234" => "CronJob/report/"; "a CronJob's")]
    #[test_case("Job", "batch-2024" => "Job/batch-2024/"; "a Job with a year in its name")]
    #[test_case("Cluster", "pg" => "Cluster/pg/"; "a custom resource's")]
    fn the_workload_of_a_pod_is(kind: &str, owner: &str) -> String {
        let pod = json!({"metadata": {
            "name": "a-pod",
            "labels": {"pod-template-hash": "7d9c8b6f5d", "controller-revision-hash": "db-1"},
            "ownerReferences": [{"apiVersion": "v1", "uid": "1", "kind": kind, "name": owner,
                "controller": true}],
        }});
        let workload = Workload::of(&serde_json::from_value(pod).unwrap());
        format!("{}/{}/{}", workload.kind, workload.name, workload.revision)
    }

    #[test_case(json!({"name": "shell"}) => "shell"; "by its name")]
    #[test_case(json!({"name": "shell-x7k2p", "generateName": "shell-"}) => "shell"; "by the name that it asked for")]
    #[test_case(json!({"name": "shell", "generateName": "other-"}) => "shell"; "by its name though it asked for another")]
    #[test_case(json!({"name": "-x7k2p", "generateName": "-"}) => "-x7k2p"; "by all there is")]
    fn a_pod_without_controller_is_its_own_workload(metadata: serde_json::Value) -> String {
        let pod = json!({"metadata": metadata});
        let workload = Workload::of(&serde_json::from_value(pod).unwrap());
        assert_eq!(workload.kind, "Pod");
        workload.name
    }
}
