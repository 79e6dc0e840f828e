//! `remora init`: writes the redirect rules into this network namespace, or prints them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use remora_proxy::config::{ConfigError, RedirectPorts};
use remora_proxy::redirect::{RedirectOptions, RuleSet};

use crate::arguments::Init;
use crate::runtime::{self, UsageError};

/// Where Kubernetes takes a container's last words from; it is there in containers only.
const TERMINATION_LOG: &str = "/dev/termination-log";

pub(crate) fn run(arguments: Init) -> anyhow::Result<ExitCode> {
    let options = RedirectOptions {
        proxy_uid: arguments.proxy_uid,
        ports: RedirectPorts::default(),
        skip_inbound_ports: arguments.skip_inbound_ports,
        skip_outbound_ports: arguments.skip_outbound_ports,
        skip_outbound_cidrs: arguments.skip_outbound_cidrs,
    };
    let rules = RuleSet::new(&options).map_err(UsageError::from)?;
    if arguments.print {
        runtime::print(rules)?;
        return Ok(ExitCode::SUCCESS);
    }
    match rules.install().context("write the redirect rules") {
        Ok(()) => tracing::info!(proxy.uid = options.proxy_uid, "redirect rules are in place"),
        Err(error) if arguments.optional => go_without(&error),
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

/// A pod that cannot be recorded starts all the same, and says why it is not.
fn go_without(error: &anyhow::Error) {
    tracing::error!("{error:#}; nothing is redirected, so nothing will be recorded");
    let told = OpenOptions::new().write(true).open(TERMINATION_LOG);
    if let Ok(mut file) = told
        && let Err(failure) = writeln!(file, "not recorded: {error:#}")
    {
        tracing::debug!(%failure, "the termination message could not be written");
    }
}

impl From<ConfigError> for UsageError {
    fn from(error: ConfigError) -> Self {
        let problems = error
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message));
        Self::all(&problems.collect::<Vec<_>>())
    }
}
