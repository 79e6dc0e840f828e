//! Signals that are meant for the program.

use std::fs::{self, File};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::signal::unix::{self, SignalKind};

/// What is passed on. The rest either stops both alike, as Ctrl-Z does, or cannot be caught.
const PASSED_ON: [Signal; 6] = [
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
];

/// How long after the program's end a key press may be heard of that ended it.
pub(super) const SAME_PRESS: Duration = Duration::from_millis(200);

/// The signals that come in, instead of ending this process.
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Catches them from now on. One that is ignored, as by `nohup`, stays so, for the program as well.
    pub(super) fn catch() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let mut caught = Vec::new();
        for signal in PASSED_ON {
            let number = signal.as_raw();
            if ignored >> (number - 1) & 1 == 1 {
                continue;
            }
            let stream = unix::signal(SignalKind::from_raw(number));
            caught.push((signal, stream.context("catch signals")?));
        }
        Ok(Self(caught))
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for one that comes after the program has ended. A key press that comes right behind the end is the
    /// one that ended it, and is passed over.
    pub(super) async fn again(&mut self) {
        let over = tokio::time::sleep(SAME_PRESS);
        tokio::pin!(over);
        loop {
            tokio::select! {
                signal = self.next() => if over.is_elapsed() || !is_key(signal) {
                    return;
                },
                () = &mut over, if !over.is_elapsed() => {}
            }
        }
    }
}

/// The set of ignored signals, as `/proc/PID/status` shows it.
fn ignored(status: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// Passes a signal on to the program, unless that has it already: a terminal sends Ctrl-C and Ctrl-\ to all
/// processes in its foreground.
pub(super) fn pass_on(signal: Signal, program: Pid) {
    if is_key(signal) && is_in_foreground() {
        return;
    }
    // It may have ended just now.
    let _ = kill_process(program, signal);
}

/// Whether a terminal sends it at a key press.
fn is_key(signal: Signal) -> bool {
    matches!(signal, Signal::INT | Signal::QUIT)
}

fn is_in_foreground() -> bool {
    File::open("/dev/tty")
        .is_ok_and(|terminal| rustix::termios::tcgetpgrp(&terminal).is_ok_and(|it| it == getpgrp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_as_the_kernel_shows_them() {
        let status = "Name:\tremora\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert_eq!(ignored(status), 1 << 12 | 1);
        assert_eq!(ignored(""), 0);
    }
}
