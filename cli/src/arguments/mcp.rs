//! Flags of `remora mcp`.

use std::path::PathBuf;

use clap::Args;

/// Longest name of something in Kubernetes.
const NAME_BYTES: usize = 253;

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
    /// Reach the hub of a cluster through kubectl, which forwards a port and makes the token
    #[arg(long, env = "REMORA_KUBERNETES", conflicts_with_all = ["hub", "token_file"])]
    pub(crate) kubernetes: bool,
    /// Namespace of the hub and of the account
    #[arg(long, env = "REMORA_HUB_NAMESPACE", default_value = "remora", requires = "kubernetes", value_name = "NAMESPACE", value_parser = kubernetes_name)]
    pub(crate) namespace: String,
    /// The account that the token is of: what it may see, the assistant sees
    #[arg(long, env = "REMORA_SERVICE_ACCOUNT", default_value = "remora-reader", requires = "kubernetes", value_name = "NAME", value_parser = kubernetes_name)]
    pub(crate) service_account: String,
    /// The cluster, as a context of kubectl [default: the current one]
    #[arg(
        long,
        env = "REMORA_CONTEXT",
        requires = "kubernetes",
        value_name = "CONTEXT"
    )]
    pub(crate) context: Option<String>,
    /// The program kubectl, where it is not in PATH or called otherwise
    #[arg(
        long,
        env = "REMORA_KUBECTL",
        default_value = "kubectl",
        requires = "kubernetes",
        value_name = "PROGRAM"
    )]
    pub(crate) kubectl: PathBuf,
}

/// Takes a name that something in Kubernetes can have; so none is taken for a flag of kubectl.
fn kubernetes_name(text: &str) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = text.len() <= NAME_BYTES
        && text
            .bytes()
            .all(|byte| is_inner(byte) || b"-.".contains(&byte))
        && text.bytes().next().is_some_and(is_inner)
        && text.bytes().next_back().is_some_and(is_inner);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("names are made of lower-case letters, digits, '-' and '.', and begin and end with a letter or digit".to_owned())
    }
}
