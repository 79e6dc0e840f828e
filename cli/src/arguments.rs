//! The command line: every flag also comes from the environment as `REMORA_…`.

mod hub;
mod inject;
mod mcp;
mod proxy;
mod recording;
mod run;
mod snapshot;
mod verify;

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub(crate) use hub::Hub;
pub(crate) use inject::{CheckWebhook, Inject, InjectedSidecar, Injector};
pub(crate) use mcp::Mcp;
pub(crate) use proxy::Proxy;
pub(crate) use recording::Recording;
pub(crate) use run::Run;
pub(crate) use snapshot::{AtHub, Snapshot, SnapshotStart, SnapshotWait};
pub(crate) use verify::Verify;

/// Tells you, and your AI assistant, what your code really does on the wire.
#[derive(Debug, Parser)]
#[command(name = "remora", version, max_term_width = 100)]
pub(crate) struct Remora {
    /// What is logged to standard error, such as `debug` or `warn,remora_proxy=debug` [default: info for
    /// hub, proxy, injector and init, else warn]
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
                | Command::CheckWebhook(_)
                | Command::Mcp(_)
                | Command::Run(_)
                | Command::Snapshot(_)
                | Command::Verify(_)
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
    /// Run a local program and record its calls, without any privilege
    Run(Box<Run>),
    /// Make, wait for, list and delete snapshots at a hub: named windows over recorded calls
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Judge expectations (YAML or JSON) by the calls that a hub has
    Verify(Verify),
    /// Write the redirect rules into this network namespace (needs CAP_NET_ADMIN)
    Init(Init),
    /// Relay MCP between standard input and output and a hub, for clients that do not speak HTTP
    Mcp(Mcp),
    /// Run the webhook that puts a sidecar into pods that ask for one
    Injector(Box<Injector>),
    /// Print Kubernetes manifests with a sidecar in each pod, as the webhook would put it there
    Inject(Inject),
    /// Try a pod in a namespace and say in words whether it gets a sidecar; exit 0 if it does, 1 if not, 3 if
    /// that could not be asked
    CheckWebhook(CheckWebhook),
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
    /// End after one round of traffic; exit 0 if every call is stored once per leg and what is wrong with
    /// the shop was found, and nothing else, else 1
    #[arg(long)]
    pub(crate) once: bool,
    /// Open the shop with everything mended that is wrong with it
    #[arg(long)]
    pub(crate) fixed: bool,
    /// Address of the API [default: 127.0.0.1:8899, or a free port if that is taken]
    #[arg(long, env = "REMORA_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use test_case::test_case;

    use super::*;

    /// Variables that happen to be set do not show.
    #[test_case("proxy")]
    #[test_case("run")]
    fn the_help_of_what_records_is_reviewed(name: &str) {
        let quiet = |command: clap::Command| command.mut_args(|arg| arg.hide_env_values(true));
        let mut remora = quiet(Remora::command()).mut_subcommand(name, quiet);
        remora.build();
        let help = remora.find_subcommand_mut(name).unwrap().render_help();
        insta::assert_snapshot!(name, help.to_string());
    }
}
