//! What makes a pod, as an Event can be about it. A pod that is being made is nobody yet: it has no uid, and often no
//! name.

use serde_json::Value;

use crate::pod::Pod;
use crate::workload::Workload;

/// Longest name, uid or API that is taken for one, in bytes; Kubernetes has no longer ones. When webhooks are asked,
/// nobody has judged a pod yet, and makers are kept for a while.
const MOST_BYTES: usize = 253;

/// Whoever makes a pod: its controller, else the pod itself by its name, else its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Maker {
    /// Its API, such as `apps/v1`.
    pub api_version: String,
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// The namespace that the pod goes into.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid; empty where only a controller would have one.
    pub uid: String,
    /// The workload of the pod, by the name people know.
    pub workload: String,
}

impl Maker {
    /// Whoever makes `pod`, which goes into `namespace`.
    pub fn of(pod: Pod<'_>, namespace: &str) -> Self {
        let mut workload = Workload::of_pod(pod).name;
        workload.truncate(workload.floor_char_boundary(MOST_BYTES));
        let new = |api_version: &str, kind: &str, name: &str, uid: &str| Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            workload: workload.clone(),
        };
        let owners = pod.list("/metadata/ownerReferences");
        let is_controller = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
        if let Some(owner) = owners.iter().find(is_controller) {
            let text = |field| owner.get(field).and_then(Value::as_str).unwrap_or_default();
            let fields = ["apiVersion", "kind", "name", "uid"].map(text);
            if fields.iter().all(|field| is_name(field)) {
                let [api_version, kind, name, uid] = fields;
                return new(api_version, kind, name, uid);
            }
        }
        match pod.text("/metadata/name") {
            Some(name) if is_name(name) => new("v1", "Pod", name, ""),
            _ => new("v1", "Namespace", namespace, ""),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MOST_BYTES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case(json!({"generateName": "web-1-", "ownerReferences": [
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "7"},
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "8", "controller": true},
    ]}) => "apps/v1 ReplicaSet web-1 8"; "its controller")]
    #[test_case(json!({"name": "shell"}) => "v1 Pod shell "; "the pod itself")]
    #[test_case(json!({"name": "a".repeat(254), "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "b".repeat(254), "uid": "8", "controller": true},
    ]}) => "v1 Namespace shop "; "its namespace where the names are none")]
    #[test_case(json!({"generateName": "shell-"}) => "v1 Namespace shop "; "its namespace")]
    fn a_pod_is_made_by(metadata: Value) -> String {
        let pod = json!({"metadata": metadata, "spec": {"containers": [{}]}});
        let maker = Maker::of(Pod::new(&pod).unwrap(), "shop");
        assert_eq!(maker.namespace, "shop");
        assert!(maker.workload.len() <= MOST_BYTES);
        format!(
            "{} {} {} {}",
            maker.api_version, maker.kind, maker.name, maker.uid
        )
    }
}
