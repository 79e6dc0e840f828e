//! What a sidecar is told to do: raw options in, a checked configuration out.
//!
//! All problems are reported together. Reading flags and environment is the command line's
//! business.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use remora_store::block::Origin;
use remora_store::call::Leg;

use crate::tls::Settings;
use check::Check;
use parse::switch;

mod check;
mod parse;

/// Port that inbound connections are redirected to.
pub const INBOUND_PORT: u16 = 15106;
/// Port that outbound connections are redirected to.
pub const OUTBOUND_PORT: u16 = 15101;
/// Port of metrics and probes.
pub const ADMIN_PORT: u16 = 15120;

/// Largest part of a body that is kept, each way.
pub const DEFAULT_BODY_LIMIT_BYTES: usize = 64 * 1024;
/// Memory for everything captured.
pub const DEFAULT_CAPTURE_BUDGET_BYTES: usize = 32 * 1024 * 1024;
/// Disk for blocks that could not be shipped yet.
pub const DEFAULT_SPOOL_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
/// Where the hub of this machine takes blocks.
pub const DEFAULT_INGEST: &str = "http://127.0.0.1:8898";

/// Least capture budget: below it hardly a call with bodies would fit.
const LEAST_CAPTURE_BUDGET_BYTES: usize = 1024 * 1024;
/// Longest body that a record may keep; a block has to hold it.
const MOST_BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// What was asked for, as it was written. The defaults are those of the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// Mapped listeners, each `inbound|outbound:LISTEN=UPSTREAM`.
    pub maps: Vec<String>,
    /// Take what the rules of [`crate::redirect`] send to the redirect ports.
    pub redirect: bool,
    /// Where the forward proxy listens: `IP:PORT`, or a port of loopback alone. Whoever reaches it can have
    /// it connect anywhere.
    pub forward: Option<String>,
    /// Address of metrics and probes, or `off`. Default: port 15120, on every address of a pod,
    /// on loopback with mapped listeners.
    pub admin: Option<String>,
    /// URL of the hub's ingest port. Default [`DEFAULT_INGEST`].
    pub ingest: String,
    /// File with the authorities, in PEM, that the hub's certificate is checked against; read again
    /// whenever a connection is made. Needed with https, and only with it.
    pub ingest_ca: Option<PathBuf>,
    /// File with the token to send to the hub; read again whenever the hub refuses it.
    pub token_file: Option<PathBuf>,
    /// Name of the workload that the sidecar belongs to.
    pub workload: String,
    /// Kubernetes namespace. Default `local`.
    pub namespace: String,
    /// Name of the pod; empty outside a cluster.
    pub pod: String,
    /// uid of the pod; empty outside a cluster.
    pub pod_uid: String,
    /// Addresses of the pod, for `redirect`; empty where they are not known.
    pub pod_ips: Vec<String>,
    /// Version of the workload; may be empty.
    pub revision: String,
    /// Largest part of a body that is kept, each way, such as `64KiB`. Default 64 KiB, at most
    /// 1 MiB; `0` keeps sizes and digests only.
    pub body_limit: String,
    /// Memory for everything captured, such as `32MiB`. Default 32 MiB, at least 1 MiB.
    pub capture_budget: String,
    /// Directory for blocks that could not be shipped yet; without one they stay in memory.
    pub spool_dir: Option<PathBuf>,
    /// Most that the spool may take up, such as `64MiB`. Default 64 MiB.
    pub spool_limit: String,
    /// `auto`, `splice` or `terminate`: see [`EngineChoice`]. Default `auto`.
    pub engine: String,
    /// Whether people may switch faults on that this sidecar carries out. Default no.
    pub allow_faults: bool,
    /// Server names whose TLS is looked into on outbound connections: a comma list as [`Names::parse`] reads it.
    /// Nothing without it.
    pub intercept_tls: Option<String>,
    /// File with authorities, in PEM, that those servers may be certified by beside the system's.
    pub upstream_ca: Option<PathBuf>,
    /// Whether to start without that file where it is missing or holds nothing of use. Default no.
    pub upstream_ca_optional: bool,
    /// Files with authorities, in PEM, that some of the application's clients trust already: servers may be certified
    /// by these too, and no other client is told of them. What cannot be used is left out.
    pub clients_ca: Vec<PathBuf>,
    /// Directory for the certificates that the application's clients have to trust then.
    pub ca_dir: Option<PathBuf>,
    /// How long at most the sidecar serves on once it is asked to stop, for an application that is asked at the same time:
    /// until nothing was open for 5 s. Default 0.
    pub linger: Duration,
    /// `on` or `off`: off makes the sidecar a plain relay. Default `on`.
    pub record: String,
    /// `on` or `off`: off ships secrets as they are. Default `on`.
    pub redact: String,
    /// Further names of headers, query parameters and JSON fields whose values are secret.
    pub redact_names: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            maps: Vec::new(),
            redirect: false,
            forward: None,
            admin: None,
            ingest: DEFAULT_INGEST.to_owned(),
            ingest_ca: None,
            token_file: None,
            workload: String::new(),
            namespace: "local".to_owned(),
            pod: String::new(),
            pod_uid: String::new(),
            pod_ips: Vec::new(),
            revision: String::new(),
            body_limit: "64KiB".to_owned(),
            capture_budget: "32MiB".to_owned(),
            spool_dir: None,
            spool_limit: "64MiB".to_owned(),
            engine: "auto".to_owned(),
            allow_faults: false,
            intercept_tls: None,
            upstream_ca: None,
            upstream_ca_optional: false,
            clients_ca: Vec::new(),
            ca_dir: None,
            linger: Duration::ZERO,
            record: "on".to_owned(),
            redact: "on".to_owned(),
            redact_names: Vec::new(),
        }
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Mapped listeners.
    pub maps: Vec<Map>,
    /// Ports that take redirected connections; `None` without redirection.
    pub redirect: Option<RedirectPorts>,
    /// Where the forward proxy listens.
    pub forward: Option<SocketAddr>,
    /// Where metrics and probes are served; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// The hub's ingest port.
    pub ingest: Uri,
    /// File with the authorities that its certificate is checked against.
    pub ingest_ca: Option<PathBuf>,
    /// File with the token to send to the hub.
    pub token_file: Option<PathBuf>,
    /// Who the sidecar says it is; its incarnation is 0 until it runs.
    pub origin: Origin,
    /// Largest part of a body that is kept, each way, in bytes.
    pub body_limit_bytes: usize,
    /// Memory for everything captured, in bytes.
    pub capture_budget_bytes: usize,
    /// Directory for blocks that could not be shipped yet.
    pub spool_dir: Option<PathBuf>,
    /// Most that the spool may take up, in bytes.
    pub spool_limit_bytes: u64,
    /// Which engine carries connections.
    pub engine: EngineChoice,
    /// Whether people may switch faults on that this sidecar carries out.
    pub allow_faults: bool,
    /// Whose TLS is looked into; `None` for nobody's.
    pub interception: Option<Settings>,
    /// Whether calls are recorded; else the sidecar is a plain relay.
    pub record: bool,
    /// Whether secrets are replaced before a call is shipped.
    pub redact: bool,
    /// Further names whose values are secret.
    pub redact_names: Vec<String>,
    /// How long at most the sidecar serves on, once it is asked to stop, as if it were not. Default 0.
    pub linger: Duration,
    /// How long open connections may go on after that. Default 1 s.
    pub drain_timeout: Duration,
    /// How long the last blocks may take to be shipped or spooled after that. Default 2 s.
    pub flush_timeout: Duration,
}

/// Which engine carries connections. Both record alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// The splice, wherever nothing has to act on what passes; where a fault may, the other.
    #[default]
    Auto,
    /// The splice: bytes go through as they come.
    Splice,
    /// HTTP is read and sent anew, message by message; everything else is spliced.
    Terminate,
}

/// A listener whose connections all go to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Which side of the calls the sidecar is on.
    pub leg: Leg,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its connections go.
    pub upstream: Upstream,
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// An address.
    Address(SocketAddr),
    /// `host:port`, looked up for each connection.
    Name(String),
}

/// The ports that redirected connections arrive at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirectPorts {
    /// For connections to the pod.
    pub inbound: u16,
    /// For connections from the pod.
    pub outbound: u16,
}

impl Default for RedirectPorts {
    fn default() -> Self {
        Self {
            inbound: INBOUND_PORT,
            outbound: OUTBOUND_PORT,
        }
    }
}

/// Everything that is wrong with the options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The flag, such as `--map`.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", problem.field, problem.message)?;
        }
        Ok(())
    }
}

impl Config {
    /// Checks `options`, and reports everything that is wrong with them.
    pub fn from_options(options: Options) -> Result<Self, ConfigError> {
        let mut check = Check::default();
        let maps = check.maps(&options.maps);
        if !options.redirect && options.forward.is_none() && options.maps.is_empty() {
            check.fail(
                "--map",
                "there is nothing to listen on; give --map inbound|outbound:LISTEN=UPSTREAM, --redirect or --forward LISTEN",
            );
        }
        let forward = check.forward(options.forward.as_deref(), &maps);
        if options.workload.is_empty() {
            check.fail(
                "--workload",
                "it is empty; name the workload that the sidecar belongs to",
            );
        }
        if options.namespace.is_empty() {
            check.fail(
                "--namespace",
                "it is empty; outside a cluster it is `local`",
            );
        }
        let pod_ips = check.pod_ips(&options.pod_ips);
        let config = Self {
            admin: check.admin(options.admin.as_deref(), options.redirect),
            redirect: options.redirect.then(RedirectPorts::default),
            forward,
            ingest: check.ingest(&options.ingest, options.ingest_ca.is_some()),
            ingest_ca: options.ingest_ca,
            token_file: options.token_file,
            origin: Origin {
                incarnation: 0,
                workload: options.workload,
                namespace: options.namespace,
                pod: options.pod,
                pod_uid: options.pod_uid,
                revision: options.revision,
                serves: serves(&maps, &pod_ips),
            },
            maps,
            body_limit_bytes: check.size(
                "--body-limit",
                &options.body_limit,
                0,
                MOST_BODY_LIMIT_BYTES,
            ),
            capture_budget_bytes: check.size(
                "--capture-budget",
                &options.capture_budget,
                LEAST_CAPTURE_BUDGET_BYTES,
                usize::MAX,
            ),
            spool_dir: options.spool_dir,
            spool_limit_bytes: check.size("--spool-limit", &options.spool_limit, 0, usize::MAX)
                as u64,
            engine: check
                .take("--engine", parse::engine(&options.engine))
                .unwrap_or_default(),
            allow_faults: options.allow_faults,
            interception: check.interception(
                options.intercept_tls.as_deref(),
                (options.upstream_ca, options.upstream_ca_optional),
                options.clients_ca,
                options.ca_dir,
            ),
            record: check
                .take("--record", switch(&options.record))
                .unwrap_or_default(),
            redact: check
                .take("--redact", switch(&options.redact))
                .unwrap_or_default(),
            redact_names: options.redact_names,
            linger: options.linger,
            drain_timeout: Duration::from_secs(1),
            flush_timeout: Duration::from_secs(2),
        };
        check.finish(config)
    }
}

/// Addresses at which the workload is called.
fn serves(maps: &[Map], pod_ips: &[IpAddr]) -> Vec<SocketAddr> {
    let mapped = maps
        .iter()
        .filter(|map| map.leg == Leg::Inbound)
        .map(|map| map.listen);
    let pod = pod_ips.iter().map(|ip| SocketAddr::new(*ip, 0));
    mapped.chain(pod).collect()
}

#[cfg(test)]
mod tests;
