//! Every label and annotation that Remora reads or writes, and how the values are read.
//!
//! A bad value gives a warning and the default; nothing here can keep a pod from starting. The values end up
//! as flags of `remora init` and `remora proxy`, which end at once when they do not understand one: so what
//! passes here is at least as strict.

mod values;

pub(crate) use values::shown;

use crate::pod::Pod;
use crate::quantity::Quantity;

/// What all names begin with.
pub const PREFIX: &str = "remora.dev/";

/// Label on a namespace or a pod: `enabled` or `disabled`; the pod's wins. A label, because the API server
/// selects by it which pods the webhook is asked about at all.
pub const INJECT: &str = "remora.dev/inject";

/// Annotation that is written: JSON that says what was done to the pod, or why nothing was.
pub const STATUS: &str = "remora.dev/status";

/// Label of pods that are only tried, to learn whether the API server reaches the injector; and the annotation by which
/// it says that it does.
pub const CHECK: &str = "remora.dev/check";

/// Annotation that is written: the `tcpSocket` probes as the user had them, where they were rewritten.
pub const TCP_PROBES: &str = "remora.dev/tcp-probes";

/// Ports of the pod that are not recorded, such as `22,9000-9010`. Default none.
pub const SKIP_INBOUND_PORTS: &str = "remora.dev/skip-inbound-ports";

/// Ports elsewhere that are not recorded, such as `5432`. Default none.
pub const SKIP_OUTBOUND_PORTS: &str = "remora.dev/skip-outbound-ports";

/// Networks that are not recorded, such as `10.0.0.0/8,fd00::/8`. Default none.
pub const SKIP_OUTBOUND_CIDRS: &str = "remora.dev/skip-outbound-cidrs";

/// Largest part of a body that is kept, each way, such as `16KiB`. Default 64 KiB, at most 1 MiB.
pub const BODY_LIMIT: &str = "remora.dev/body-limit";

/// Which engine carries the pod's connections: `auto` (the default), `splice` or `terminate`.
pub const ENGINE: &str = "remora.dev/engine";

/// Server names whose TLS the sidecar looks into on outbound connections, such as `api.example.com,*.example.org`,
/// or `*`. Default none. The pod's containers are told to trust it.
pub const INTERCEPT_TLS: &str = "remora.dev/intercept-tls";

/// Name of a `ConfigMap` beside the pod whose key `ca.crt` holds authorities, in PEM, that those servers may be certified
/// by, such as `kube-root-ca.crt`. Default: those of the sidecar's image.
pub const UPSTREAM_CA: &str = "remora.dev/upstream-ca";

/// `allowed` lets people have the sidecar fail calls on purpose. Default: not.
pub const FAULTS: &str = "remora.dev/faults";

/// CPU that the sidecar asks for, such as `20m`. Default: the injector's.
pub const CPU_REQUEST: &str = "remora.dev/cpu-request";

/// Most CPU that the sidecar may use. Default: the injector's, else no limit.
pub const CPU_LIMIT: &str = "remora.dev/cpu-limit";

/// Memory that the sidecar asks for, such as `64Mi`. Default: the injector's.
pub const MEMORY_REQUEST: &str = "remora.dev/memory-request";

/// Most memory that the sidecar may use. Default: the injector's, at least 64 MiB.
pub const MEMORY_LIMIT: &str = "remora.dev/memory-limit";

/// Names that Remora reserves and this version does not act on; who sets one is told so.
const RESERVED: [&str; 2] = ["remora.dev/opaque-ports", "remora.dev/capture-probes"];

/// Names that are acted on, or were written by the injector itself.
const KNOWN: [&str; 15] = [
    CHECK,
    STATUS,
    TCP_PROBES,
    SKIP_INBOUND_PORTS,
    SKIP_OUTBOUND_PORTS,
    SKIP_OUTBOUND_CIDRS,
    BODY_LIMIT,
    ENGINE,
    INTERCEPT_TLS,
    UPSTREAM_CA,
    FAULTS,
    CPU_REQUEST,
    CPU_LIMIT,
    MEMORY_REQUEST,
    MEMORY_LIMIT,
];

/// What the annotations of a pod ask for. Every field is absent where nothing valid was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Ports and ranges, separated by commas, as `remora init` takes them.
    pub skip_inbound_ports: Option<String>,
    /// The same, outbound.
    pub skip_outbound_ports: Option<String>,
    /// Networks, separated by commas.
    pub skip_outbound_cidrs: Option<String>,
    /// In bytes.
    pub body_limit_bytes: Option<u64>,
    /// Name of the engine.
    pub engine: Option<&'static str>,
    /// Names and patterns, separated by commas, as `remora proxy` takes them.
    pub intercept_tls: Option<String>,
    /// Name of a `ConfigMap`; none where nothing is looked into.
    pub upstream_ca: Option<String>,
    /// Whether faults are allowed.
    pub faults_allowed: bool,
    /// What the sidecar asks for and may use.
    pub resources: ResourceOptions,
}

/// What the annotations say of the sidecar's resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceOptions {
    /// From [`CPU_REQUEST`].
    pub cpu_request: Option<Quantity>,
    /// From [`CPU_LIMIT`].
    pub cpu_limit: Option<Quantity>,
    /// From [`MEMORY_REQUEST`].
    pub memory_request: Option<Quantity>,
    /// From [`MEMORY_LIMIT`].
    pub memory_limit: Option<Quantity>,
}

impl ResourceOptions {
    /// What was asked for, each by its annotation.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &Quantity)> {
        let all = [
            (CPU_REQUEST, &self.cpu_request),
            (CPU_LIMIT, &self.cpu_limit),
            (MEMORY_REQUEST, &self.memory_request),
            (MEMORY_LIMIT, &self.memory_limit),
        ];
        all.into_iter()
            .filter_map(|(name, quantity)| Some((name, quantity.as_ref()?)))
    }
}

impl Options {
    /// Reads the annotations of `pod`, and adds to `warnings` what is wrong with them.
    pub fn read(pod: Pod<'_>, warnings: &mut Vec<String>) -> Self {
        warn_of_names(pod, warnings);
        let mut reader = Reader { pod, warnings };
        let intercept_tls = reader.read(INTERCEPT_TLS, values::server_names);
        let upstream_ca = reader.read(UPSTREAM_CA, values::config_map);
        if upstream_ca.is_some() && intercept_tls.is_none() {
            let message = format!("{UPSTREAM_CA} has no effect without {INTERCEPT_TLS}");
            reader.warnings.push(message);
        }
        Self {
            skip_inbound_ports: reader.read(SKIP_INBOUND_PORTS, values::ports),
            skip_outbound_ports: reader.read(SKIP_OUTBOUND_PORTS, values::ports),
            skip_outbound_cidrs: reader.read(SKIP_OUTBOUND_CIDRS, values::networks),
            body_limit_bytes: reader.read(BODY_LIMIT, values::body_limit),
            engine: reader.read(ENGINE, values::engine),
            upstream_ca: upstream_ca.filter(|_| intercept_tls.is_some()),
            intercept_tls,
            faults_allowed: reader.read(FAULTS, values::allowed).is_some(),
            resources: ResourceOptions {
                cpu_request: reader.read(CPU_REQUEST, values::cpu),
                cpu_limit: reader.read(CPU_LIMIT, values::cpu),
                memory_request: reader.read(MEMORY_REQUEST, values::memory),
                memory_limit: reader.read(MEMORY_LIMIT, values::memory_limit),
            },
        }
    }
}

struct Reader<'a> {
    pod: Pod<'a>,
    warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn read<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.pod.annotation(name)?.trim();
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.warnings
                    .push(format!("{name}: {message}; the default is used"));
                None
            }
        }
    }
}

/// Warns of names that have no effect: reserved, misspelt, or a label for an annotation and the other way round.
fn warn_of_names(pod: Pod<'_>, warnings: &mut Vec<String>) {
    for name in pod.annotations().filter(|name| name.starts_with(PREFIX)) {
        match name {
            INJECT => warnings.push(format!(
                "{INJECT} is a label; as an annotation it has no effect"
            )),
            _ if KNOWN.contains(&name) => {}
            _ => warnings.push(without_effect(name)),
        }
    }
    let labels = pod.labels().filter(|name| name.starts_with(PREFIX));
    for name in labels.filter(|name| ![INJECT, CHECK].contains(name)) {
        warnings.push(match KNOWN.contains(&name) {
            true => format!("{name} is an annotation; as a label it has no effect"),
            false => without_effect(name),
        });
    }
}

/// What is said of a name that nothing is done for.
fn without_effect(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("{name} has no effect in this version");
    }
    let word = name.strip_prefix(PREFIX).unwrap_or(name);
    let known = KNOWN.iter().chain([&INJECT]);
    let known = known.filter_map(|name| name.strip_prefix(PREFIX));
    let shown = values::shown(name);
    match values::nearest(word, known) {
        Some(right) => format!("{shown} is not known, did you mean {PREFIX}{right}?"),
        None => format!("{shown} is not known and has no effect"),
    }
}

#[cfg(test)]
mod tests;
