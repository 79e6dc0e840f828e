//! `remora init`: writes the redirect rules into this network namespace, or prints them.

use std::process::ExitCode;

use anyhow::Context;
use remora_proxy::config::{ConfigError, RedirectPorts};
use remora_proxy::redirect::{RedirectOptions, RuleSet};

use crate::arguments::Init;
use crate::runtime::{self, UsageError};

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
    } else {
        rules.install().context("write the redirect rules")?;
        tracing::info!(proxy.uid = options.proxy_uid, "redirect rules are in place");
    }
    Ok(ExitCode::SUCCESS)
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
