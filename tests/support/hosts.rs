//! Names of our own, for one process and those that it starts.

use std::path::Path;
use std::process::{Command, Stdio};

use super::left_out;

/// Has a command run with this file in the place of `/etc/hosts`; `None`, with one line that says so, where that
/// takes a right that we do not have.
pub fn named_by(hosts: &Path, command: &Command) -> Option<Command> {
    let may = apart(hosts).arg("true").stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        left_out("names of our own need a mount namespace");
        return None;
    }
    let mut named = apart(hosts);
    named.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => named.env(name, value),
            None => named.env_remove(name),
        };
    }
    Some(named)
}

/// Runs its arguments in a mount namespace.
fn apart(hosts: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"")
        .arg(hosts)
        .stdin(Stdio::null());
    command
}
