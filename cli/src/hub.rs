//! `remora hub`: from flags to a hub that runs until it is told to stop.

use std::process::ExitCode;

use anyhow::Context;
use remora_mcp::config::{Config, ConfigError, Keep, Options};
use remora_mcp::snapshot::barrier::Waits;

use crate::arguments::Hub;
use crate::runtime::{self, UsageError};

pub(crate) fn run(arguments: Hub) -> anyhow::Result<ExitCode> {
    let options = Options {
        listen: arguments.listen,
        ingest: arguments.ingest,
        ingest_tls_cert: arguments.ingest_tls_cert,
        ingest_tls_key: arguments.ingest_tls_key,
        allow_plaintext_ingest: arguments.allow_plaintext_ingest,
        keep: Keep::Disk(arguments.data),
        token_file: arguments.token_file,
        kubernetes: arguments.kubernetes,
        retain_age: Some(arguments.retain_age.into()),
        retain_bytes: Some(arguments.retain_bytes.as_u64()),
        allowed_hosts: arguments.allowed_hosts,
        descriptors: arguments.descriptors,
        reflection: arguments.reflection,
        waits: Waits::default(),
    };
    let config = Config::check(options).map_err(UsageError::from)?;
    // Queries and the store have threads of their own; one thread answers.
    runtime::single_threaded()?.block_on(async {
        let stop = runtime::stop_signal();
        remora_mcp::run(config, stop).await.context("run the hub")
    })?;
    Ok(ExitCode::SUCCESS)
}

impl From<ConfigError> for UsageError {
    fn from(ConfigError(problems): ConfigError) -> Self {
        Self::all(&problems)
    }
}
