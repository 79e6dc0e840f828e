//! What is in the cluster, as Deployments of people make it.

use serde_json::{Value, json};

fn namespace_of(workload: u64, namespaces: u64) -> String {
    format!("team-{}", workload % namespaces)
}

fn address(number: u64) -> String {
    format!(
        "10.{}.{}.{}",
        1 + number / 62_500,
        number / 250 % 250,
        1 + number % 250
    )
}

fn name(number: u64, workload: u64) -> String {
    format!("workload-{workload}-7f8b9c6d5-{number:05}")
}

pub fn namespace(number: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": format!("team-{number}"), "labels": {"remora.dev/inject": "enabled"}}})
}

/// A pod of a Deployment; it has no sidecar.
pub fn pod(number: u64, workload: u64, namespaces: u64) -> Value {
    let app = format!("workload-{workload}");
    let variables: Vec<Value> = (0..12)
        .map(|at| json!({"name": format!("SETTING_{at}"), "value": format!("some value of {app}, number {at}")}))
        .collect();
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 1});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": name(number, workload),
        "namespace": namespace_of(workload, namespaces),
        "labels": {
            "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/version": "1.42.0",
            "app.kubernetes.io/managed-by": "Helm", "pod-template-hash": "7f8b9c6d5"},
        "annotations": {
            "checksum/config": "0f5c1f0b5a8e4ad1b0c6a7e2d9f3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5",
            "prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-7f8b9c6d5"),
            "uid": format!("00000000-0000-4000-8000-{workload:012}"), "controller": true, "blockOwnerDeletion": true}]},
        "spec": {
            "serviceAccountName": "default", "nodeName": format!("node-{}", number % 20), "terminationGracePeriodSeconds": 30,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "app", "image": format!("registry.example/shop/{app}:1.42.0"),
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": variables,
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "livenessProbe": probe("/livez"), "readinessProbe": probe("/readyz"),
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "tmp", "mountPath": "/tmp"}]}],
            "volumes": [{"name": "config", "configMap": {"name": format!("{app}-config")}}, {"name": "tmp", "emptyDir": {}}]}})
}

/// The status of that pod, as a kubelet writes it.
pub fn status(number: u64, workload: u64, namespaces: u64) -> Value {
    let ip = address(number);
    let at = "2026-11-29T12:00:00Z";
    let conditions: Vec<Value> = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .iter()
    .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": at}))
    .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": name(number, workload), "namespace": namespace_of(workload, namespaces)},
        "status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": at, "qosClass": "Burstable",
            "hostIP": format!("192.0.2.{}", number % 20), "conditions": conditions,
            "containerStatuses": [{
                "name": "app", "ready": true, "started": true, "restartCount": 0,
                "image": format!("registry.example/shop/workload-{workload}:1.42.0"),
                "imageID": "registry.example/shop@sha256:0f5c1f0b5a8e4ad1b0c6a7e2d9f3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5",
                "containerID": format!("containerd://{number:064x}"), "state": {"running": {"startedAt": at}}}]}})
}

/// The Service of a workload, and the EndpointSlice of its pods.
pub fn service(workload: u64, pods: &[u64], namespaces: u64) -> [Value; 2] {
    let app = format!("workload-{workload}");
    let namespace = namespace_of(workload, namespaces);
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|number| {
            json!({
            "addresses": [address(*number)], "nodeName": format!("node-{}", number % 20),
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": name(*number, workload)}})
        })
        .collect();
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app, "namespace": namespace},
            "spec": {"selector": {"app.kubernetes.io/name": app}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{app}-x"), "namespace": namespace, "labels": {"kubernetes.io/service-name": app}},
            "endpoints": endpoints, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}),
    ]
}
