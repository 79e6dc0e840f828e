//! `remora inject`: manifests in, the same with sidecars out.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use remora_injector::config::{Config, ConfigError, Options};
use remora_injector::manifests::{self, MAX_MANIFEST_BYTES};

use crate::arguments::{Inject, InjectedSidecar};
use crate::runtime::{self, UsageError};

pub(crate) fn run(arguments: Inject) -> anyhow::Result<ExitCode> {
    let config = Config::check(options(arguments.sidecar)).map_err(UsageError::from)?;
    let text = read(&arguments.file)?;
    let rendered = manifests::render(&text, &config)
        .with_context(|| format!("inject into {}", arguments.file.display()))?;
    for warning in &rendered.warnings {
        eprintln!("warning: {warning}");
    }
    runtime::print(rendered.text)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a file, or standard input for `-`; one byte more than is taken, so that it is told and not cut off.
fn read(file: &Path) -> anyhow::Result<String> {
    let most = MAX_MANIFEST_BYTES as u64 + 1;
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("read {}", file.display()))?;
    Ok(text)
}

/// The flags as the injector takes them.
pub(crate) fn options(sidecar: InjectedSidecar) -> Options {
    Options {
        image: sidecar.image,
        image_pull_policy: sidecar.image_pull_policy,
        ingest: sidecar.ingest,
        token: sidecar.hub_token,
        sidecars: sidecar.sidecars,
        own_namespace: sidecar.own_namespace,
        cpu_request: sidecar.sidecar_cpu_request,
        cpu_limit: sidecar.sidecar_cpu_limit,
        memory_request: sidecar.sidecar_memory_request,
        memory_limit: sidecar.sidecar_memory_limit,
        refused_runtime_classes: sidecar.refused_runtime_classes,
    }
}

impl From<ConfigError> for UsageError {
    fn from(ConfigError(problems): ConfigError) -> Self {
        Self::all(&problems)
    }
}
