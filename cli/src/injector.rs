//! `remora injector`: from flags to a webhook that runs until it is told to stop.

use std::process::ExitCode;

use anyhow::Context;
use remora_injector::certificates::{Keeper, Lifetimes, Names};
use remora_injector::config::Config;
use remora_injector::kubernetes::Kubernetes;
use remora_injector::server::{Pace, Server};

use crate::arguments::Injector;
use crate::inject;
use crate::runtime::{self, UsageError};

pub(crate) fn run(arguments: Injector) -> anyhow::Result<ExitCode> {
    let config = Config::check(inject::options(arguments.sidecar)).map_err(UsageError::from)?;
    let namespace = config.own_namespace.clone();
    // An answer takes microseconds; one thread gives thousands a second.
    runtime::single_threaded()?.block_on(async {
        let stop = runtime::stop_signal();
        let server = Server::bind(config, arguments.listen, arguments.admin)
            .context("start the injector")?;
        let cluster = Kubernetes::connect(
            &namespace,
            &arguments.secret,
            &arguments.webhook_configuration,
        )
        .await
        .context("start the injector")?;
        tracing::info!(listen.addr = %arguments.listen, admin.addr = %arguments.admin, "listening");
        let names = Names {
            webhook: service_names(&arguments.service, &namespace),
            hub: service_names(HUB_SERVICE, &namespace),
        };
        let keeper = Keeper::new(cluster, names, Lifetimes::default());
        server
            .run(keeper, Pace::real(), stop)
            .await
            .context("run the injector")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The hub's Service in the chart.
const HUB_SERVICE: &str = "remora-hub";

/// The names by which a Service is called from other namespaces.
fn service_names(service: &str, namespace: &str) -> Vec<String> {
    let short = format!("{service}.{namespace}.svc");
    vec![short.clone(), format!("{short}.cluster.local")]
}
