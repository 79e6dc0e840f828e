//! Whether a pod gets a sidecar: a pod and its namespace in, a decision with a stable reason out. Pure.
//!
//! What makes a sidecar useless or harmful wins over every label; then the pod's own label; then the
//! namespace's. The codes of reasons are an interface: people filter by them.

use crate::annotations::{INJECT, STATUS};
use crate::config::{Config, Sidecars, Token};
use crate::patch::{
    CA_VOLUME, HUB_VOLUME, INIT_CONTAINER, OWN_PORTS, PROXY_CONTAINER, SPOOL_VOLUME,
};
use crate::pod::{Pod, name_of};

mod mesh;

/// Namespaces in which nothing is ever injected.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What is known of the namespace of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Value of its label `remora.dev/inject`.
    pub inject: Option<&'a str>,
    /// Whether its Pod Security level lets a pod have NET_ADMIN.
    pub pod_security: PodSecurity,
}

/// Whether a namespace lets a pod have NET_ADMIN, as far as its label tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// It says nothing, `privileged`, or it is not known.
    Permits,
    /// `pod-security.kubernetes.io/enforce` is `baseline` or `restricted`.
    Refuses,
}

/// What is done with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It gets a sidecar.
    Inject,
    /// It starts as it is.
    Skip(Reason),
}

/// Why a pod gets no sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The pod's label says `disabled`.
    Disabled,
    /// Neither the pod nor the namespace says `enabled`.
    NotEnabled,
    /// What came is not a pod with containers.
    Unreadable,
    /// A namespace of Kubernetes.
    SystemNamespace,
    /// The namespace of Remora itself.
    OwnNamespace,
    /// The mirror of a static pod, which nobody can change.
    StaticPod,
    /// It has its sidecar.
    AlreadyInjected,
    /// It uses the node's network, whose rules are not ours to write.
    HostNetwork,
    /// It runs on Windows.
    Windows,
    /// Its runtime class has no nftables.
    RuntimeClass,
    /// Another proxy redirects its traffic; the name says which.
    OtherMesh(&'static str),
    /// It has containers or volumes with the names of ours.
    NameClash,
    /// It listens on a port that the sidecar needs.
    PortClash,
    /// The namespace refuses NET_ADMIN, which the init container needs.
    PodSecurity,
    /// It runs to its end, which a classic sidecar would keep it from.
    ClassicJob,
    /// It has no service account, whose token the sidecar would show to the hub.
    NoServiceAccount,
    /// A pod of its workload was refused after it was given a sidecar.
    RefusedByPolicy,
}

impl Reason {
    /// The stable code, such as `host_network`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NotEnabled => "not_enabled",
            Self::Unreadable => "unreadable",
            Self::SystemNamespace => "system_namespace",
            Self::OwnNamespace => "own_namespace",
            Self::StaticPod => "static_pod",
            Self::AlreadyInjected => "already_injected",
            Self::HostNetwork => "host_network",
            Self::Windows => "windows",
            Self::RuntimeClass => "runtime_class",
            Self::OtherMesh(_) => "other_mesh",
            Self::NameClash => "name_clash",
            Self::PortClash => "port_clash",
            Self::PodSecurity => "pod_security",
            Self::ClassicJob => "classic_job",
            Self::NoServiceAccount => "no_service_account",
            Self::RefusedByPolicy => "refused_by_policy",
        }
    }

    /// A sentence for the person who wondered, with the way out where there is one.
    pub fn message(self) -> String {
        let text = match self {
            Self::Disabled => "the pod opts out by its label",
            Self::NotEnabled => "neither pod nor namespace has the label remora.dev/inject=enabled",
            Self::Unreadable => "it is not a pod with containers",
            Self::SystemNamespace => "namespaces of Kubernetes are left alone",
            Self::OwnNamespace => "Remora does not record itself",
            Self::StaticPod => "a static pod cannot be changed",
            Self::AlreadyInjected => "it has its sidecar",
            Self::HostNetwork => "the pod uses the network of its node",
            Self::Windows => "the pod runs on Windows",
            Self::RuntimeClass => "the runtime class of the pod has no nftables",
            Self::OtherMesh(mesh) => {
                return format!("{mesh} redirects the traffic of the pod already");
            }
            Self::NameClash => "the pod has a container or volume named like one of Remora's",
            Self::PortClash => "the pod listens on 15101, 15106 or 15120, which the sidecar needs",
            Self::PodSecurity => {
                "the Pod Security level of the namespace refuses NET_ADMIN, which redirecting needs; \
                 for a test label it pod-security.kubernetes.io/enforce=privileged"
            }
            Self::ClassicJob => {
                "without native sidecars (Kubernetes 1.29) a pod that runs to its end would never end"
            }
            Self::NoServiceAccount => {
                "the pod has no service account, whose token the hub knows sidecars by; name one in serviceAccountName"
            }
            Self::RefusedByPolicy => {
                "the cluster refused a pod of this workload that had a sidecar, so for an hour its pods start without \
                 one; the FailedCreate Events of its controller say which policy or quota it was"
            }
        };
        text.to_owned()
    }

    /// Whether somebody asked for a sidecar and must be told that there is none.
    pub fn is_news(self) -> bool {
        !matches!(
            self,
            Self::Disabled
                | Self::NotEnabled
                | Self::Unreadable
                | Self::SystemNamespace
                | Self::OwnNamespace
                | Self::StaticPod
                | Self::AlreadyInjected
        )
    }
}

/// Decides about `pod`, whose namespace is `namespace`.
pub fn decide(pod: Pod<'_>, namespace: Namespace<'_>, config: &Config) -> Decision {
    match labels(pod, namespace).or_else(|| hard_skip(pod, namespace, config)) {
        Some(reason) => Decision::Skip(reason),
        None => Decision::Inject,
    }
}

/// Why a pod that is being made gets no sidecar although [`decide`] gave it one; `is_refused` where pods of its workload
/// were refused with a sidecar. The API server gives every pod a service account before it asks webhooks, unless its
/// plugin for that is off; then it refuses projected tokens. Manifests say nothing of either.
pub fn decide_at_admission(pod: Pod<'_>, is_refused: bool, config: &Config) -> Option<Reason> {
    let has_account = pod
        .text("/spec/serviceAccountName")
        .is_some_and(|account| !account.is_empty());
    let needs_account = matches!(config.token, Token::Projected(_));
    (needs_account && !has_account)
        .then_some(Reason::NoServiceAccount)
        .or(is_refused.then_some(Reason::RefusedByPolicy))
}

/// Whether nobody asked for a sidecar. The pod's label wins; any other word says nothing.
fn labels(pod: Pod<'_>, namespace: Namespace<'_>) -> Option<Reason> {
    match (pod.label(INJECT), namespace.inject) {
        (Some("disabled"), _) => Some(Reason::Disabled),
        (Some("enabled"), _) | (_, Some("enabled")) => None,
        _ => Some(Reason::NotEnabled),
    }
}

/// What wins over every label. The order decides only which of several reasons is told.
fn hard_skip(pod: Pod<'_>, namespace: Namespace<'_>, config: &Config) -> Option<Reason> {
    let runs_to_end = pod
        .text("/spec/restartPolicy")
        .is_some_and(|policy| policy != "Always");
    let checks = [
        (
            SYSTEM_NAMESPACES.contains(&namespace.name),
            Reason::SystemNamespace,
        ),
        (namespace.name == config.own_namespace, Reason::OwnNamespace),
        (
            pod.annotation("kubernetes.io/config.mirror").is_some(),
            Reason::StaticPod,
        ),
        (is_injected(pod), Reason::AlreadyInjected),
        (
            pod.at("/spec/hostNetwork")
                .and_then(serde_json::Value::as_bool)
                == Some(true),
            Reason::HostNetwork,
        ),
        (is_windows(pod), Reason::Windows),
        (has_refused_runtime(pod, config), Reason::RuntimeClass),
    ];
    let first = checks
        .into_iter()
        .find_map(|(holds, reason)| holds.then_some(reason));
    first
        .or_else(|| mesh::find(pod).map(Reason::OtherMesh))
        .or_else(|| has_our_names(pod).then_some(Reason::NameClash))
        .or_else(|| uses_our_ports(pod).then_some(Reason::PortClash))
        .or_else(|| (namespace.pod_security == PodSecurity::Refuses).then_some(Reason::PodSecurity))
        .or_else(|| {
            (config.sidecars == Sidecars::Classic && runs_to_end).then_some(Reason::ClassicJob)
        })
}

/// Both containers of ours, and the mark that we put them there.
fn is_injected(pod: Pod<'_>) -> bool {
    let has = |name| {
        pod.all_containers()
            .any(|container| name_of(container) == name)
    };
    pod.annotation(STATUS).is_some() && has(INIT_CONTAINER) && has(PROXY_CONTAINER)
}

fn is_windows(pod: Pod<'_>) -> bool {
    let selector = pod
        .at("/spec/nodeSelector")
        .and_then(|selector| selector.get("kubernetes.io/os")?.as_str());
    pod.text("/spec/os/name") == Some("windows") || selector == Some("windows")
}

fn has_refused_runtime(pod: Pod<'_>, config: &Config) -> bool {
    pod.text("/spec/runtimeClassName").is_some_and(|class| {
        config
            .refused_runtime_classes
            .iter()
            .any(|refused| refused == class)
    })
}

fn has_our_names(pod: Pod<'_>) -> bool {
    let containers = [INIT_CONTAINER, PROXY_CONTAINER];
    let volumes = [HUB_VOLUME, SPOOL_VOLUME, CA_VOLUME];
    pod.all_containers()
        .any(|container| containers.contains(&name_of(container)))
        || pod
            .list("/spec/volumes")
            .iter()
            .any(|volume| volumes.contains(&name_of(volume)))
}

fn uses_our_ports(pod: Pod<'_>) -> bool {
    let ports = pod
        .all_containers()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten();
    ports
        .filter_map(|port| port.get("containerPort")?.as_u64())
        .any(|port| OWN_PORTS.contains(&port))
}

#[cfg(test)]
mod tests;
