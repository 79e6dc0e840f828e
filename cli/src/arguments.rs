//! The command line: every flag also comes from the environment as `REMORA_…`.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Tells you, and your AI assistant, what your code really does on the wire.
#[derive(Debug, Parser)]
#[command(name = "remora", version, max_term_width = 100)]
pub(crate) struct Remora {
    /// What is logged to standard error, such as `debug` or `warn,remora_proxy=debug` [default: info,
    /// for the demo and mcp warn]
    #[arg(long, global = true, env = "REMORA_LOG", value_name = "FILTER", value_parser = log_filter)]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Remora {
    /// What is logged: what was asked for, else what suits the command.
    pub(crate) fn log_filter(&self) -> &str {
        let quiet = matches!(
            self.command,
            Command::Demo(_)
                | Command::Init(Init { print: true, .. })
                | Command::Inject(_)
                | Command::Mcp(_)
                | Command::Snapshot(_)
                | Command::Descriptors(_)
        );
        self.log
            .as_deref()
            .unwrap_or(if quiet { "warn" } else { "info" })
    }
}

/// Takes what the logs understand; a misspelt filter must not silently log something else.
fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}; write it like `debug` or `warn,remora_proxy=debug`"
        )),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a hub, sidecars and a small shop on this machine, and show what was recorded
    Demo(Demo),
    /// Run the hub: it gathers records and answers questions over HTTP and MCP
    Hub(Hub),
    /// Run a sidecar: it passes traffic on unchanged and records it
    Proxy(Box<Proxy>),
    /// Make, wait for, list and delete snapshots at a hub: named windows over recorded calls
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Write the redirect rules into this network namespace (needs CAP_NET_ADMIN)
    Init(Init),
    /// Relay MCP between standard input and output and a hub, for clients that do not speak HTTP
    Mcp(Mcp),
    /// Run the webhook that puts a sidecar into pods that ask for one
    Injector(Box<Injector>),
    /// Print Kubernetes manifests with a sidecar in each pod, as the webhook would put it there
    Inject(Inject),
    /// Ask a server of gRPC for its descriptors by reflection, and print them as a descriptor set
    Descriptors(Descriptors),
}

#[derive(Debug, Args)]
pub(crate) struct Descriptors {
    /// The server, in the clear
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after one round of traffic; exit 0 if every call is stored once per leg, else 1
    #[arg(long)]
    pub(crate) once: bool,
    /// Address of the API [default: 127.0.0.1:8899, or a free port if that is taken]
    #[arg(long, env = "REMORA_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Address of the API, of MCP and of the health checks
    #[arg(
        long,
        env = "REMORA_LISTEN",
        default_value = "127.0.0.1:8899",
        value_name = "ADDR"
    )]
    pub(crate) listen: SocketAddr,
    /// Address that sidecars ship to
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = "127.0.0.1:8898",
        value_name = "ADDR"
    )]
    pub(crate) ingest: SocketAddr,
    /// Folder for the records; one hub at a time holds it
    #[arg(long, env = "REMORA_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// File with the token that callers and sidecars must send; required off loopback
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Name under which callers may reach the hub besides localhost (repeat)
    #[arg(
        long = "allowed-host",
        env = "REMORA_ALLOWED_HOST",
        value_delimiter = ',',
        value_name = "HOST"
    )]
    pub(crate) allowed_hosts: Vec<String>,
    /// Descriptor set by which gRPC messages are shown with names, as
    /// `protoc --include_imports --descriptor_set_out FILE` writes it (repeat)
    #[arg(
        long,
        env = "REMORA_DESCRIPTORS",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    pub(crate) descriptors: Vec<PathBuf>,
    /// Server of gRPC that is asked for its descriptors by reflection, in the clear; asked again while it
    /// is not there (repeat)
    #[arg(
        long,
        env = "REMORA_REFLECTION",
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    pub(crate) reflection: Vec<String>,
    /// Calls older than this are forgotten
    #[arg(
        long,
        env = "REMORA_RETAIN_AGE",
        default_value = "7d",
        value_name = "DURATION"
    )]
    pub(crate) retain_age: humantime::Duration,
    /// Most bytes kept on disk; the oldest calls go first
    #[arg(
        long,
        env = "REMORA_RETAIN_BYTES",
        default_value = "10GiB",
        value_name = "SIZE"
    )]
    pub(crate) retain_bytes: ByteSize,
}

#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// Where records go: the hub's ingest address
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = "http://127.0.0.1:8898",
        value_name = "URL"
    )]
    pub(crate) ingest: String,
    /// File with the token for the hub; read again whenever the hub refuses it
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Name of the workload that is recorded
    #[arg(long, env = "REMORA_WORKLOAD", value_name = "NAME")]
    pub(crate) workload: String,
    /// Namespace of the workload
    #[arg(
        long,
        env = "REMORA_NAMESPACE",
        default_value = "local",
        value_name = "NAME"
    )]
    pub(crate) namespace: String,
    /// Name of the pod
    #[arg(
        long,
        env = "REMORA_POD",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) pod: String,
    /// uid of the pod
    #[arg(
        long,
        env = "REMORA_POD_UID",
        default_value = "",
        hide_default_value = true,
        value_name = "UID"
    )]
    pub(crate) pod_uid: String,
    /// Addresses of the pod, by which other sidecars' calls to it are recognised
    #[arg(
        long = "pod-ip",
        env = "REMORA_POD_IPS",
        value_delimiter = ',',
        value_name = "IP"
    )]
    pub(crate) pod_ips: Vec<String>,
    /// Revision of the workload
    #[arg(
        long,
        env = "REMORA_REVISION",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) revision: String,
    /// Listen on LISTEN and pass on to UPSTREAM: `inbound:127.0.0.1:8080=127.0.0.1:3000` (repeat)
    #[arg(
        long = "map",
        env = "REMORA_MAP",
        value_delimiter = ',',
        value_name = "inbound|outbound:LISTEN=UPSTREAM"
    )]
    pub(crate) maps: Vec<String>,
    /// Take the connections that the rules of `remora init` redirect
    #[arg(long, env = "REMORA_REDIRECT")]
    pub(crate) redirect: bool,
    /// Address of health checks and metrics, or `off` [default: port 15120]
    #[arg(long, env = "REMORA_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Largest part of a body that is kept, each way
    #[arg(
        long,
        env = "REMORA_BODY_LIMIT",
        default_value = "64KiB",
        value_name = "SIZE"
    )]
    pub(crate) body_limit: String,
    /// Memory for everything captured; beyond it records are dropped and counted, never traffic
    #[arg(
        long,
        env = "REMORA_CAPTURE_BUDGET",
        default_value = "32MiB",
        value_name = "SIZE"
    )]
    pub(crate) capture_budget: String,
    /// Folder for records that wait for the hub; without one they wait in memory only
    #[arg(long, env = "REMORA_SPOOL", value_name = "DIR")]
    pub(crate) spool: Option<PathBuf>,
    /// Most bytes in the spool; beyond it the oldest records are dropped and counted
    #[arg(
        long,
        env = "REMORA_SPOOL_LIMIT",
        default_value = "64MiB",
        value_name = "SIZE"
    )]
    pub(crate) spool_limit: String,
    /// `off` passes traffic on without looking at it
    #[arg(
        long,
        env = "REMORA_RECORD",
        default_value = "on",
        value_name = "on|off"
    )]
    pub(crate) record: String,
    /// `off` ships secrets as they are
    #[arg(
        long,
        env = "REMORA_REDACT",
        default_value = "on",
        value_name = "on|off"
    )]
    pub(crate) redact: String,
    /// Further header, query parameter or JSON field whose value is secret (repeat)
    #[arg(
        long = "redact-name",
        env = "REMORA_REDACT_NAMES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) redact_names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Print the rules in the language of nft and change nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Where the rules cannot be written, say so and end with 0: the pod starts, and is not recorded
    #[arg(long, conflicts_with = "print")]
    pub(crate) optional: bool,
    /// User id that the sidecar runs as; its own connections are not redirected
    #[arg(long, env = "REMORA_PROXY_UID", default_value_t = remora_proxy::redirect::PROXY_UID, value_name = "UID")]
    pub(crate) proxy_uid: u32,
    /// Ports and ranges that are not recorded inbound, such as `22,9000-9010`
    #[arg(
        long,
        env = "REMORA_SKIP_INBOUND_PORTS",
        value_delimiter = ',',
        value_name = "PORTS"
    )]
    pub(crate) skip_inbound_ports: Vec<String>,
    /// Ports and ranges that are not recorded outbound
    #[arg(
        long,
        env = "REMORA_SKIP_OUTBOUND_PORTS",
        value_delimiter = ',',
        value_name = "PORTS"
    )]
    pub(crate) skip_outbound_ports: Vec<String>,
    /// Networks that are not recorded outbound, such as `10.0.0.0/8`
    #[arg(
        long,
        env = "REMORA_SKIP_OUTBOUND_CIDRS",
        value_delimiter = ',',
        value_name = "CIDRS"
    )]
    pub(crate) skip_outbound_cidrs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// Address of the hub's API
    #[arg(
        long,
        env = "REMORA_HUB",
        default_value = "http://127.0.0.1:8899",
        value_name = "URL"
    )]
    pub(crate) hub: String,
    /// File with the hub's token; read for every message, so a renewed one is used at once
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Inject {
    /// Manifests in YAML or JSON, or `-` for standard input. Documents without pods come out unchanged;
    /// of those with pods comments are lost
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) sidecar: InjectedSidecar,
}

/// What every sidecar gets that is put into a pod.
#[derive(Debug, Args)]
pub(crate) struct InjectedSidecar {
    /// Image of the sidecar: the one with this program in it
    #[arg(long, env = "REMORA_IMAGE", value_name = "IMAGE")]
    pub(crate) image: String,
    /// When that image is pulled
    #[arg(
        long,
        env = "REMORA_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent",
        value_name = "Always|IfNotPresent|Never"
    )]
    pub(crate) image_pull_policy: String,
    /// Where sidecars ship to: the hub's ingest address as pods reach it
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = remora_injector::config::DEFAULT_INGEST,
        value_name = "URL"
    )]
    pub(crate) ingest: String,
    /// Where sidecars have the hub's token from: a Secret in the pod's namespace, or one that the kubelet
    /// makes for an audience
    #[arg(
        long,
        env = "REMORA_HUB_TOKEN",
        default_value = "secret:remora-token",
        value_name = "secret:NAME|projected:AUDIENCE"
    )]
    pub(crate) hub_token: String,
    /// `native` needs Kubernetes 1.29 on every node
    #[arg(
        long,
        env = "REMORA_SIDECARS",
        default_value = "native",
        value_name = "native|classic"
    )]
    pub(crate) sidecars: String,
    /// Namespace of Remora itself, in which nothing is injected
    #[arg(
        long,
        env = "REMORA_OWN_NAMESPACE",
        default_value = remora_injector::config::DEFAULT_OWN_NAMESPACE,
        value_name = "NAME"
    )]
    pub(crate) own_namespace: String,
    /// CPU that a sidecar asks for
    #[arg(
        long,
        env = "REMORA_SIDECAR_CPU_REQUEST",
        default_value = "10m",
        value_name = "QUANTITY"
    )]
    pub(crate) sidecar_cpu_request: String,
    /// Most CPU of a sidecar [default: no limit]
    #[arg(
        long,
        env = "REMORA_SIDECAR_CPU_LIMIT",
        default_value = "",
        hide_default_value = true,
        value_name = "QUANTITY"
    )]
    pub(crate) sidecar_cpu_limit: String,
    /// Memory that a sidecar asks for
    #[arg(
        long,
        env = "REMORA_SIDECAR_MEMORY_REQUEST",
        default_value = "32Mi",
        value_name = "QUANTITY"
    )]
    pub(crate) sidecar_memory_request: String,
    /// Most memory of a sidecar
    #[arg(
        long,
        env = "REMORA_SIDECAR_MEMORY_LIMIT",
        default_value = "128Mi",
        value_name = "QUANTITY"
    )]
    pub(crate) sidecar_memory_limit: String,
    /// Runtime class whose kernel has no nftables; its pods are left alone (repeat)
    #[arg(
        long = "refused-runtime-class",
        env = "REMORA_REFUSED_RUNTIME_CLASSES",
        value_delimiter = ',',
        default_value = "gvisor",
        value_name = "NAME"
    )]
    pub(crate) refused_runtime_classes: Vec<String>,
}

/// Exit codes: 0 done and settled, 1 not settled, 3 asked wrongly or the hub cannot be reached.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Begin a snapshot; prints its id
    Start(SnapshotStart),
    /// Wait until its calls have settled, and seal it; progress goes to standard error
    Wait(SnapshotWait),
    /// List the snapshots there are
    List(AtHub),
    /// Delete a snapshot; its calls stay until they are forgotten for their age or size
    Delete {
        /// Its id
        id: String,
        #[command(flatten)]
        at: AtHub,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AtHub {
    /// The hub's API
    #[arg(
        long,
        env = "REMORA_HUB",
        default_value = "http://127.0.0.1:8899",
        value_name = "URL"
    )]
    pub(crate) hub: String,
    /// File with the token for the hub
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print the hub's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotStart {
    /// What to call it
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// Only what is recorded in this namespace (repeat)
    #[arg(long = "namespace", value_delimiter = ',', value_name = "NAME")]
    pub(crate) namespaces: Vec<String>,
    /// Only what is recorded beside this workload (repeat)
    #[arg(long = "workload", value_delimiter = ',', value_name = "NAME")]
    pub(crate) workloads: Vec<String>,
    /// Its first moment: `now`, a time back such as `-5m`, or RFC 3339
    #[arg(
        long,
        default_value = "now",
        allow_hyphen_values = true,
        value_name = "TIME"
    )]
    pub(crate) since: String,
    /// How long it is kept, at most 30d
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    pub(crate) ttl: String,
    #[command(flatten)]
    pub(crate) at: AtHub,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotWait {
    /// Its id
    pub(crate) id: String,
    /// How long no call that matches may arrive, at most 30s
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    pub(crate) idle: humantime::Duration,
    /// How many calls there have to be
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) min_calls: u64,
    /// Only calls that match this filter, in CEL
    #[arg(long = "where", value_name = "CEL")]
    pub(crate) condition: Option<String>,
    /// Longest wait
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub(crate) max_wait: humantime::Duration,
    /// Leave it open when it has settled
    #[arg(long)]
    pub(crate) no_seal: bool,
    #[command(flatten)]
    pub(crate) at: AtHub,
}

#[derive(Debug, Args)]
pub(crate) struct Injector {
    /// Address of the webhook, over TLS
    #[arg(
        long,
        env = "REMORA_LISTEN",
        default_value = "[::]:8443",
        value_name = "ADDR"
    )]
    pub(crate) listen: SocketAddr,
    /// Address of health checks and metrics
    #[arg(
        long,
        env = "REMORA_ADMIN",
        default_value = "[::]:8080",
        value_name = "ADDR"
    )]
    pub(crate) admin: SocketAddr,
    /// Service, in Remora's own namespace, by which the API server reaches the webhook
    #[arg(
        long,
        env = "REMORA_SERVICE",
        default_value = "remora-injector",
        value_name = "NAME"
    )]
    pub(crate) service: String,
    /// Secret, in Remora's own namespace, in which all replicas keep their certificates; made if it is not there
    #[arg(
        long,
        env = "REMORA_CERTIFICATE_SECRET",
        default_value = "remora-injector-certificates",
        value_name = "NAME"
    )]
    pub(crate) secret: String,
    /// MutatingWebhookConfiguration that is kept up to date with the authorities
    #[arg(
        long,
        env = "REMORA_WEBHOOK_CONFIGURATION",
        default_value = "remora-injector",
        value_name = "NAME"
    )]
    pub(crate) webhook_configuration: String,
    #[command(flatten)]
    pub(crate) sidecar: InjectedSidecar,
}
