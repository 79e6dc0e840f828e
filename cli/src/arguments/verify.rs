//! Flags of `remora verify`.

use std::path::PathBuf;

use clap::Args;

use super::AtHub;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 asked wrongly, no such file, or the hub cannot be reached"
)]
pub(crate) struct Verify {
    /// File with the expectations, `-` for standard input
    pub(crate) file: PathBuf,
    /// Judge by this snapshot, whatever the file names
    #[arg(long, value_name = "ID", conflicts_with = "since")]
    pub(crate) snapshot: Option<String>,
    /// Judge by the calls of so long a time that ends now, whatever the file names
    #[arg(long, value_name = "DURATION")]
    pub(crate) since: Option<humantime::Duration>,
    /// First wait until the calls have settled, so long at most; with `--since`, in a snapshot made for it
    /// and kept for an hour
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<humantime::Duration>,
    /// Write the verdicts to this file in the form of JUnit; inconclusive ones are skipped there
    #[arg(long, value_name = "OUT")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) at: AtHub,
}
