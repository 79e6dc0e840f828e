//! The chart, by the real helm: it renders, to what was reviewed, and to objects that Kubernetes knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::Value;
use test_case::test_case;

use crate::support::{lost, reencoded};

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("charts")
}

/// Runs helm beside the chart; `None` where there is no helm.
fn helm(arguments: &[&str]) -> Option<Output> {
    match Command::new("helm")
        .args(arguments)
        .current_dir(charts())
        .output()
    {
        Ok(output) => Some(output),
        Err(error) => {
            let required = std::env::var("REMORA_REQUIRE").as_deref() == Ok("all");
            assert!(!required, "left out: helm does not run: {error}");
            eprintln!("left out: helm does not run: {error}");
            None
        }
    }
}

fn template(arguments: &[&str]) -> Option<Output> {
    let all = [
        "template",
        "remora",
        "remora",
        "--namespace",
        "remora",
        "--kube-version",
    ];
    helm(&[&all, arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The objects of a rendered chart.
fn objects(rendered: &str) -> Vec<Value> {
    let documents = rendered
        .split("\n---\n")
        .filter(|document| document.contains("kind: "));
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(charts().join("rendered").join(name)).unwrap()
}

#[test]
fn helm_finds_nothing_to_say_against_the_chart() {
    let Some(output) = helm(&["lint", "--strict", "--kube-version", "1.34.0", "remora"]) else {
        return;
    };
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test_case("default")]
#[test_case("everything")]
#[test_case("small")]
fn what_is_rendered_is_what_was_reviewed(name: &str) {
    let values = format!("rendered/{name}.values.yaml");
    let Some(output) = template(&["1.34.0", "--values", &values]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let reviewed = read(&format!("{name}.yaml"));
    assert!(
        text(&output.stdout) == reviewed,
        "{name} has changed: run .ci/render and review"
    );
}

#[test_case("default")]
#[test_case("everything")]
#[test_case("small")]
fn kubernetes_knows_every_field_that_is_rendered(name: &str) {
    for object in objects(&read(&format!("{name}.yaml"))) {
        let again = match object["kind"].as_str().unwrap() {
            "ClusterRole" => reencoded::<ClusterRole>(&object),
            "ClusterRoleBinding" => reencoded::<ClusterRoleBinding>(&object),
            "Deployment" => reencoded::<Deployment>(&object),
            "Ingress" => reencoded::<Ingress>(&object),
            "MutatingWebhookConfiguration" => reencoded::<MutatingWebhookConfiguration>(&object),
            "NetworkPolicy" => reencoded::<NetworkPolicy>(&object),
            "Pod" => reencoded::<Pod>(&object),
            "PersistentVolumeClaim" => reencoded::<PersistentVolumeClaim>(&object),
            "PodDisruptionBudget" => reencoded::<PodDisruptionBudget>(&object),
            "Role" => reencoded::<Role>(&object),
            "RoleBinding" => reencoded::<RoleBinding>(&object),
            "Secret" => reencoded::<Secret>(&object),
            "Service" => reencoded::<Service>(&object),
            "ServiceAccount" => reencoded::<ServiceAccount>(&object),
            // Of Prometheus Operator, whose types are not Kubernetes'.
            "ServiceMonitor" => continue,
            other => panic!("an object of kind {other}, which no test knows"),
        };
        assert_eq!(
            lost(&object, &again, ""),
            Vec::<String>::new(),
            "{}",
            object["metadata"]["name"]
        );
    }
}

#[test_case("1.31.9" => "classic"; "with which older nodes may run")]
#[test_case("1.32.0" => "native"; "with which none can")]
fn sidecars_under_an_api_server_of(version: &str) -> String {
    let Some(output) = template(&[version, "--show-only", "templates/injector-deployment.yaml"])
    else {
        return if version < "1.32" {
            "classic"
        } else {
            "native"
        }
        .to_owned();
    };
    let deployment = &objects(&format!("\n{}", text(&output.stdout)))[0];
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .clone();
    let sidecars = env
        .iter()
        .find(|variable| variable["name"] == "REMORA_SIDECARS")
        .unwrap();
    sidecars["value"].as_str().unwrap().to_owned()
}

/// What the injector is told of the sidecar's resources.
#[test_case(&[], "CPU_REQUEST=10m MEMORY_REQUEST=32Mi"; "the defaults")]
#[test_case(&["sidecar.resources=null"], ""; "nothing, so that it takes its own defaults")]
#[test_case(&["sidecar.resources.limits=null", "sidecar.resources.requests.memory=256Mi"], "CPU_REQUEST=10m MEMORY_REQUEST=256Mi"; "no limits")]
#[test_case(&["sidecar.resources.limits.memory=64Mi", "sidecar.resources.limits.cpu=1"], "CPU_REQUEST=10m MEMORY_REQUEST=32Mi CPU_LIMIT=1 MEMORY_LIMIT=64Mi"; "limits")]
fn the_injector_is_told_of_resources(values: &[&str], expected: &str) {
    let mut arguments = vec![
        "1.34.0",
        "--show-only",
        "templates/injector-deployment.yaml",
    ];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    let Some(output) = template(&arguments) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let deployment = &objects(&format!("\n{}", text(&output.stdout)))[0];
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array();
    let said = env.unwrap().iter().filter_map(|variable| {
        let name = variable["name"].as_str()?.strip_prefix("REMORA_SIDECAR_")?;
        Some(format!("{name}={}", variable["value"].as_str()?))
    });
    assert_eq!(said.collect::<Vec<_>>().join(" "), expected);
}

#[test_case("hub.retainAge", &["7d", "24hrs", "1hr", "90mins", "30secs", "2wks", "1yr", "1M", "1.5 d", "1week 2days", "10h 0m"]; "how long calls are kept")]
#[test_case("sidecar.resources.limits.memory", &["64Mi", "65536Ki", "0.0625Gi", ".5Gi", "1Gi", "1Pi", "67109k", "67108864", "128e6", "1.28e+08"]; "how much memory at most")]
#[test_case("sidecar.resources.requests.cpu", &["10m", ".5", "0.5", "1", "5e-1"]; "how much of a processor")]
fn what_remora_reads_the_chart_takes(name: &str, values: &[&str]) {
    for value in values {
        let set = format!("{name}={value}");
        let Some(output) = template(&["1.34.0", "--set", &set]) else {
            return;
        };
        assert!(output.status.success(), "{set}: {}", text(&output.stderr));
    }
}

#[test_case("test.namespace=Shop", "/test/namespace"; "a namespace that can have no such name")]
#[test_case("hub.ingress.enabled=true", "/hub/ingress/host"; "an Ingress without a host")]
#[test_case("sidecar.mode=ambient", "/sidecar/mode"; "a mode that is none")]
#[test_case("hub.ingress.host=*.example.com", "/hub/ingress/host"; "an Ingress for many hosts")]
#[test_case("hub.allowedHosts={https://hub.example.com}", "/hub/allowedHosts/0"; "a URL as the name of a host")]
#[test_case("hub.retainAge=one week", "/hub/retainAge"; "a time in words")]
#[test_case("hub.retainAge=0d", "/hub/retainAge"; "no time")]
#[test_case("hub.retainAge=0.0h 0s", "/hub/retainAge"; "no time in two parts")]
#[test_case("hub.retainAge=1.d", "/hub/retainAge"; "a time that breaks off at its point")]
#[test_case("hub.retainBytes=1.2.3GiB", "/hub/retainBytes"; "a version as a size")]
#[test_case("sidecar.resources.limits.memory=63Mi", "/sidecar/resources/limits/memory"; "too little memory")]
#[test_case("sidecar.resources.limits.memory=33554432", "/sidecar/resources/limits/memory"; "too little memory in bytes")]
#[test_case("sidecar.resources.limits.memory=10000Ki", "/sidecar/resources/limits/memory"; "too little memory in Ki")]
#[test_case("sidecar.resources.limits.memory=10000k", "/sidecar/resources/limits/memory"; "too little memory in k")]
#[test_case("sidecar.resources.limits.memory=0.01Gi", "/sidecar/resources/limits/memory"; "too little memory in Gi")]
#[test_case("sidecar.resources.limits.memory=lots", "/sidecar/resources/limits/memory"; "no amount of memory")]
#[test_case("sidecar.resources.requests.memory=", "/sidecar/resources/requests/memory"; "an empty request")]
#[test_case("sidecar.resources.requests.ephemeral-storage=100Mi", "ephemeral-storage"; "a resource that nothing is done with")]
#[test_case("hub.retianAge=1d", "retianAge"; "a value that is misspelt")]
fn values_that_cannot_be_meant_are_refused(values: &str, named: &str) {
    let Some(output) = template(&["1.34.0", "--set", values]) else {
        return;
    };
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains(named), "{said}");
}
