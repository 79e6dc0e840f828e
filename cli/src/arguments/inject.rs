//! Flags of what puts sidecars into pods.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

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
    /// Where sidecars ship to: the hub's ingest address as pods reach it. With https the ConfigMap
    /// `remora-hub-ca` of the pod's namespace holds its authorities
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = remora_injector::config::DEFAULT_INGEST,
        value_name = "URL"
    )]
    pub(crate) ingest: String,
    /// Where sidecars have the hub's token from: one that the kubelet makes for an audience, or a Secret in
    /// the pod's namespace
    #[arg(
        long,
        env = "REMORA_HUB_TOKEN",
        default_value = "projected:remora-hub",
        value_name = "projected:AUDIENCE|secret:NAME"
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
    /// Most memory of a sidecar, at least 64Mi [default: 128Mi, or the request where that is more]
    #[arg(
        long,
        env = "REMORA_SIDECAR_MEMORY_LIMIT",
        default_value = "",
        hide_default_value = true,
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

#[derive(Debug, Args)]
pub(crate) struct CheckWebhook {
    /// Namespace in which a pod is tried; nothing is made
    #[arg(short, long, env = "REMORA_CHECK_NAMESPACE", value_name = "NAME")]
    pub(crate) namespace: String,
    /// Give the pod the label itself, so that it is asked about whether or not its namespace has it
    #[arg(long, env = "REMORA_CHECK_LABEL_POD")]
    pub(crate) label_pod: bool,
}
