//! What injector and hub say of the same pod. Neither may know the other, so each has the names and the rules of both;
//! here a pod goes through the injector and is looked at by the hub.

use k8s_openapi::api::core::v1::Pod;
use remora_injector::annotations::INJECT;
use remora_injector::config::{Config, Options};
use remora_injector::decide::{Namespace, PodSecurity};
use remora_injector::inject::inject;
use remora_injector::patch::{INIT_CONTAINER, PROXY_CONTAINER};
use remora_mcp::watches::PodFacts;
use remora_mcp::watches::pods::{Inject, Sidecar};
use serde_json::{Value, json};
use test_case::test_case;

/// A pod as the webhook leaves it, and as the API server keeps it then.
fn kept(mut pod: Value) -> Value {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    });
    let namespace = Namespace {
        name: "shop",
        inject: Some("enabled"),
        pod_security: PodSecurity::Permits,
    };
    let injection = inject(&pod, namespace, None, &config.unwrap());
    json_patch::patch(&mut pod, &injection.patch).unwrap();
    pod["metadata"]["namespace"] = "shop".into();
    pod["metadata"]["uid"] = "2c1a".into();
    if pod["metadata"]["name"].is_null() {
        let prefix = pod["metadata"]["generateName"].as_str().unwrap();
        pod["metadata"]["name"] = format!("{prefix}x7k2p").into();
    }
    pod
}

fn seen(pod: &Value) -> PodFacts {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    PodFacts::of_pod(&pod).unwrap()
}

/// What the sidecar of a pod is told of its workload and revision.
fn told(pod: &Value) -> (String, String) {
    let init = pod["spec"]["initContainers"].as_array().unwrap();
    let proxy = init
        .iter()
        .find(|it| it["name"] == PROXY_CONTAINER)
        .unwrap();
    let variables = proxy["env"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|it| it["name"] == name);
    let workload = variable("REMORA_WORKLOAD").unwrap()["value"]
        .as_str()
        .unwrap();
    // As the kubelet resolves it.
    let revision = variable("REMORA_REVISION").map(|variable| {
        let path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            .as_str()
            .unwrap();
        let label = path
            .strip_prefix("metadata.labels['")
            .unwrap()
            .strip_suffix("']")
            .unwrap();
        pod["metadata"]["labels"][label]
            .as_str()
            .unwrap_or_default()
    });
    (workload.to_owned(), revision.unwrap_or_default().to_owned())
}

fn owned(kind: &str, name: &str, labels: Value) -> Value {
    json!({
        "generateName": format!("{name}-"), "labels": labels,
        "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true}],
    })
}

#[test_case(owned("ReplicaSet", "web-5d8f", json!({"pod-template-hash": "5d8f"})) => "web 5d8f"; "of a Deployment")]
#[test_case(owned("ReplicaSet", "web-5d8f", json!({"rollouts-pod-template-hash": "5d8f"})) => "web 5d8f"; "of a Rollout")]
#[test_case(owned("ReplicaSet", "web", json!({"app.kubernetes.io/version": "3"})) => "web 3"; "of a ReplicaSet alone")]
#[test_case(owned("ReplicaSet", "web", json!({"pod-template-hash": "", "app.kubernetes.io/version": "3"})) => "web 3"; "of a ReplicaSet with an empty hash")]
#[test_case(owned("StatefulSet", "db", json!({"controller-revision-hash": "db-1"})) => "db db-1"; "of a StatefulSet")]
#[test_case(owned("DaemonSet", "agent", json!({"controller-revision-hash": "7"})) => "agent 7"; "of a DaemonSet")]
#[test_case(owned("DaemonSet", "agent", json!({"app.kubernetes.io/version": "3"})) => "agent "; "of a DaemonSet without a hash")]
#[test_case(owned("Job", "report-29391234", json!({})) => "report "; "of a CronJob")]
#[test_case(owned("Job", "batch-2024", json!({"app.kubernetes.io/version": "3"})) => "batch-2024 3"; "of a Job")]
#[test_case(owned("Cluster", "pg", json!({})) => "pg "; "of somebody else")]
#[test_case(json!({"name": "shell", "labels": {"app.kubernetes.io/version": "3"}}) => "shell 3"; "of its own")]
#[test_case(json!({"generateName": "shell-"}) => "shell "; "of its own, with a name that is made")]
fn the_workload_and_revision_of_a_pod_are_the_same_to_its_sidecar_and_to_the_hub(
    metadata: Value,
) -> String {
    let pod = kept(json!({"metadata": metadata, "spec": {"containers": [{"name": "app"}]}}));
    let facts = seen(&pod);
    assert_eq!(told(&pod), (facts.workload.clone(), facts.revision.clone()));
    format!("{} {}", facts.workload, facts.revision)
}

#[test]
fn the_hub_knows_the_containers_that_the_injector_adds() {
    let mut pod =
        kept(json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app"}]}}));
    assert!(matches!(seen(&pod).sidecar, Sidecar::NotReady(_)));
    let status = |name: &str, state: Value| {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "started": true, "state": state})
    };
    let proxy = status(PROXY_CONTAINER, json!({"running": {}}));
    pod["status"] = json!({"initContainerStatuses": [proxy]});
    assert_eq!(seen(&pod).sidecar, Sidecar::Ready);
    let words = "not recorded: EPERM\n";
    let init = status(
        INIT_CONTAINER,
        json!({"terminated": {"exitCode": 0, "message": words}}),
    );
    pod["status"] = json!({"initContainerStatuses": [init, proxy]});
    assert_eq!(seen(&pod).sidecar, Sidecar::InitFailed("EPERM".to_owned()));
}

#[test]
fn the_hub_understands_why_the_injector_let_a_pod_be() {
    let pod = kept(
        json!({"metadata": {"name": "web"}, "spec": {"hostNetwork": true, "containers": [{"name": "app"}]}}),
    );
    let Sidecar::Skipped { code, message } = seen(&pod).sidecar else {
        panic!("{pod}");
    };
    assert_eq!(code, "host_network");
    assert_eq!(message, "the pod uses the network of its node");
}

#[test_case("enabled" => Some(true))]
#[test_case("disabled" => Some(false))]
#[test_case("true" => None; "a word that says nothing")]
fn the_label_of_a_pod_says_the_same_to_both(word: &str) -> Option<bool> {
    let pod = json!({"metadata": {"name": "web", "labels": {INJECT: word}}, "spec": {"containers": [{"name": "app"}]}});
    let pod = kept(pod);
    let says = match seen(&pod).inject {
        Some(Inject::Enabled(_)) => Some(true),
        Some(Inject::Disabled) => Some(false),
        None => None,
    };
    // Where the label says nothing the namespace's asks for a sidecar.
    let has_sidecar = pod["spec"]["initContainers"].is_array();
    assert_eq!(has_sidecar, says != Some(false));
    says
}
