//! Flags of `remora snapshot`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Exit codes: 0 done and settled, 1 not settled, 3 asked wrongly or the hub cannot be reached"
)]
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
