//! What a person types wrong is answered with the flag, the reason and a right value.

use std::process::{Command, Output};

use crate::support::process::REMORA;

fn remora(arguments: &[&str]) -> Output {
    Command::new(REMORA)
        .args(arguments)
        .env_remove("REMORA_LOG")
        .output()
        .unwrap()
}

/// Runs a command that must be refused with exit code 2; gives what it said.
fn refused(arguments: &[&str]) -> String {
    let output = remora(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?} said: {said}");
    said
}

#[test]
fn a_map_that_cannot_be_read_is_refused_with_the_form_it_should_have() {
    let said = refused(&[
        "proxy",
        "--workload",
        "web",
        "--map",
        "inbond:127.0.0.1:8080=127.0.0.1:3000",
    ]);
    assert!(said.contains("--map") && said.contains("inbound"), "{said}");
}

#[test]
fn flags_that_make_no_sense_end_with_the_code_that_the_command_has_for_them() {
    for (command, code) in [("verify", 3), ("snapshot", 3), ("run", 125), ("hub", 2)] {
        for before in [&[][..], &["--log", "warn"], &["--log=warn"]] {
            let arguments = [before, &[command, "--nope"]].concat();
            let output = remora(&arguments);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn help_says_what_exit_codes_mean() {
    for command in ["verify", "snapshot"] {
        let help = remora(&[command, "--help"]).stdout;
        let help = String::from_utf8(help).unwrap();
        assert!(help.contains("Exit codes: 0 "), "{help}");
    }
}

#[test]
fn all_problems_of_a_sidecar_are_told_at_once() {
    let maps = [
        "proxy",
        "--workload",
        "web",
        "--map",
        "inbound:127.0.0.1:8080=127.0.0.1:3000",
    ];
    let said = refused(
        &[
            &maps[..],
            &["--body-limit", "64 potatoes", "--capture-budget", "1"],
        ]
        .concat(),
    );
    assert!(
        said.contains("--body-limit") && said.contains("--capture-budget"),
        "{said}"
    );
}

/// Runs `remora init` as nobody, who may not write rules.
fn init_as_nobody(arguments: &[&str]) -> Output {
    Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "--bounding-set=-all"])
        .args([REMORA, "init"])
        .args(arguments)
        .env_remove("REMORA_LOG")
        .output()
        .unwrap()
}

#[test]
fn rules_that_cannot_be_written_end_a_script_but_no_pod_that_does_without() {
    let me = Command::new("id").arg("-u").output().unwrap();
    if me.stdout != b"0\n" {
        return crate::support::left_out("only root can become nobody");
    }
    for (arguments, code) in [(&[][..], 1), (&["--optional"], 0)] {
        let output = init_as_nobody(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?} said: {said}"
        );
        assert!(said.contains("NET_ADMIN"), "{said}");
    }
}

#[test]
fn a_sidecar_without_listeners_is_told_what_is_missing() {
    let said = refused(&["proxy", "--workload", "web"]);
    assert!(
        said.contains("--map") && said.contains("--redirect"),
        "{said}"
    );
}

#[test]
fn a_hub_off_loopback_wants_a_token() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().display().to_string();
    let said = refused(&["hub", "--listen", "0.0.0.0:8899", "--data", &data]);
    assert!(
        said.contains("--listen") && said.contains("--token-file"),
        "{said}"
    );
}

#[test]
fn a_demo_that_everybody_could_reach_is_refused() {
    let said = refused(&["demo", "--once", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("--listen"), "{said}");
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused() {
    let said = refused(&["--log", "remora_proxy=loud", "init", "--print"]);
    assert!(said.contains("--log") && said.contains("debug"), "{said}");
}

#[test]
fn two_hubs_do_not_share_a_folder() {
    let place = crate::support::process::HubPlace::new();
    let _first = place.start();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", place.api_port)).is_err() {
        assert!(
            std::time::Instant::now() < deadline,
            "the first hub does not listen"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let data = place.data().display().to_string();
    let second = remora(&[
        "hub",
        "--listen",
        "127.0.0.1:0",
        "--ingest",
        "127.0.0.1:0",
        "--data",
        &data,
    ]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&data), "{said}");
}

#[test]
fn the_rules_are_printed_without_any_privilege() {
    let output = remora(&["init", "--print", "--skip-outbound-ports", "5432,9000-9010"]);
    let rules = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(
        rules.contains("inet remora") && rules.contains("9000-9010"),
        "{rules}"
    );
}

#[test]
fn a_port_range_that_is_none_is_refused_with_the_flag() {
    let said = refused(&["init", "--print", "--skip-inbound-ports", "http"]);
    assert!(said.contains("--skip-inbound-ports"), "{said}");
}

#[test]
fn output_that_nobody_reads_ends_the_program_without_a_word() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(REMORA)
        .args(["init", "--print"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(1), ""));
}
