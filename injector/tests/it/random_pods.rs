//! Properties over random valid pods, however unlikely.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use remora_injector::config::Config;
use remora_injector::decide::Decision;
use serde_json::{Map, Value, json};

use crate::support::{classic, config, decode_strictly, injected};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn patching_twice_is_patching_once(pod in pod(), config in any_config()) {
        let (_, once) = injected(&pod, &config);
        let (again, twice) = injected(&once, &config);
        prop_assert_eq!(again.patch.len(), 0, "{}", serde_json::to_string(&again.patch).unwrap());
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn the_same_pod_gives_the_same_bytes(pod in pod(), config in any_config()) {
        let bytes = || serde_json::to_vec(&injected(&pod, &config).0.patch).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }

    #[test]
    fn nothing_of_the_users_is_removed_or_changed(pod in pod(), config in any_config()) {
        let (_, patched) = injected(&pod, &config);
        prop_assert_eq!(without_ours(patched, &pod), without_tcp_probes(pod));
    }

    #[test]
    fn what_comes_out_is_a_pod_to_the_letter_of_the_version(pod in pod(), config in any_config()) {
        let (_, patched) = injected(&pod, &config);
        decode_strictly(&patched, config.sidecars);
    }

    #[test]
    fn no_container_shares_the_sidecars_user(pod in pod(), config in any_config()) {
        let (injection, patched) = injected(&pod, &config);
        if injection.decision == Decision::Inject {
            let uid = container(&patched, "remora-proxy")["securityContext"]["runAsUser"].clone();
            let of_others = all_containers(&patched)
                .filter(|container| !is_ours(container))
                .filter_map(|container| container.pointer("/securityContext/runAsUser"))
                .chain(patched.pointer("/spec/securityContext/runAsUser"));
            prop_assert!(of_others.into_iter().all(|other| *other != uid));
        }
    }

    #[test]
    fn a_guaranteed_pod_stays_guaranteed(pod in pod(), config in any_config()) {
        let (_, patched) = injected(&pod, &config);
        prop_assert_eq!(is_guaranteed(&patched), is_guaranteed(&pod));
    }

    #[test]
    fn any_json_at_all_has_an_answer(any in json_of_depth(4), config in any_config()) {
        let (_, patched) = injected(&any, &config);
        let spec = json!({"metadata": any.clone(), "spec": any});
        injected(&spec, &config);
        prop_assert!(patched.is_object() || patched == any);
    }
}

fn any_config() -> impl Strategy<Value = Config> {
    any::<bool>().prop_map(|native| if native { config() } else { classic() })
}

/// A pod that the API server of any supported version would take.
fn pod() -> impl Strategy<Value = Value> {
    let containers = (vec(container_body(), 1..4), vec(container_body(), 0..3));
    let fields = (
        option::of(select(vec!["Always", "OnFailure", "Never"])),
        option::of(any::<bool>()),
        option::of(15099_u64..15104),
        option::of(vec(volume(), 0..3)),
    );
    (metadata(), containers, fields).prop_map(|(metadata, (containers, init), fields)| {
        let (restart_policy, host_network, uid, volumes) = fields;
        let mut spec = Map::new();
        if !init.is_empty() {
            spec.insert("initContainers".to_owned(), named("init", init));
        }
        spec.insert("containers".to_owned(), named("app", containers));
        insert(&mut spec, "restartPolicy", restart_policy);
        insert(&mut spec, "hostNetwork", host_network);
        insert(
            &mut spec,
            "securityContext",
            uid.map(|uid| json!({"runAsUser": uid})),
        );
        insert(
            &mut spec,
            "volumes",
            volumes.map(|volumes| named("volume", volumes)),
        );
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        if let Some(metadata) = metadata {
            pod["metadata"] = metadata;
        }
        pod
    })
}

fn metadata() -> impl Strategy<Value = Option<Value>> {
    let word = select(vec![
        "enabled",
        "disabled",
        "64Mi",
        "20m",
        "22,80-90",
        "10.0.0.0/8",
        "16KiB",
        "terminate",
        "api.example.com,*",
        "nonsense",
        "",
    ]);
    let annotation = select(vec![
        "remora.dev/skip-inbound-ports",
        "remora.dev/skip-outbound-cidrs",
        "remora.dev/body-limit",
        "remora.dev/cpu-request",
        "remora.dev/cpu-limit",
        "remora.dev/memory-request",
        "remora.dev/memory-limit",
        "remora.dev/status",
        "remora.dev/engine",
        "remora.dev/intercept-tls",
        "remora.dev/upstream-ca",
        "remora.dev/faults",
        "a/~b",
        "plain",
    ]);
    let label = select(vec![
        "remora.dev/inject",
        "app",
        "pod-template-hash",
        "sidecar.istio.io/inject",
    ]);
    let map = |name| option::of(proptest::collection::btree_map(name, word.clone(), 0..4));
    let owner = select(vec!["ReplicaSet", "Job", "StatefulSet", "Other"]);
    option::of((map(annotation), map(label), option::of(owner)).prop_map(
        |(annotations, labels, owner)| {
            let mut metadata = Map::new();
            insert(
                &mut metadata,
                "annotations",
                annotations.map(|map| json!(map)),
            );
            insert(&mut metadata, "labels", labels.map(|map| json!(map)));
            insert(&mut metadata, "ownerReferences", owner.map(|kind| json!([
            {"apiVersion": "v1", "kind": kind, "name": "web-1", "uid": "1", "controller": true},
        ])));
            Value::Object(metadata)
        },
    ))
}

fn container_body() -> impl Strategy<Value = Value> {
    let probes = (
        option::of(probe()),
        option::of(probe()),
        option::of(probe()),
    );
    let rest = (
        option::of(15099_u64..15104),
        option::of(vec(select(vec![80_u64, 443, 5432, 15106]), 0..3)),
        option::of(resources()),
        option::of(vec(select(vec!["SSL_CERT_DIR", "MINE"]), 0..3)),
    );
    (probes, rest).prop_map(
        |((startup, liveness, readiness), (uid, ports, resources, env))| {
            let mut container = Map::new();
            let env = env.map(|names| {
                let set = |name| json!({"name": name, "value": "mine"});
                names.into_iter().map(set).collect::<Value>()
            });
            insert(&mut container, "env", env);
            insert(&mut container, "startupProbe", startup);
            insert(&mut container, "livenessProbe", liveness);
            insert(&mut container, "readinessProbe", readiness);
            insert(
                &mut container,
                "securityContext",
                uid.map(|uid| json!({"runAsUser": uid})),
            );
            insert(&mut container, "resources", resources);
            insert(
                &mut container,
                "ports",
                ports.map(|ports| {
                    let named = ports
                        .iter()
                        .map(|port| json!({"name": format!("p{port}"), "containerPort": port}));
                    Value::Array(named.collect())
                }),
            );
            Value::Object(container)
        },
    )
}

fn probe() -> impl Strategy<Value = Value> {
    let port = prop_oneof![Just(json!(80)), Just(json!("p80")), Just(json!("nowhere"))];
    let kind = select(vec!["tcpSocket", "httpGet"]);
    (kind, port, option::of(Just("10.0.0.1")), 1_u64..9).prop_map(|(kind, port, host, period)| {
        let mut target = Map::new();
        target.insert("port".to_owned(), port);
        insert(&mut target, "host", host);
        json!({kind: target, "periodSeconds": period})
    })
}

fn resources() -> impl Strategy<Value = Value> {
    let cpu = option::of(select(vec!["100m", "0.1", "1"]));
    let memory = option::of(select(vec!["64Mi", "1Gi"]));
    let storage = option::weighted(0.1, Just("1Gi"));
    let amounts = (cpu, memory, storage).prop_map(|(cpu, memory, storage)| {
        let mut amounts = Map::new();
        insert(&mut amounts, "cpu", cpu);
        insert(&mut amounts, "memory", memory);
        insert(&mut amounts, "ephemeral-storage", storage);
        Value::Object(amounts)
    });
    (option::of(amounts.clone()), option::of(amounts)).prop_map(|(requests, limits)| {
        let mut resources = Map::new();
        insert(&mut resources, "requests", requests);
        insert(&mut resources, "limits", limits);
        Value::Object(resources)
    })
}

fn volume() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"emptyDir": {}})),
        Just(json!({"configMap": {"name": "settings"}}))
    ]
}

fn json_of_depth(depth: u32) -> impl Strategy<Value = Value> {
    let key = select(vec![
        "metadata",
        "spec",
        "containers",
        "initContainers",
        "labels",
        "annotations",
        "remora.dev/inject",
        "name",
        "ports",
        "livenessProbe",
        "tcpSocket",
        "resources",
        "volumes",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        select(vec!["enabled", "80", ""]).prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 64, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    map.extend(value.map(|value| (key.to_owned(), value.into())));
}

fn named(prefix: &str, items: Vec<Value>) -> Value {
    let name = |(index, mut item): (usize, Value)| {
        item["name"] = format!("{prefix}-{index}").into();
        item
    };
    Value::Array(items.into_iter().enumerate().map(name).collect())
}

fn all_containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/spec/initContainers", "/spec/containers"]
        .into_iter()
        .filter_map(|list| pod.pointer(list)?.as_array())
        .flatten()
}

fn is_ours(item: &Value) -> bool {
    item["name"]
        .as_str()
        .is_some_and(|name| name.starts_with("remora-"))
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    all_containers(pod)
        .find(|container| container["name"] == name)
        .unwrap()
}

/// The patched pod with everything taken out that we may have put in.
fn without_ours(mut patched: Value, original: &Value) -> Value {
    for list in ["initContainers", "containers", "volumes"] {
        let was_there = original["spec"].get(list).is_some();
        let Some(items) = patched["spec"].get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        items.retain(|item| !is_ours(item));
        for (index, item) in items.iter_mut().enumerate() {
            take_trust_out(item, &original["spec"][list][index]);
        }
        if items.is_empty() && !was_there {
            patched["spec"].as_object_mut().unwrap().remove(list);
        }
    }
    let original = original.pointer("/metadata/annotations");
    if let Some(annotations) = patched
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        for name in [
            "remora.dev/status",
            "remora.dev/tcp-probes",
            "kubectl.kubernetes.io/default-container",
        ] {
            match original.and_then(|annotations| annotations.get(name)) {
                Some(value) => drop(annotations.insert(name.to_owned(), value.clone())),
                None => drop(annotations.remove(name)),
            }
        }
        if annotations.is_empty() && original.is_none() {
            patched["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("annotations");
        }
    }
    without_tcp_probes(patched)
}

/// Takes out of a container what has its clients trust the sidecar.
fn take_trust_out(container: &mut Value, original: &Value) {
    let fields = [("env", "value"), ("volumeMounts", "mountPath")];
    for (list, field) in fields {
        let Some(items) = container.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        let leads_there = |item: &Value| {
            let text = item[field].as_str();
            text.is_some_and(|text| text.contains("/var/run/remora/ca"))
        };
        items.retain(|item| !leads_there(item));
        if items.is_empty() && original.get(list).is_none() {
            container.as_object_mut().unwrap().remove(list);
        }
    }
}

/// A pod without `metadata` that is empty, and with every way to probe a port of its own made one.
fn without_tcp_probes(mut pod: Value) -> Value {
    if pod["metadata"].as_object().is_none_or(Map::is_empty) {
        pod.as_object_mut().unwrap().remove("metadata");
    }
    for list in ["/spec/initContainers", "/spec/containers"] {
        let containers = pod.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) else {
                    continue;
                };
                let rewritten = probe.get("httpGet").is_some_and(|get| get["port"] == 15120);
                if rewritten || probe.contains_key("tcpSocket") {
                    probe.remove("httpGet");
                    probe.remove("tcpSocket");
                    probe.insert("connects".to_owned(), true.into());
                }
            }
        }
    }
    pod
}

/// As Kubernetes reckons: all limits are there, and requests are absent or the same.
fn is_guaranteed(pod: &Value) -> bool {
    let same = |left: &Value, right: &Value| {
        left == right || [left, right].iter().all(|q| **q == "100m" || **q == "0.1")
    };
    all_containers(pod).all(|container| {
        ["cpu", "memory"].into_iter().all(|resource| {
            let limit = &container["resources"]["limits"][resource];
            let request = &container["resources"]["requests"][resource];
            !limit.is_null() && (request.is_null() || same(request, limit))
        })
    })
}
