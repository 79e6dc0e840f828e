#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Value, json};
use test_case::test_case;

use super::*;
use crate::config::Options;

fn config() -> Config {
    Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    })
    .unwrap()
}

fn labelled() -> Namespace<'static> {
    Namespace {
        name: "shop",
        inject: Some("enabled"),
        pod_security: PodSecurity::Permits,
    }
}

fn decided(pod: &Value, namespace: Namespace<'_>, config: &Config) -> String {
    match decide(Pod::new(pod).unwrap(), namespace, config) {
        Decision::Inject => "inject".to_owned(),
        Decision::Skip(reason) => reason.code().to_owned(),
    }
}

/// A pod with the given metadata and with the given fields of the spec beside one container.
fn pod(metadata: Value, spec: Value) -> Value {
    let mut pod = json!({"metadata": metadata, "spec": {"containers": [{"name": "web"}]}});
    let fields = spec.as_object().unwrap().clone();
    pod.pointer_mut("/spec")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .extend(fields);
    pod
}

#[test_case(None, None => "not_enabled"; "nobody says anything")]
#[test_case(None, Some("enabled") => "inject"; "the namespace says yes")]
#[test_case(None, Some("disabled") => "not_enabled"; "the namespace says no")]
#[test_case(None, Some("true") => "not_enabled"; "the namespace says another word")]
#[test_case(Some("enabled"), None => "inject"; "the pod says yes")]
#[test_case(Some("enabled"), Some("disabled") => "inject"; "the pod says yes and wins")]
#[test_case(Some("disabled"), None => "disabled"; "the pod says no")]
#[test_case(Some("disabled"), Some("enabled") => "disabled"; "the pod says no and wins")]
#[test_case(Some("off"), Some("enabled") => "inject"; "only the word disabled opts out")]
#[test_case(Some("yes"), None => "not_enabled"; "only the word enabled opts in")]
fn the_labels_of_pod_and_namespace_say(on_pod: Option<&str>, on_namespace: Option<&str>) -> String {
    let labels = on_pod.map_or(json!({}), |word| json!({INJECT: word}));
    let namespace = Namespace {
        inject: on_namespace,
        ..labelled()
    };
    decided(
        &pod(json!({"labels": labels}), json!({})),
        namespace,
        &config(),
    )
}

/// Every hard reason: the pod that meets it is skipped, although its own label says `enabled`.
#[test_case(json!({}), json!({"hostNetwork": true}) => "host_network")]
#[test_case(json!({}), json!({"hostNetwork": false}) => "inject"; "no host network")]
#[test_case(json!({}), json!({"os": {"name": "windows"}}) => "windows")]
#[test_case(json!({}), json!({"nodeSelector": {"kubernetes.io/os": "windows"}}) => "windows"; "windows by its nodes")]
#[test_case(json!({}), json!({"os": {"name": "linux"}}) => "inject"; "linux")]
#[test_case(json!({}), json!({"runtimeClassName": "gvisor"}) => "runtime_class")]
#[test_case(json!({}), json!({"runtimeClassName": "kata"}) => "inject"; "a runtime class with a kernel of its own")]
#[test_case(json!({"annotations": {"kubernetes.io/config.mirror": "1f"}}), json!({}) => "static_pod")]
#[test_case(json!({}), json!({"initContainers": [{"name": "istio-init"}]}) => "other_mesh"; "istio has been there")]
#[test_case(json!({}), json!({"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}]}) => "other_mesh"; "istio as a native sidecar")]
#[test_case(json!({}), json!({"initContainers": [{"name": "linkerd-proxy"}]}) => "other_mesh"; "linkerd has been there")]
#[test_case(json!({"labels": {"sidecar.istio.io/inject": "true"}}), json!({}) => "other_mesh"; "istio will come")]
#[test_case(json!({"labels": {"sidecar.istio.io/inject": "false"}}), json!({}) => "inject"; "istio will not come")]
#[test_case(json!({"annotations": {"linkerd.io/inject": "enabled"}}), json!({}) => "other_mesh"; "linkerd will come")]
#[test_case(json!({"labels": {"istio.io/dataplane-mode": "ambient"}}), json!({}) => "other_mesh"; "istio ambient")]
#[test_case(json!({"annotations": {"dapr.io/enabled": "true"}}), json!({"initContainers": [{"name": "daprd"}]}) => "inject"; "dapr redirects nothing")]
#[test_case(json!({}), json!({"initContainers": [{"name": "remora-init"}]}) => "name_clash"; "a container with our name")]
#[test_case(json!({}), json!({"volumes": [{"name": "remora-spool"}]}) => "name_clash"; "a volume with our name")]
#[test_case(json!({}), json!({"volumes": [{"name": "remora-ca"}]}) => "name_clash"; "a volume with the name of our certificates'")]
#[test_case(json!({}), json!({"containers": [{"name": "web", "ports": [{"containerPort": 15106}]}]}) => "port_clash")]
#[test_case(json!({}), json!({"containers": [{"name": "web", "ports": [{"containerPort": 8080}]}]}) => "inject"; "a port of its own")]
#[test_case(
    json!({"annotations": {STATUS: "{}"}}),
    json!({"initContainers": [{"name": "remora-init"}, {"name": "remora-proxy"}]}) => "already_injected"
)]
#[test_case(json!({}), json!({"restartPolicy": "Never"}) => "inject"; "a pod that ends, with native sidecars")]
fn a_pod_that_asks_for_a_sidecar_is(mut metadata: Value, spec: Value) -> String {
    let labels = metadata
        .as_object_mut()
        .unwrap()
        .entry("labels")
        .or_insert(json!({}));
    labels
        .as_object_mut()
        .unwrap()
        .insert(INJECT.to_owned(), "enabled".into());
    decided(&pod(metadata, spec), labelled(), &config())
}

#[test_case("kube-system" => "system_namespace")]
#[test_case("kube-public" => "system_namespace")]
#[test_case("kube-node-lease" => "system_namespace")]
#[test_case("remora" => "own_namespace")]
#[test_case("remora-shop" => "inject"; "a namespace named after ours")]
fn a_pod_in_the_namespace_is(name: &str) -> String {
    let namespace = Namespace { name, ..labelled() };
    decided(&pod(json!({}), json!({})), namespace, &config())
}

#[test]
fn a_namespace_that_refuses_net_admin_is_told_the_way_out() {
    let namespace = Namespace {
        pod_security: PodSecurity::Refuses,
        ..labelled()
    };
    let plain = pod(json!({}), json!({}));
    assert_eq!(decided(&plain, namespace, &config()), "pod_security");
    assert!(
        Reason::PodSecurity
            .message()
            .contains("pod-security.kubernetes.io/enforce=privileged")
    );
}

#[test_case("Never" => "classic_job")]
#[test_case("OnFailure" => "classic_job")]
#[test_case("Always" => "inject")]
fn without_native_sidecars_a_pod_with_the_restart_policy_is(policy: &str) -> String {
    let config = Config {
        sidecars: Sidecars::Classic,
        ..config()
    };
    decided(
        &pod(json!({}), json!({"restartPolicy": policy})),
        labelled(),
        &config,
    )
}

#[test]
fn nobody_is_bothered_about_pods_that_did_not_ask() {
    let news = [
        Reason::HostNetwork,
        Reason::Windows,
        Reason::RuntimeClass,
        Reason::OtherMesh("Istio"),
        Reason::NameClash,
        Reason::PortClash,
        Reason::PodSecurity,
        Reason::ClassicJob,
    ];
    let quiet = [
        Reason::Disabled,
        Reason::NotEnabled,
        Reason::Unreadable,
        Reason::SystemNamespace,
        Reason::OwnNamespace,
        Reason::StaticPod,
        Reason::AlreadyInjected,
    ];
    assert!(news.iter().all(|reason| reason.is_news()));
    assert!(quiet.iter().all(|reason| !reason.is_news()));
}
