//! What the chart tells the programs: each understands every variable, and takes the values.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use test_case::test_case;

use crate::support::process::REMORA;

/// Manifests of the chart, as they are kept.
pub fn manifests(rendered: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("charts/rendered").join(rendered)).unwrap()
}

/// The container of a Deployment that was rendered.
pub fn container(rendered: &str, deployment: &str) -> Value {
    let text = manifests(rendered);
    let mut documents = text
        .split("\n---\n")
        .filter(|document| document.contains("kind: Deployment"))
        .map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    let found = documents.find(|object| object["metadata"]["name"] == deployment);
    found.unwrap()["spec"]["template"]["spec"]["containers"][0].take()
}

/// Runs a container here, with `more` after its own arguments.
fn run(container: &Value, more: &[&str]) -> Output {
    let args = container["args"].as_array().unwrap();
    Command::new(REMORA)
        .args(args.iter().map(|arg| arg.as_str().unwrap()))
        .args(more)
        .env_clear()
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .envs(variables(container))
        .output()
        .unwrap()
}

/// What its environment says.
pub fn variables(container: &Value) -> Vec<(&str, &str)> {
    let variables = container["env"].as_array().unwrap().iter();
    variables
        .map(|of| (of["name"].as_str().unwrap(), of["value"].as_str().unwrap()))
        .collect()
}

#[test_case("default.yaml")]
#[test_case("everything.yaml")]
#[test_case("small.yaml")]
fn hub_and_injector_know_every_variable_that_the_chart_sets(rendered: &str) {
    for deployment in ["remora-hub", "remora-injector"] {
        let container = container(rendered, deployment);
        let help = String::from_utf8(run(&container, &["--help"]).stdout).unwrap();
        for (name, _) in variables(&container) {
            assert!(
                help.contains(&format!("[env: {name}=")),
                "{deployment} does not know {name}: {help}"
            );
        }
    }
}

#[test]
fn what_prometheus_is_to_scrape_is_there() {
    let text = manifests("everything.yaml");
    let objects = text
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    let (monitors, objects): (Vec<_>, Vec<_>) =
        objects.partition(|object| object["kind"] == "ServiceMonitor");
    let services: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Service")
        .collect();
    assert_eq!(monitors.len(), 2);
    for monitor in monitors {
        let wanted = monitor["spec"]["selector"]["matchLabels"]
            .as_object()
            .unwrap();
        let chosen = services.iter().filter(|service| {
            let labels = &service["metadata"]["labels"];
            wanted.iter().all(|(name, value)| labels[name] == *value)
        });
        let chosen: Vec<_> = chosen.collect();
        let [service] = chosen.as_slice() else {
            panic!("{monitor} is of {} services", chosen.len());
        };
        let ports = service["spec"]["ports"].as_array().unwrap();
        for endpoint in monitor["spec"]["endpoints"].as_array().unwrap() {
            assert!(
                ports.iter().any(|port| port["name"] == endpoint["port"]),
                "{endpoint}"
            );
        }
    }
}

#[test]
fn the_injector_takes_the_values_and_misses_only_a_cluster() {
    let container = container("everything.yaml", "remora-injector");
    let output = run(
        &container,
        &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    // With 2 a flag, or a variable in its stead, is refused.
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("find the API server"), "{said}");
}

#[test]
fn the_hub_takes_the_values_and_misses_only_its_cluster() {
    let container = container("everything.yaml", "remora-hub");
    let data = tempfile::tempdir().unwrap();
    let data = data.path().display().to_string();
    let addresses = ["--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0"];
    let output = run(&container, &[&addresses[..], &["--data", &data]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("find the API server of Kubernetes (--kubernetes)"),
        "{said}"
    );
}
