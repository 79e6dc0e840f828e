//! What is added to a pod: a pod and a plan in, a JSON patch out. Pure.
//!
//! `initContainers` become `[0] remora-init`, `[1] remora-proxy`, then the user's; without native sidecars
//! `remora-init` is the last of them and `remora-proxy` the first container. Two volumes, and the annotation
//! that says so. Where TLS is to be looked into, a third volume, with a mount and variables for every container
//! that starts after the sidecar. Nothing of the user's is changed or removed, except `tcpSocket` probes of the
//! pod's own ports.

mod containers;
mod edits;
mod probes;
mod resources;
mod trust;
mod uid;

pub use trust::VARIABLES as TRUST_VARIABLES;

use json_patch::Patch;
use serde_json::{Value, json};

use crate::annotations::{CHECK, Options, STATUS, TCP_PROBES};
use crate::config::{CA_CONFIG_MAP, CA_KEY, Config, Sidecars, TOKEN_KEY, Token};
use crate::decide::Reason;
use crate::pod::{Pod, name_of};
use crate::workload::Workload;
use edits::{Edits, Place};

/// Name of the container that writes the redirect rules.
pub const INIT_CONTAINER: &str = "remora-init";
/// Name of the sidecar.
pub const PROXY_CONTAINER: &str = "remora-proxy";
/// Name of the volume with what the sidecar trusts, and is trusted by: the token, and the authorities of the hub and of
/// servers.
pub const HUB_VOLUME: &str = "remora-hub";
/// Name of the volume for blocks that wait for the hub.
pub const SPOOL_VOLUME: &str = "remora-spool";
/// Name of the volume with the certificates of a sidecar that looks into TLS.
pub const CA_VOLUME: &str = "remora-ca";
/// File in the hub's volume with authorities of servers.
const UPSTREAM_CA_FILE: &str = "upstream-ca.crt";
/// Ports of the sidecar: outbound, inbound, admin.
pub const OWN_PORTS: [u64; 3] = [15101, 15106, ADMIN_PORT];

/// Port of the sidecar's probes and metrics.
const ADMIN_PORT: u64 = 15120;
/// Size at which the kubelet evicts a pod for its spool; the sidecar stays at half of it.
const SPOOL_SIZE: &str = "128Mi";
/// How long a projected token is good for, in seconds; the kubelet renews it well before.
const TOKEN_SECONDS: u64 = 3600;

/// What one pod gets.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What its annotations ask for.
    pub options: Options,
    /// Whose pod it is.
    pub workload: Workload,
}

/// The patch that puts a sidecar into `pod`.
pub fn inject(pod: Pod<'_>, plan: &Plan, config: &Config, warnings: &mut Vec<String>) -> Patch {
    let uid = uid::choose(pod);
    let resources = resources::of_sidecar(pod, &plan.options.resources, config, warnings);
    let init = containers::init(plan, config, uid, &resources);
    let proxy = containers::proxy(pod, plan, config, uid, &resources);
    let mut edits = Edits::new(pod);
    // Before containers are inserted, since these name containers by their place.
    if let Some(original) = probes::rewrite(pod, &mut edits) {
        edits.annotate(TCP_PROBES, &original.to_string());
    }
    let intercepts = plan.options.intercept_tls.is_some();
    if intercepts {
        trust::give(pod, config.sidecars, &mut edits, warnings);
    }
    match config.sidecars {
        Sidecars::Native => edits.insert("initContainers", Place::First, vec![init, proxy]),
        Sidecars::Classic => {
            edits.insert("initContainers", Place::Last, vec![init]);
            edits.insert("containers", Place::First, vec![proxy]);
            default_to_the_users_container(pod, &mut edits);
        }
    }
    let mut volumes = vec![hub_volume(plan, config), spool_volume()];
    volumes.extend(intercepts.then(trust::volume));
    edits.insert("volumes", Place::Last, volumes);
    edits.annotate(STATUS, &injected_status(config, uid));
    warn_of_udp(pod, warnings);
    edits.finish()
}

/// The patch that keeps the order of a pod that has its sidecar. A webhook behind ours may have put init containers behind
/// the one that writes the rules; where the sidecar does not run before them, they would find nobody behind the rules, and
/// the pod would never start.
pub fn keep_order(pod: Pod<'_>) -> Patch {
    let mut edits = Edits::new(pod);
    let mut containers = pod.containers().iter();
    let is_classic = containers.any(|container| name_of(container) == PROXY_CONTAINER);
    let init_containers = pod.init_containers();
    let mut places = init_containers.iter().enumerate();
    let init = places.find(|(_, container)| name_of(container) == INIT_CONTAINER);
    if let (true, Some((place, init))) = (is_classic, init)
        && place + 1 < init_containers.len()
    {
        edits.remove(["spec", "initContainers", &place.to_string()]);
        edits.add(["spec", "initContainers", "-"], init.clone());
    }
    edits.finish()
}

/// The patch that says on `pod` why it has no sidecar.
pub fn mark_skipped(pod: Pod<'_>, reason: Reason) -> Patch {
    let status = json!({"injected": false, "reason": reason.code(), "message": reason.message()});
    let mut edits = Edits::new(pod);
    edits.annotate(STATUS, &status.to_string());
    edits.finish()
}

/// The patch that says on `pod` that the injector was asked.
pub fn mark_checked(pod: Pod<'_>) -> Patch {
    let mut edits = Edits::new(pod);
    edits.annotate(CHECK, "reached");
    edits.finish()
}

fn injected_status(config: &Config, uid: u32) -> String {
    let mode = match config.sidecars {
        Sidecars::Native => "native",
        Sidecars::Classic => "classic",
    };
    json!({"injected": true, "mode": mode, "uid": uid, "image": config.image}).to_string()
}

/// `kubectl logs` and `exec` take the first container unless told otherwise; with a native sidecar that is
/// the user's anyway.
fn default_to_the_users_container(pod: Pod<'_>, edits: &mut Edits<'_>) {
    const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
    if let (None, Some(first)) = (pod.annotation(DEFAULT_CONTAINER), pod.containers().first()) {
        edits.annotate(DEFAULT_CONTAINER, name_of(first));
    }
}

fn hub_volume(plan: &Plan, config: &Config) -> Value {
    // A pod must start without any of what somebody else makes; the sidecar then says what is missing.
    let token = match &config.token {
        Token::Secret(name) => json!({"secret": {"name": name, "optional": true,
            "items": [{"key": TOKEN_KEY, "path": TOKEN_KEY}]}}),
        Token::Projected(audience) => json!({"serviceAccountToken": {
            "audience": audience, "expirationSeconds": TOKEN_SECONDS, "path": TOKEN_KEY}}),
    };
    let mut sources = vec![token];
    if config.is_over_tls() {
        sources.push(authorities(CA_CONFIG_MAP, CA_KEY));
    }
    if let Some(name) = &plan.options.upstream_ca {
        sources.push(authorities(name, UPSTREAM_CA_FILE));
    }
    json!({"name": HUB_VOLUME, "projected": {"sources": sources}})
}

fn authorities(config_map: &str, file: &str) -> Value {
    json!({"configMap": {"name": config_map, "optional": true, "items": [{"key": CA_KEY, "path": file}]}})
}

fn spool_volume() -> Value {
    json!({"name": SPOOL_VOLUME, "emptyDir": {"sizeLimit": SPOOL_SIZE}})
}

/// Datagrams go by unseen; somebody whose pod serves nothing else would wait for calls in vain.
fn warn_of_udp(pod: Pod<'_>, warnings: &mut Vec<String>) {
    let ports = || {
        let lists = pod
            .containers()
            .iter()
            .filter_map(|container| container.get("ports")?.as_array());
        lists.flatten()
    };
    let is_udp = |port: &Value| port.get("protocol").and_then(Value::as_str) == Some("UDP");
    if ports().next().is_some() && ports().all(is_udp) {
        warnings.push("all ports of the pod are UDP, which is not recorded".to_owned());
    }
}

#[cfg(test)]
mod tests;
