//! Flags of `remora run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::Recording;

/// Exit codes: the program's own; 128 and the signal where it died of one; 127 there is no such program, 126
/// it cannot be run, 125 remora itself failed.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// Record inbound calls: listen on one port, and pass on to the one that the program listens on, such as
    /// `8080:3000` (repeat)
    #[arg(long = "listen", value_delimiter = ',', value_name = "[IP:]PORT:PORT")]
    pub(crate) listen: Vec<String>,
    /// Look into the TLS of outbound connections to these servers alone: names, and patterns such as
    /// `*.example.com`
    #[arg(
        long,
        env = "REMORA_INTERCEPT_TLS",
        default_value = "*",
        value_name = "NAMES"
    )]
    pub(crate) intercept_tls: String,
    /// Pass TLS through, and record its handshake alone
    #[arg(long)]
    pub(crate) no_intercept: bool,
    /// Name of the workload [default: the program's name]
    #[arg(long, env = "REMORA_WORKLOAD", value_name = "NAME")]
    pub(crate) workload: Option<String>,
    /// The hub's API; one is started if none answers there, and takes the records then
    #[arg(
        long,
        env = "REMORA_HUB",
        default_value = "http://127.0.0.1:8899",
        value_name = "URL"
    )]
    pub(crate) hub: String,
    /// Folder for the records of a hub that is started here; without one they are gone when it ends
    #[arg(long, env = "REMORA_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Have a hub that is started here go on after the program, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// Say nothing but what goes wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) recording: Recording,
}
