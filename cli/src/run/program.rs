//! The program that is recorded: started, waited for, and what became of it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use anyhow::Context;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::around;
use super::environment::Change;
use super::say::say;
use super::signals::{Signals, pass_on};

/// What shells say of a program that is not there, and of one that is but cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;
/// What they add to the number of the signal of which a program died.
const SIGNALLED: i32 = 128;

/// Starts a program with our own terminal and files; on failure, the exit code that says so.
pub(super) fn start(command: &[OsString], changes: Vec<Change>) -> Result<Child, u8> {
    let (name, arguments) = command.split_first().ok_or(NOT_FOUND)?;
    let mut program = Command::new(name);
    program.args(arguments);
    for Change { name, value } in changes {
        match value {
            Some(value) => program.env(name, value),
            None => program.env_remove(name),
        };
    }
    program.spawn().map_err(|error| {
        say!("cannot run {}: {error}", name.display());
        match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_RUNNABLE,
        }
    })
}

/// Waits for the program, and passes on the signals that come meanwhile. Gives its exit code. Connections to
/// other servers than the `known` ones are named, unless that is `None`.
pub(super) async fn wait(
    mut child: Child,
    signals: &mut Signals,
    known: Option<&[SocketAddr]>,
) -> anyhow::Result<u8> {
    let child_id = child.id();
    let id = child_id.and_then(|id| Pid::from_raw(id.cast_signed()));
    let names = async {
        match (child_id, known) {
            (Some(id), Some(known)) => around::name_servers(id, known).await,
            _ => std::future::pending().await,
        }
    };
    tokio::pin!(names);
    loop {
        tokio::select! {
            biased;
            // What came while it ran is the program's, even if it has ended since.
            signal = signals.next() => if let Some(id) = id {
                pass_on(signal, id);
            },
            status = child.wait() => return status.map(exit_code).context("wait for the program"),
            never = &mut names => match never {},
        }
    }
}

/// What shells say of a program that died of a signal.
pub(super) fn died_of(signal: Signal) -> u8 {
    exit_code(ExitStatus::from_raw(signal.as_raw()))
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => SIGNALLED + signal,
        (None, None) => SIGNALLED,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::signals::SAME_PRESS;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_signal_that_the_program_died_of_as_well_is_not_a_second_one() {
        let mut signals = Signals::catch().unwrap();
        // As a terminal does to all processes in its foreground.
        let script = "kill -INT $PPID; kill -INT $$";
        for _ in 0..5 {
            let child = start(&["sh", "-c", script].map(OsString::from), Vec::new()).unwrap();
            assert_eq!(wait(child, &mut signals, None).await.unwrap(), 130);
            let again = tokio::time::timeout(2 * SAME_PRESS, signals.again());
            assert!(again.await.is_err());
        }
    }

    #[test]
    fn a_death_by_signal_is_told_as_shells_do() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(died_of(Signal::INT), 130);
    }
}
