//! The two containers: what `remora init` and `remora proxy` are told, and what they may do.
//!
//! Both are told by environment, which is a flag of theirs each; identity comes from the downward API, so
//! that a copy of the pod (`kubectl debug --copy-to`) is recorded as itself.

use serde_json::{Value, json};

use super::trust::CA_DIR;
use super::{
    ADMIN_PORT, CA_VOLUME, HUB_VOLUME, INIT_CONTAINER, PROXY_CONTAINER, Plan, SPOOL_VOLUME,
    UPSTREAM_CA_FILE,
};
use crate::config::{CA_KEY, Config, Sidecars, TOKEN_KEY};
use crate::pod::Pod;

/// Where token and authorities are mounted.
const HUB_DIR: &str = "/var/run/secrets/remora";
/// Where blocks wait for the hub.
const SPOOL_DIR: &str = "/var/lib/remora/spool";
/// How often the kubelet asks, a second apart, whether the sidecar listens. It does so within milliseconds;
/// the rest is for a node that has no time.
const STARTUP_ATTEMPTS: u32 = 120;

/// How long a pod is given to end where it does not say.
const GRACE_SECONDS: u64 = 30;
/// What a sidecar needs of that for itself, so that it ships what it has: a classic one is told to end together with the
/// application, and serves on for it until then.
const STOP_SECONDS: u64 = 5;

/// The container that writes the redirect rules and ends.
pub(super) fn init(plan: &Plan, config: &Config, uid: u32, resources: &Value) -> Value {
    let options = &plan.options;
    let mut env = vec![literal("REMORA_PROXY_UID", &uid.to_string())];
    let skips = [
        ("REMORA_SKIP_INBOUND_PORTS", &options.skip_inbound_ports),
        ("REMORA_SKIP_OUTBOUND_PORTS", &options.skip_outbound_ports),
        ("REMORA_SKIP_OUTBOUND_CIDRS", &options.skip_outbound_cidrs),
    ];
    for (name, value) in skips {
        env.extend(value.as_deref().map(|value| literal(name, value)));
    }
    json!({
        "name": INIT_CONTAINER,
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        // A pod that may not write rules starts unrecorded, and its log says why.
        "args": ["init", "--optional"],
        "env": env,
        "resources": resources,
        "securityContext": security_context(uid, &["NET_ADMIN"]),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    })
}

/// The sidecar.
pub(super) fn proxy(
    pod: Pod<'_>,
    plan: &Plan,
    config: &Config,
    uid: u32,
    resources: &Value,
) -> Value {
    let mut mounts = vec![
        json!({"name": HUB_VOLUME, "mountPath": HUB_DIR, "readOnly": true}),
        json!({"name": SPOOL_VOLUME, "mountPath": SPOOL_DIR}),
    ];
    if plan.options.intercept_tls.is_some() {
        mounts.push(json!({"name": CA_VOLUME, "mountPath": CA_DIR}));
    }
    let mut container = json!({
        "name": PROXY_CONTAINER,
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "args": ["proxy", "--redirect"],
        "env": proxy_env(pod, plan, config),
        "resources": resources,
        "securityContext": security_context(uid, &[]),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    });
    if let (Sidecars::Native, Some(container)) = (config.sidecars, container.as_object_mut()) {
        container.insert("restartPolicy".to_owned(), "Always".into());
        // What comes after waits until the sidecar listens, init containers included.
        let probe = json!({
            "httpGet": {"path": "/readyz", "port": ADMIN_PORT, "scheme": "HTTP"},
            "periodSeconds": 1,
            "failureThreshold": STARTUP_ATTEMPTS,
        });
        container.insert("startupProbe".to_owned(), probe);
    }
    container
}

fn proxy_env(pod: Pod<'_>, plan: &Plan, config: &Config) -> Vec<Value> {
    let mut env = vec![
        literal("REMORA_INGEST", &config.ingest),
        literal("REMORA_TOKEN_FILE", &format!("{HUB_DIR}/{TOKEN_KEY}")),
        literal("REMORA_SPOOL", SPOOL_DIR),
        literal("REMORA_WORKLOAD", &plan.workload.name),
        downward("REMORA_NAMESPACE", "metadata.namespace"),
        downward("REMORA_POD", "metadata.name"),
        downward("REMORA_POD_UID", "metadata.uid"),
        downward("REMORA_POD_IPS", "status.podIPs"),
    ];
    if config.is_over_tls() {
        env.push(literal("REMORA_INGEST_CA", &format!("{HUB_DIR}/{CA_KEY}")));
    }
    if let Some(label) = plan.workload.revision_label {
        env.push(downward(
            "REMORA_REVISION",
            &format!("metadata.labels['{label}']"),
        ));
    }
    if let Some(bytes) = plan.options.body_limit_bytes {
        env.push(literal("REMORA_BODY_LIMIT", &bytes.to_string()));
    }
    if let Some(engine) = plan.options.engine {
        env.push(literal("REMORA_ENGINE", engine));
    }
    if let Some(names) = &plan.options.intercept_tls {
        env.push(literal("REMORA_INTERCEPT_TLS", names));
        env.push(literal("REMORA_CA_DIR", CA_DIR));
    }
    if plan.options.upstream_ca.is_some() {
        let file = format!("{HUB_DIR}/{UPSTREAM_CA_FILE}");
        env.push(literal("REMORA_UPSTREAM_CA", &file));
        // A pod must start without what somebody else makes.
        env.push(literal("REMORA_UPSTREAM_CA_OPTIONAL", "true"));
    }
    if plan.options.faults_allowed {
        env.push(literal("REMORA_ALLOW_FAULTS", "true"));
    }
    if config.sidecars == Sidecars::Classic {
        let grace = pod.at("/spec/terminationGracePeriodSeconds");
        let grace = grace.and_then(Value::as_u64).unwrap_or(GRACE_SECONDS);
        let linger = grace.saturating_sub(STOP_SECONDS);
        env.push(literal("REMORA_LINGER", &format!("{linger}s")));
    }
    env
}

/// What a container may do: nothing but the capabilities named.
fn security_context(uid: u32, add: &[&str]) -> Value {
    let mut capabilities = json!({"drop": ["ALL"]});
    if let (false, Some(capabilities)) = (add.is_empty(), capabilities.as_object_mut()) {
        capabilities.insert("add".to_owned(), json!(add));
    }
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": capabilities,
        "readOnlyRootFilesystem": true,
        "runAsGroup": uid,
        "runAsNonRoot": true,
        "runAsUser": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn literal(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn downward(name: &str, field: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}})
}
