//! `remora proxy`: from flags to a sidecar that runs until it is told to stop.

use std::process::ExitCode;

use anyhow::Context;
use remora_proxy::Proxy;
use remora_proxy::config::{Config, Options};

use crate::arguments;
use crate::runtime::{self, UsageError};

pub(crate) fn run(arguments: arguments::Proxy) -> anyhow::Result<ExitCode> {
    let config = Config::from_options(options(arguments)).map_err(UsageError::from)?;
    // The data plane and the shipper have threads of their own; this one waits and serves the admin port.
    runtime::single_threaded()?.block_on(async {
        let stop = runtime::stop_signal();
        let proxy = Proxy::bind(config).context("start the sidecar")?;
        for bound in proxy.bound() {
            tracing::info!(leg = %bound.leg, listen.addr = %bound.address, "listening");
        }
        proxy.run(stop).await.context("run the sidecar")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: arguments::Proxy) -> Options {
    Options {
        redirect: arguments.redirect,
        forward: arguments.forward,
        admin: arguments.admin,
        workload: arguments.workload,
        namespace: arguments.namespace,
        pod: arguments.pod,
        pod_uid: arguments.pod_uid,
        pod_ips: arguments.pod_ips,
        revision: arguments.revision,
        spool_dir: arguments.spool,
        spool_limit: arguments.spool_limit,
        intercept_tls: arguments.intercept_tls,
        ca_dir: arguments.ca_dir,
        linger: arguments.linger.into(),
        record: arguments.record,
        ..arguments.recording.options()
    }
}
