//! `remora inject`: what it prints, what it says, how it ends; and that the sidecar understands what it is told.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::support::process::REMORA;

const POD: &str = "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web}]}\n";
const SERVICE: &str = "kind: Service   # as it was\n";

/// Runs `remora inject` on `manifest`.
fn inject(arguments: &[&str], manifest: &str) -> Output {
    let mut child = Command::new(REMORA)
        .args(["inject", "-f", "-"])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused its arguments, and read nothing.
    let _ = child.stdin.take().unwrap().write_all(manifest.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn manifests_come_out_with_sidecars_and_warnings_on_the_other_stream() {
    let manifest = format!(
        "{SERVICE}---\n{POD}---\n{}",
        POD.replace("spec: {", "spec: {hostNetwork: true, ")
    );
    let output = inject(&["--image", "remora:1"], &manifest);
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(out.starts_with(&format!("{SERVICE}---\n")), "{out}");
    assert_eq!(out.matches("name: remora-proxy").count(), 1, "{out}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("warning: pod/web:") && said.contains("host_network"),
        "{said}"
    );
}

#[test]
fn a_manifest_that_cannot_be_read_prints_nothing_and_ends_with_1() {
    let output = inject(&["--image", "remora:1"], &format!("{POD}---\nkind: [\n"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(said.contains("document 2, from line 4"), "{said}");
}

#[test]
fn flags_that_make_no_sense_end_with_2() {
    let output = inject(&["--image", "remora:1", "--hub-token", "x"], POD);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--hub-token"));
    assert_eq!(inject(&[], POD).status.code(), Some(2));
}

#[test]
fn the_sidecar_and_the_init_container_understand_every_flag_and_variable_they_get() {
    let pod: serde_json::Value = serde_json::json!({
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/version": "3"}, "annotations": {
            "remora.dev/skip-inbound-ports": "22,80-90", "remora.dev/body-limit": "1MiB", "remora.dev/engine": "terminate",
            "remora.dev/intercept-tls": "api.example.com,*.example.org", "remora.dev/upstream-ca": "corporate",
            "remora.dev/faults": "allowed",
            "remora.dev/skip-outbound-ports": "5432", "remora.dev/skip-outbound-cidrs": "10.0.0.0/8",
        }},
        "spec": {"containers": [{"name": "web"}]},
    });
    let output = inject(&["--image", "remora:1"], &pod.to_string());
    let injected: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut init = injected["spec"]["initContainers"][0].clone();
    assert_eq!(init["args"], serde_json::json!(["init", "--optional"]));
    // What only prints cannot fail for want of a privilege, and refuses to be optional.
    init["args"] = serde_json::json!(["init"]);
    let init = run(&init, &["--print"]);
    assert_eq!(init.status.code(), Some(0), "{}", text(&init.stderr));
    let rules = text(&init.stdout);
    for part in ["15100", "22", "80-90", "5432", "10.0.0.0/8"] {
        assert!(rules.contains(part), "{part} is missing in {rules}");
    }
    let classic = inject(
        &["--image", "remora:1", "--sidecars", "classic"],
        &pod.to_string(),
    );
    let classic: serde_json::Value = serde_json::from_slice(&classic.stdout).unwrap();
    for proxy in [
        &injected["spec"]["initContainers"][1],
        &classic["spec"]["containers"][0],
    ] {
        // A last flag that is wrong ends it, and is all that it complains of.
        let proxy = run(proxy, &["--spool-limit", "wrong"]);
        assert_eq!(proxy.status.code(), Some(2));
        let said = text(&proxy.stderr);
        assert!(
            said.contains("--spool-limit") && said.trim_end().lines().count() == 1,
            "{said}"
        );
    }
}

/// Runs a container of ours here, with its environment as a kubelet would make it.
fn run(container: &serde_json::Value, more: &[&str]) -> Output {
    let args = container["args"].as_array().unwrap();
    let mut command = Command::new(REMORA);
    command
        .args(args.iter().map(|arg| arg.as_str().unwrap()))
        .args(more)
        .env_clear();
    for variable in container["env"].as_array().unwrap() {
        let field = variable.pointer("/valueFrom/fieldRef/fieldPath");
        let value = match field.and_then(serde_json::Value::as_str) {
            Some("status.podIPs") => "10.1.2.3,fd00::3",
            Some("metadata.uid") => "2c1a",
            Some(_) => "shop",
            None => variable["value"].as_str().unwrap(),
        };
        command.env(variable["name"].as_str().unwrap(), value);
    }
    command.output().unwrap()
}
