//! What is kept of a pod.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt as _;
use serde_json::Value;

use super::mirror::{Mirror, Mirrored};
use super::workload::Workload;
use super::{INJECT, State};

/// Annotation that says what the injector did with a pod, or why not.
const STATUS: &str = "remora.dev/status";
/// Container that writes the redirect rules.
const INIT_CONTAINER: &str = "remora-init";
/// The sidecar.
const PROXY_CONTAINER: &str = "remora-proxy";
/// What the init container says first where it could not write the rules.
const NOT_RECORDED: &str = "not recorded: ";
/// Longest text of somebody else that is kept, in bytes.
const TEXT_BYTES: usize = 200;

/// What is kept of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// Which pod, of all that ever had its name.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its workload, as the injector names it to the sidecar.
    pub workload: String,
    /// What that is, such as `Deployment`; `Pod` for a pod of its own.
    pub kind: String,
    /// Value of the label that tells revisions apart; empty without one.
    pub revision: String,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Whether its addresses are those of its node.
    pub host_network: bool,
    /// From when it had its addresses, as well as that is told: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// When its last container ended, if it is done for good.
    pub ended_ns: Option<i64>,
    /// When it was made.
    pub(super) created_ns: i64,
    /// Whether it is on its way out.
    pub(super) is_leaving: bool,
    /// What its own label says; `None` without one.
    pub inject: Option<Inject>,
    /// What became of it at the injector.
    pub sidecar: Sidecar,
}

/// What the label of a pod says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inject {
    /// It asks for a sidecar, since this time; `None` where nobody kept it.
    Enabled(Option<i64>),
    /// It wants none.
    Disabled,
}

/// What is known of the sidecar of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sidecar {
    /// There is none, and nobody said why.
    None,
    /// The injector let it be, with a code and a sentence.
    Skipped {
        /// The injector's reason, in a word.
        code: String,
        /// The same in a sentence.
        message: String,
    },
    /// The redirect rules could not be written.
    InitFailed(String),
    /// It does not run, or not yet.
    NotReady(String),
    /// It runs.
    Ready,
}

impl PodFacts {
    /// What is kept of `pod`; `None` of one that has no uid, namespace or spec.
    pub fn of_pod(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let nothing = PodStatus::default();
        let status = pod.status.as_ref().unwrap_or(&nothing);
        let Workload {
            name: workload,
            kind,
            revision,
        } = Workload::of(pod);
        let created_ns = time_ns(pod.metadata.creation_timestamp.as_ref());
        let mut ips: Vec<IpAddr> = status
            .pod_ips
            .iter()
            .flatten()
            .filter_map(|it| it.ip.parse().ok())
            .collect();
        ips.dedup();
        Some(Self {
            uid: pod.uid()?,
            namespace: pod.namespace()?,
            name: pod.name_any(),
            workload,
            kind,
            revision,
            ips,
            host_network: spec.host_network == Some(true),
            since_ns: networked_ns(status).unwrap_or(created_ns),
            ended_ns: ended_ns(status, created_ns),
            created_ns,
            is_leaving: pod.metadata.deletion_timestamp.is_some(),
            inject: match pod.labels().get(INJECT).map(String::as_str) {
                Some("enabled") => Some(Inject::Enabled(labelled_ns(&pod.metadata))),
                Some("disabled") => Some(Inject::Disabled),
                _ => None,
            },
            sidecar: sidecar(pod, status),
        })
    }

    /// The addresses that are the pod's alone.
    pub(super) fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let own = (!self.host_network).then_some(&self.ips);
        own.into_iter().flatten().map(IpAddr::to_canonical)
    }
}

impl Mirrored for PodFacts {
    type Object = Pod;

    fn read(pod: &Pod) -> Option<Self> {
        Self::of_pod(pod)
    }

    fn of(state: &mut State) -> &mut Mirror<Self> {
        &mut state.pods
    }
}

/// When the network of a pod was there: its address was given to it just before.
fn networked_ns(status: &PodStatus) -> Option<i64> {
    let mut conditions = status.conditions.iter().flatten();
    let ready = conditions
        .find(|it| it.type_ == "PodReadyToStartContainers" && it.status == "True")
        .and_then(|it| it.last_transition_time.as_ref());
    let started = || {
        let states = all_containers(status).filter_map(|it| it.state.as_ref());
        let starts = states.filter_map(|state| match (&state.running, &state.terminated) {
            (Some(running), _) => running.started_at.as_ref(),
            (_, Some(terminated)) => terminated.started_at.as_ref(),
            _ => None,
        });
        starts.map(|time| time_ns(Some(time))).min()
    };
    ready
        .map(|time| time_ns(Some(time)))
        .or_else(started)
        .or_else(|| status.start_time.as_ref().map(|time| time_ns(Some(time))))
}

/// When a pod that is done gave up its address.
fn ended_ns(status: &PodStatus, created_ns: i64) -> Option<i64> {
    let is_done = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let ends = all_containers(status)
        .filter_map(|it| it.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    let last = ends.map(|time| time_ns(Some(time))).max();
    is_done.then(|| last.unwrap_or(created_ns))
}

fn all_containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten())
}

fn sidecar(pod: &Pod, status: &PodStatus) -> Sidecar {
    let spec = pod.spec.iter();
    let mut containers = spec.flat_map(|spec| {
        spec.init_containers
            .iter()
            .flatten()
            .chain(&spec.containers)
    });
    if !containers.any(|container| container.name == PROXY_CONTAINER) {
        return skipped(pod).unwrap_or(Sidecar::None);
    }
    let find = |name| all_containers(status).find(|it| it.name == name);
    let last_words = find(INIT_CONTAINER).and_then(|init| {
        let ended = init.state.as_ref().and_then(|it| it.terminated.as_ref());
        ended?.message.as_deref()?.strip_prefix(NOT_RECORDED)
    });
    if let Some(words) = last_words {
        return Sidecar::InitFailed(plain(words));
    }
    match find(PROXY_CONTAINER) {
        Some(proxy) if proxy.ready || proxy.started == Some(true) => Sidecar::Ready,
        Some(proxy) => {
            let waiting = proxy.state.as_ref().and_then(|it| it.waiting.as_ref());
            let reason = waiting.and_then(|it| it.reason.as_deref());
            let reason = plain(reason.unwrap_or("not started"));
            Sidecar::NotReady(match proxy.restart_count {
                0 => reason,
                restarts => format!("{reason}, restarted {restarts} times"),
            })
        }
        None => Sidecar::NotReady("not started".to_owned()),
    }
}

/// What the injector wrote on a pod that it let be.
fn skipped(pod: &Pod) -> Option<Sidecar> {
    let status: Value = serde_json::from_str(pod.annotations().get(STATUS)?).ok()?;
    let text = |name| status.get(name).and_then(Value::as_str).map(plain);
    (status.get("injected") == Some(&Value::Bool(false))).then(|| Sidecar::Skipped {
        code: text("reason").unwrap_or_default(),
        message: text("message").unwrap_or_default(),
    })
}

/// Text of somebody else, short and on one line.
fn plain(text: &str) -> String {
    let cut = text.floor_char_boundary(TEXT_BYTES);
    let text = text.get(..cut).unwrap_or_default();
    let visible = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    visible.collect::<String>().trim().to_owned()
}

/// When the label that asks for a sidecar was last set, as far as the API server remembers.
pub(super) fn labelled_ns(metadata: &ObjectMeta) -> Option<i64> {
    let managed = metadata.managed_fields.iter().flatten();
    let ours = managed.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        let labels = fields.and_then(|fields| fields.0.get("f:metadata")?.get("f:labels"));
        labels.is_some_and(|labels| labels.get(format!("f:{INJECT}")).is_some())
    });
    ours.filter_map(|entry| entry.time.as_ref())
        .map(|time| time_ns(Some(time)))
        .max()
}

/// Nanoseconds since the Unix epoch; its beginning where there is no time.
pub(super) fn time_ns(time: Option<&Time>) -> i64 {
    time.map_or(0, |time| {
        i64::try_from(time.0.as_nanosecond()).unwrap_or(i64::MAX)
    })
}
