use std::net::SocketAddr;

use kube::runtime::watcher::Event;
use remora_store::names::Names;
use remora_store::store::Namespaces;
use serde_json::{Value, json};
use test_case::test_case;

use super::super::mirror::{Mirror, Mirrored};
use super::super::present;
use super::*;

/// 2026-01-01T12:00:00Z.
const NOON_NS: i64 = 1_767_268_800_000_000_000;
/// A second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

fn list<V: Mirrored>(objects: Vec<Value>) -> Mirror<V> {
    let mut mirror = Mirror::new(0);
    mirror.take(&Event::Init);
    for object in objects {
        mirror.take(&Event::InitApply(serde_json::from_value(object).unwrap()));
    }
    mirror.take(&Event::InitDone);
    mirror
}

/// A namespace that was labelled at noon.
fn shop() -> Value {
    json!({"metadata": {
        "name": "shop",
        "creationTimestamp": "2025-12-31T00:00:00Z",
        "labels": {"remora.dev/inject": "enabled"},
        "managedFields": [
            {"manager": "kubectl-create", "operation": "Update", "time": "2025-12-31T00:00:00Z",
             "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
            {"manager": "kubectl-label", "operation": "Update", "time": "2026-01-01T12:00:00Z",
             "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:remora.dev/inject": {}}}}},
        ],
    }})
}

fn pod(name: &str, created: &str, more: Value) -> Value {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "creationTimestamp": created,
            "labels": {"pod-template-hash": "5d8f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "r",
                "name": "orders-5d8f", "controller": true}],
        },
        "spec": {"containers": [{"name": "app", "image": "orders:1"}]},
    });
    json_merge(&mut pod, more);
    pod
}

/// Puts objects into each other; everything else takes the place of what was there.
fn json_merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                json_merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn state(namespaces: Vec<Value>, pods: Vec<Value>) -> State {
    State {
        namespaces: list(namespaces),
        pods: list(pods),
        services: list(Vec::new()),
        slices: list(Vec::new()),
    }
}

fn sidecar(status: Value) -> Value {
    json!({
        "spec": {"initContainers": [
            {"name": "remora-init"}, {"name": "remora-proxy", "restartPolicy": "Always"}]},
        "status": {"initContainerStatuses": status},
    })
}

fn proxy(more: Value) -> Value {
    let mut status = json!({"name": "remora-proxy", "image": "", "imageID": "", "ready": false,
        "restartCount": 0});
    json_merge(&mut status, more);
    status
}

const BEFORE: &str = "2026-01-01T11:59:59Z";
const AFTER: &str = "2026-01-01T12:00:01Z";

#[test_case(BEFORE, json!({}) => "older_than_label: older than the label remora.dev/inject=enabled => kubectl -n shop rollout restart deployment/orders"; "older than the label")]
#[test_case(AFTER, json!({}) => "webhook_not_reached: made after the label, but the API server did not reach the injector => see that the injector is up, then kubectl -n shop rollout restart deployment/orders"; "younger, and nobody asked the injector")]
#[test_case(AFTER, json!({"metadata": {"labels": {"remora.dev/inject": "disabled"}}}) => ""; "opted out")]
#[test_case(AFTER, json!({"metadata": {"annotations": {"remora.dev/status":
    r#"{"injected":false,"reason":"host_network","message":"the pod uses the network of its node"}"#}}})
    => "skipped: host_network: the pod uses the network of its node => "; "skipped")]
#[test_case(AFTER, json!({"status": {"phase": "Succeeded"}}) => ""; "done")]
#[test_case(AFTER, json!({"metadata": {"deletionTimestamp": AFTER}}) => ""; "on its way out")]
#[test_case(AFTER, sidecar(json!([{"name": "remora-init", "image": "", "imageID": "", "ready": true,
    "restartCount": 0, "state": {"terminated": {"exitCode": 0,
        "message": "not recorded: write the redirect rules: EPERM\n"}}}]))
    => "init_failed: the redirect rules could not be written: write the redirect rules: EPERM => "; "without rules")]
#[test_case(AFTER, sidecar(json!([proxy(json!({"restartCount": 4,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}))]))
    => "sidecar_not_ready: the sidecar does not run: CrashLoopBackOff, restarted 4 times => kubectl -n shop logs a -c remora-proxy"; "in a crash loop")]
#[test_case(AFTER, sidecar(json!([proxy(json!({"started": true}))]))
    => "silent: the sidecar runs, but this hub never heard of it => kubectl -n shop logs a -c remora-proxy"; "never heard of")]
fn a_pod_that_is_not_recorded_is_told_with_the_reason(created: &str, more: Value) -> String {
    let state = state(vec![shop()], vec![pod("a", created, more)]);
    let found = find(
        &state,
        &Scope::ALL,
        &HashSet::new(),
        NOON_NS + 3_600 * SECOND,
    );
    assert!(found.groups.len() <= 1 && found.pods <= 1);
    let mut texts = found
        .groups
        .iter()
        .map(|it| format!("{}: {} => {}", it.reason, it.message, it.fix));
    texts.next().unwrap_or_default()
}

#[test_case(shop(), json!({}) => "older_than_label"; "of the namespace, and known")]
#[test_case(without_history(shop()), json!({}) => "label_time_unknown"; "of the namespace, and unknown")]
#[test_case(json!({"metadata": {"name": "shop"}}), json!({"metadata": {"labels": {"remora.dev/inject": "enabled"}}})
    => "label_time_unknown"; "of the pod, and unknown")]
fn without_the_time_of_the_label_nobody_is_blamed(namespace: Value, more: Value) -> &'static str {
    let state = state(vec![namespace], vec![pod("a", BEFORE, more)]);
    let found = find(&state, &Scope::ALL, &HashSet::new(), NOON_NS);
    let group = found.groups.first().unwrap();
    assert!(
        group
            .sentence()
            .starts_with("no sidecar: 1 pod of deployment/orders in shop")
    );
    group.reason
}

/// As tools leave it that drop what they do not know the use of.
fn without_history(mut namespace: Value) -> Value {
    namespace["metadata"]["managedFields"].take();
    namespace
}

#[test]
fn nobody_is_missed_where_nobody_asked_or_the_hub_has_heard_or_the_pod_just_starts() {
    let running = || {
        pod(
            "a",
            AFTER,
            sidecar(json!([proxy(json!({"started": true}))])),
        )
    };
    let later = NOON_NS + 3_600 * SECOND;
    let count = |state: &State, heard: &HashSet<PodName<'_>>, scope: &Scope, now| {
        find(state, scope, heard, now).pods
    };
    let (nobody, heard) = (HashSet::new(), HashSet::from([("shop", "a")]));
    let labelled = state(vec![shop()], vec![running()]);
    assert_eq!(count(&labelled, &nobody, &Scope::ALL, later), 1);
    assert_eq!(count(&labelled, &heard, &Scope::ALL, later), 0);
    assert_eq!(
        count(&labelled, &nobody, &Scope::ALL, NOON_NS + 9 * SECOND),
        0
    );
    let other = Scope::whole(Namespaces::Only(["other".to_owned()].into()));
    assert_eq!(count(&labelled, &nobody, &other, later), 0);
    let plain = json!({"metadata": {"name": "shop"}});
    let unlabelled = state(vec![plain], vec![pod("a", AFTER, json!({}))]);
    assert_eq!(count(&unlabelled, &nobody, &Scope::ALL, later), 0);
}

#[test]
fn pods_of_one_workload_are_one_group_and_long_lists_are_cut() {
    let owner = |name: String| {
        json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "uid": "r",
            "kind": "StatefulSet", "name": name, "controller": true}]}})
    };
    let pods = (0..60).map(|number| {
        let more = owner(format!("db-{:02}", number / 2));
        pod(&format!("p-{number}"), BEFORE, more)
    });
    let state = state(vec![shop()], pods.collect());
    let found = find(&state, &Scope::ALL, &HashSet::new(), NOON_NS + SECOND);
    assert_eq!(
        (found.pods, found.omitted, found.groups.len()),
        (60, 10, 20)
    );
    let first = found.groups.first().unwrap();
    assert_eq!(
        first.fix,
        "kubectl -n shop rollout restart statefulset/db-00"
    );
    assert_eq!(
        first.sentence(),
        "no sidecar: 2 pods of statefulset/db-00 in shop: older than the label remora.dev/inject=enabled"
    );
}

#[test]
fn addresses_are_named_as_the_cluster_says() {
    let at = |address: &str| {
        json!({"podIPs": [{"ip": address}], "hostIP": "192.168.0.1",
        "conditions": [{"type": "PodReadyToStartContainers", "status": "True",
            "lastTransitionTime": AFTER}]})
    };
    let pods = vec![
        pod("a", AFTER, json!({"status": at("10.0.0.1")})),
        pod("b", AFTER, json!({"status": at("10.0.0.2")})),
        pod(
            "node",
            AFTER,
            json!({"status": at("192.168.0.1"), "spec": {"hostNetwork": true}}),
        ),
    ];
    let service = |name: &str, addresses: Value| {
        json!({"metadata": {"name": name, "namespace": "shop", "creationTimestamp": BEFORE},
            "spec": {"clusterIPs": addresses, "ports": [{"port": 80}]}})
    };
    let slice = |service: &str, pod: &str, address: &str| {
        json!({"metadata": {"name": format!("{service}-{pod}"), "namespace": "shop",
                "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": [{"port": 8080}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": true},
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod}}]})
    };
    let state = State {
        services: list(vec![
            service("orders", json!(["10.96.0.1"])),
            service("orders-all", json!(["None"])),
            service("alone", json!(["None"])),
        ]),
        slices: list(vec![
            slice("orders", "a", "10.0.0.1"),
            slice("orders-all", "a", "10.0.0.1"),
            slice("alone", "b", "10.0.0.2"),
            slice("alone", "node", "192.168.0.1"),
        ]),
        ..state(vec![shop()], pods)
    };
    let mut names = Names::default();
    names.observe(&present::facts(&state), NOON_NS + 60 * SECOND);
    let named = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        let party = names.party(address, NOON_NS + 30 * SECOND);
        let parts = [
            party.namespace,
            party.workload,
            party.pod,
            party.service,
            party.revision,
        ];
        parts.join("/")
    };
    assert_eq!(named("10.0.0.1:8080"), "shop/orders/a/orders/5d8f");
    assert_eq!(named("10.0.0.1:9999"), "shop/orders/a//5d8f");
    assert_eq!(named("10.0.0.2:8080"), "shop/orders/b/alone/5d8f");
    assert_eq!(named("10.96.0.1:80"), "shop/orders//orders/");
    assert_eq!(named("192.168.0.1:8080"), "////");
}

#[test]
fn a_listing_that_breaks_off_leaves_what_was_there() {
    let mut pods: Mirror<PodFacts> = list(vec![pod("a", AFTER, json!({}))]);
    assert_eq!(pods.behind_since_ns(), None);
    pods.fall_behind(5);
    pods.fall_behind(9);
    pods.take(&Event::Init);
    assert_eq!(pods.iter().count(), 1);
    assert_eq!(pods.behind_since_ns(), Some(5));
    pods.take(&Event::InitDone);
    assert_eq!((pods.iter().count(), pods.behind_since_ns()), (0, None));
}
