//! Signals are the program's: passed on once, ignored where they were.

use std::process::{Child, Command, Stdio};

use super::programs::{COUNTS_SIGINT, TERMINAL, WAITS_FOR_A_SIGNAL};
use super::{Place, files, program, said};
use crate::support::process::REMORA;

/// The same program, which ignores no signal that whoever started the tests may ignore.
fn heeding(command: &Command) -> Command {
    let mut heeding = Command::new("env");
    heeding
        .arg("--default-signal")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => heeding.env(name, value),
            None => heeding.env_remove(name),
        };
    }
    heeding
}

/// Starts a program that prints a line once it can be sent signals, and waits for that line.
async fn ready(command: Command) -> Child {
    let mut child = heeding(&command).stdout(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.as_mut().unwrap();
    let mut line = [0; 6];
    tokio::task::block_in_place(|| std::io::Read::read_exact(out, &mut line)).unwrap();
    assert_eq!(&line, b"ready\n");
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_program_and_its_answer_counts() {
    let place = Place::start().await;
    for (signal, name) in [
        ("INT", "SIGINT"),
        ("TERM", "SIGTERM"),
        ("HUP", "SIGHUP"),
        ("USR1", "SIGUSR1"),
    ] {
        let waits = program("python3", &["-c", WAITS_FOR_A_SIGNAL, name]);
        let child = ready(place.remora(&["--quiet"], &waits)).await;
        let id = child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status();
        assert!(sent.unwrap().success());
        let output = tokio::task::spawn_blocking(|| child.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(output.status.code(), Some(42), "{signal}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_ignored_stays_so() {
    let place = Place::start().await;
    let shows = program("grep", &["SigIgn", "/proc/self/status"]);
    let remora = place.remora(&["--quiet"], &shows);
    let mut nohup = Command::new("nohup");
    nohup.arg(remora.get_program()).args(remora.get_args());
    let output = nohup.stdin(Stdio::null()).output().unwrap();
    let set =
        u64::from_str_radix(said(&output).0.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(set & 1, 1, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_before_the_program_runs_leaves_nothing_behind() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hub = format!("http://{}", silent.local_addr().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(REMORA);
    command
        .args(["run", "--hub", &hub, "--", "touch"])
        .arg(temporary.path().join("it-ran"))
        .env("TMPDIR", temporary.path());
    let mut command = tokio::process::Command::from(heeding(&command));
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    // It asks whether that is a hub, and is not answered.
    let _asked = silent.accept().await.unwrap();
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(files(temporary.path()), Vec::<String>::new());
}

#[tokio::test]
async fn ctrl_c_at_a_terminal_reaches_the_program_once() {
    let place = Place::start().await;
    let counts = program("python3", &["-c", COUNTS_SIGINT]);
    let remora = place.remora(&["--quiet"], &counts);
    let mut terminal = program("python3", &["-c", TERMINAL]);
    terminal.arg(remora.get_program()).args(remora.get_args());
    let output = tokio::process::Command::from(terminal)
        .output()
        .await
        .unwrap();
    let (out, err) = said(&output);
    assert_eq!(
        (output.status.code(), &*out),
        (Some(5), "interrupted 1 times\n"),
        "{err}"
    );
}
