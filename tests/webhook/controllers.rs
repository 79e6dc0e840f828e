//! Pods that a controller makes, which no person sees a warning about. There is no controller here: the tests do as one
//! does.

use serde_json::{Value, json};

use super::{created, installed, is_injected, pod};
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;

/// A ReplicaSet of a Deployment; gives its uid. Nobody makes its pods here but the test.
fn replica_set(server: &ApiServer, workload: &str) -> String {
    let labels = format!("{{app: {workload}, pod-template-hash: 5d8f}}");
    server.apply(&format!(
        "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: {workload}-5d8f, namespace: shop}}, \
         spec: {{replicas: 0, selector: {{matchLabels: {labels}}}, template: {{metadata: {{labels: {labels}}}, \
         spec: {{containers: [{{name: app, image: registry.example/app:1}}]}}}}}}}}"
    ));
    let name = format!("{workload}-5d8f");
    let uid = [
        "-n",
        "shop",
        "get",
        "replicaset",
        &name,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    server.ask(uid)
}

/// A pod as the controller of [`replica_set`] makes it.
fn pod_of(workload: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": format!("{workload}-5d8f-"),
            "labels": {"app": workload, "pod-template-hash": "5d8f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": format!("{workload}-5d8f"), "uid": uid, "controller": true}],
        },
        "spec": {"serviceAccountName": "default",
            "containers": [{"name": "app", "image": "registry.example/app:1"}]},
    })
}

/// Makes a pod as its controller does: where that fails, an Event says so.
fn made_by_controller(server: &ApiServer, workload: &str, uid: &str) -> Option<Value> {
    let answer = server.post("/api/v1/namespaces/shop/pods", &pod_of(workload, uid));
    if answer["kind"] == "Pod" {
        return Some(answer);
    }
    let event = server.post(
        "/api/v1/namespaces/shop/events",
        &json!({
            "metadata": {"generateName": "failed-"},
            "involvedObject": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop",
                "name": format!("{workload}-5d8f"), "uid": uid},
            "type": "Warning", "reason": "FailedCreate", "count": 1,
            "message": format!("Error creating: {}", answer["message"].as_str().unwrap()),
            "source": {"component": "replicaset-controller"},
        }),
    );
    assert_eq!(event["kind"], "Event", "{event}");
    None
}

/// The Events about an object that have a reason of the injector's.
fn events(server: &ApiServer, about: &str) -> Vec<Value> {
    let all = server.ask([
        "-n",
        "shop",
        "get",
        "events",
        "-o",
        "json",
        "--field-selector",
        about,
    ]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let all = all["items"].as_array().unwrap().iter();
    all.filter(|event| event["reason"].as_str().unwrap().starts_with("Sidecar"))
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_should_act_on_is_an_event_of_whatever_makes_the_pods() {
    let Some((server, injectors)) = installed().await else {
        return;
    };
    let (tried, made) = (replica_set(&server, "tried"), replica_set(&server, "made"));
    let with_host_network = |workload, uid| {
        let mut pod = pod_of(workload, uid);
        pod["spec"]["hostNetwork"] = true.into();
        pod.to_string()
    };
    for _ in 0..6 {
        let pod = with_host_network("tried", &tried);
        created(&server, "shop", &pod, &["--dry-run=server"]);
    }
    for _ in 0..12 {
        created(&server, "shop", &with_host_network("made", &made), &[]);
    }
    eventually("an Event about the ReplicaSet", async || {
        let described = server.ask(["-n", "shop", "describe", "replicaset", "made-5d8f"]);
        let words = [
            "SidecarSkipped",
            "(host_network): the pod uses the network of its node",
        ];
        words
            .iter()
            .all(|word| described.contains(word))
            .then_some(())
    })
    .await;
    // One of each injector that was asked, however many the pods.
    let about_made = events(&server, &format!("involvedObject.uid={made}"));
    assert!(about_made.len() <= injectors.len(), "{about_made:?}");
    assert!(about_made.iter().all(|event| event["type"] == "Warning"));
    assert_eq!(
        events(&server, &format!("involvedObject.uid={tried}")),
        Vec::<Value>::new()
    );

    // Pods that nobody controls.
    let alone = pod("shell", "").replace("labels: {}", "annotations: {remora.dev/cpu-limit: lots}");
    created(&server, "shop", &alone, &[]);
    created(
        &server,
        "shop",
        &alone.replace("name: shell", "generateName: shell-"),
        &[],
    );
    for about in [
        "involvedObject.kind=Pod,involvedObject.name=shell",
        "involvedObject.kind=Namespace",
    ] {
        let event = eventually("an Event about a pod alone", async || {
            events(&server, about).pop()
        })
        .await;
        assert_eq!(event["reason"], "SidecarWarning");
        assert!(
            event["message"]
                .as_str()
                .unwrap()
                .contains("remora.dev/cpu-limit: "),
            "{event}"
        );
    }
}

/// A policy of somebody else, for the namespace shop.
const NO_NET_ADMIN: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-net-admin}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}]
  validations:
  - expression: >-
      !object.spec.?initContainers.orValue([]).exists(c,
      "NET_ADMIN" in c.?securityContext.?capabilities.?add.orValue([]))
    message: our clusters take no NET_ADMIN
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-net-admin}
spec:
  policyName: no-net-admin
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_refuses_sidecars_keeps_no_pod_of_a_controller_from_starting() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let (web, cart) = (replica_set(&server, "web"), replica_set(&server, "cart"));
    server.apply(NO_NET_ADMIN);
    eventually("the policy", async || {
        is_refused(&server, &cart).then_some(())
    })
    .await;

    let made = eventually("a pod that is not refused", async || {
        made_by_controller(&server, "web", &web)
    })
    .await;
    assert!(!is_injected(&made));
    let status = made["metadata"]["annotations"]["remora.dev/status"].as_str();
    assert!(status.unwrap().contains("refused_by_policy"), "{made}");
    let about = format!("involvedObject.uid={web}");
    let event = eventually("an Event", async || events(&server, &about).pop()).await;
    assert!(
        event["message"]
            .as_str()
            .unwrap()
            .contains("(refused_by_policy)"),
        "{event}"
    );

    // Nobody else suffers for it.
    server.ask(["delete", "validatingadmissionpolicybinding", "no-net-admin"]);
    eventually("no policy", async || {
        (!is_refused(&server, &cart)).then_some(())
    })
    .await;
    let made = made_by_controller(&server, "cart", &cart).unwrap();
    assert!(is_injected(&made), "{made}");
}

/// Whether the policy refuses a pod with a sidecar. It is only tried, so nobody learns from it.
fn is_refused(server: &ApiServer, uid: &str) -> bool {
    let tried = "/api/v1/namespaces/shop/pods?dryRun=All";
    let answer = server.post(tried, &pod_of("cart", uid));
    let message = answer["message"].as_str().unwrap_or_default();
    message.contains("our clusters take no NET_ADMIN")
}
