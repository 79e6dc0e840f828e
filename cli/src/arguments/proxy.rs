//! Flags of `remora proxy`.

use std::path::PathBuf;

use clap::Args;

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
    /// Authorities (PEM) that the hub's certificate is checked against, with an https address; read
    /// again whenever a connection is made
    #[arg(long, env = "REMORA_INGEST_CA", value_name = "FILE")]
    pub(crate) ingest_ca: Option<PathBuf>,
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
    /// Listen as a forward proxy (CONNECT and http:// in absolute-form), for programs that are told of it by
    /// HTTP_PROXY: a port of loopback, or an address; whoever reaches it can have it connect anywhere
    #[arg(long, env = "REMORA_FORWARD", value_name = "[IP:]PORT")]
    pub(crate) forward: Option<String>,
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
    /// `splice` passes bytes on as they come, `terminate` reads HTTP and sends it on by messages, `auto`
    /// splices wherever nothing has to act
    #[arg(
        long,
        env = "REMORA_ENGINE",
        default_value = "auto",
        value_name = "auto|splice|terminate"
    )]
    pub(crate) engine: String,
    /// Carries out the faults that people switch on for the workload
    #[arg(long, env = "REMORA_ALLOW_FAULTS")]
    pub(crate) allow_faults: bool,
    /// Look into the TLS of outbound connections to these servers: names, patterns such as `*.example.com`, or `*`.
    /// Their clients have to trust the certificates in --ca-dir
    #[arg(long, env = "REMORA_INTERCEPT_TLS", value_name = "NAMES")]
    pub(crate) intercept_tls: Option<String>,
    /// Authorities, in PEM, that those servers may be certified by beside those that the system knows
    #[arg(long, env = "REMORA_UPSTREAM_CA", value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Start without that file where it is missing or holds no authority
    #[arg(long, env = "REMORA_UPSTREAM_CA_OPTIONAL")]
    pub(crate) upstream_ca_optional: bool,
    /// Folder for the certificates that clients have to trust: ca.pem, bundle.pem and truststore.jks; no key is in it
    #[arg(long, env = "REMORA_CA_DIR", value_name = "DIR")]
    pub(crate) ca_dir: Option<PathBuf>,
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
