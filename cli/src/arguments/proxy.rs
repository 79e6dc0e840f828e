//! Flags of `remora proxy`.

use std::path::PathBuf;

use clap::Args;

use super::Recording;

#[derive(Debug, Args)]
pub(crate) struct Proxy {
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
    /// Look into the TLS of outbound connections to these servers: names, patterns such as `*.example.com`, or `*`.
    /// Their clients have to trust the certificates in --ca-dir
    #[arg(long, env = "REMORA_INTERCEPT_TLS", value_name = "NAMES")]
    pub(crate) intercept_tls: Option<String>,
    /// Folder for the certificates that clients have to trust: ca.pem, bundle.pem and truststore.jks; no key is in it
    #[arg(long, env = "REMORA_CA_DIR", value_name = "DIR")]
    pub(crate) ca_dir: Option<PathBuf>,
    /// How long at most to serve on once told to stop, for an application that is told so at the same time: until nothing
    /// was open for 5 s
    #[arg(
        long,
        env = "REMORA_LINGER",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub(crate) linger: humantime::Duration,
    /// `off` passes traffic on without looking at it
    #[arg(
        long,
        env = "REMORA_RECORD",
        default_value = "on",
        value_name = "on|off"
    )]
    pub(crate) record: String,
    #[command(flatten)]
    pub(crate) recording: Recording,
}
