//! What every role needs once: logs, the signal to stop, the exit code.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What a script is told when it asked wrongly, or there was nobody to be asked.
pub(crate) const NOT_ASKED: u8 = 3;

/// Sends logs to standard error, as text for a person and as JSON for a machine.
pub(crate) fn init_logs(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.with_target(false).init();
    } else {
        logs.json().flatten_event(true).init();
    }
}

/// A runtime on one thread, which is all that the roles here need; each starts more where it says so.
pub(crate) fn single_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}

/// Ends at SIGTERM or SIGINT. The signals are caught from the call on, not from the first poll.
pub(crate) fn stop_signal() -> impl Future<Output = ()> {
    let catch =
        |kind| signal(kind).map_err(|error| tracing::warn!(%error, "cannot catch a signal"));
    let (terminate, interrupt) = (
        catch(SignalKind::terminate()),
        catch(SignalKind::interrupt()),
    );
    async {
        tokio::select! {
            () = received(terminate) => {}
            () = received(interrupt) => {}
        }
    }
}

/// Ends when the signal comes; never, if it cannot be caught.
async fn received(signal: Result<Signal, ()>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(()) => std::future::pending().await,
    }
}

/// Writes `text` to standard output. Where nobody reads it any more, as behind `| head`, the error is
/// [`OutputClosed`], which ends the program without a word.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(error).context("write to standard output"),
    }
}

/// Nobody reads standard output any more.
#[derive(Debug)]
pub(crate) struct OutputClosed;

impl Display for OutputClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for OutputClosed {}

/// Prints a failure with its chain of causes; a usage problem ends with 2, everything else with 1.
pub(crate) fn exit_code(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        if error.is::<OutputClosed>() {
            return ExitCode::FAILURE;
        }
        eprintln!("error: {error:#}");
        if error.is::<UsageError>() {
            ExitCode::from(2)
        } else {
            ExitCode::FAILURE
        }
    })
}

/// The arguments do not make sense together; the message says which and what to write instead.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl UsageError {
    /// Every problem on a line of its own.
    pub(crate) fn all(problems: &[String]) -> Self {
        Self(problems.join("\n       "))
    }
}

impl Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
