//! Other proxies that redirect a pod's traffic, by the marks they leave. Two redirections in one network
//! namespace send each other's traffic in circles, so ours gives way.

use serde_json::Value;

use crate::pod::{Pod, name_of};

/// Containers by which a mesh is known.
const CONTAINERS: [(&str, &str); 9] = [
    ("istio-proxy", "Istio"),
    ("istio-init", "Istio"),
    ("istio-validation", "Istio"),
    ("linkerd-proxy", "Linkerd"),
    ("linkerd-init", "Linkerd"),
    ("kuma-sidecar", "Kuma"),
    ("kuma-init", "Kuma"),
    ("consul-dataplane", "Consul"),
    ("speedscale-goproxy", "Speedscale"),
];

/// Labels and annotations by which a mesh was asked for, or has been.
const MARKS: [(&str, &str, &str); 7] = [
    ("sidecar.istio.io/inject", "true", "Istio"),
    ("istio.io/dataplane-mode", "ambient", "Istio"),
    ("ambient.istio.io/redirection", "enabled", "Istio"),
    ("linkerd.io/inject", "enabled", "Linkerd"),
    ("linkerd.io/inject", "ingress", "Linkerd"),
    ("kuma.io/sidecar-injection", "enabled", "Kuma"),
    ("consul.hashicorp.com/connect-inject", "true", "Consul"),
];

/// The name of the mesh whose proxy is, or will be, in the pod. Where a namespace asks for a mesh and its
/// webhook is called after ours, the pod does not tell yet.
pub(super) fn find(pod: Pod<'_>) -> Option<&'static str> {
    let marked = MARKS.iter().find(|(name, value, _)| {
        pod.label(name) == Some(value) || pod.annotation(name) == Some(value)
    });
    marked
        .map(|(_, _, mesh)| *mesh)
        .or_else(|| pod.all_containers().find_map(mesh_of))
}

fn mesh_of(container: &Value) -> Option<&'static str> {
    let name = name_of(container);
    let known = CONTAINERS.iter().find(|(known, _)| *known == name);
    known.map(|(_, mesh)| *mesh)
}
