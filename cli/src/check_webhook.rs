//! `remora check-webhook`: whether new pods get a sidecar, in words.
//!
//! Exit codes: 0 they do, 1 they do not, 3 it could not be asked.

use std::process::ExitCode;

use remora_injector::check::check;

use crate::arguments::CheckWebhook;
use crate::runtime::{self, NOT_ASKED, OutputClosed, print};

pub(crate) fn run(options: &CheckWebhook) -> anyhow::Result<ExitCode> {
    let done = runtime::single_threaded()?.block_on(tell(options));
    match done {
        Err(error) if !error.is::<OutputClosed>() => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(NOT_ASKED))
        }
        done => done,
    }
}

async fn tell(options: &CheckWebhook) -> anyhow::Result<ExitCode> {
    let verdict = check(&options.namespace, options.label_pod).await?;
    print(format_args!("namespace {}: {verdict}\n", options.namespace))?;
    Ok(match verdict.is_injected() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
