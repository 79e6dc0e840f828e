//! `remora check-webhook` against a real API server: every state that it tells of, made.

use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use super::installed;
use crate::chart::manifests;
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::process::REMORA;

/// How it ended, and what it said.
fn check(kubeconfig: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(REMORA)
        .arg("check-webhook")
        .args(arguments)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

/// As the administrator.
fn check_in(server: &ApiServer, namespace: &str) -> (i32, String) {
    check(&server.kubeconfig(), &["--namespace", namespace])
}

fn tells(server: &ApiServer, namespace: &str, code: i32, words: &str) {
    let (ended, said) = check_in(server, namespace);
    assert!(ended == code && said.contains(words), "{ended}: {said}");
}

async fn tells_in_the_end(server: &ApiServer, namespace: &str, words: &str) {
    eventually(words, async || {
        let (ended, said) = check_in(server, namespace);
        (ended == 1 && said.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_tells_in_words_whether_pods_of_a_namespace_get_sidecars() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    tells(
        &server,
        "shop",
        0,
        "namespace shop: reached: new pods get a sidecar",
    );
    tells(
        &server,
        "bank",
        1,
        "label it with remora.dev/inject=enabled",
    );
    tells(&server, "kube-system", 1, "label it with");
    let in_own = ["--namespace", "remora", "--label-pod"];
    let (ended, said) = check(&server.kubeconfig(), &in_own);
    assert!(
        ended == 1 && said.contains("Remora's own are left alone"),
        "{said}"
    );
    tells(&server, "nowhere", 3, "namespaces \"nowhere\" not found");
    // Nothing was made.
    let pods = server.ask(["get", "pods", "--all-namespaces", "-o", "name"]);
    assert_eq!(pods.trim(), "pod/remora-test");

    server.ask([
        "label",
        "namespace",
        "shop",
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
    tells_in_the_end(
        &server,
        "shop",
        "reached, but such a pod gets no sidecar (pod_security)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_of_the_chart_has_the_rights_that_it_needs_and_no_others() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let token = server.ask(["-n", "remora", "create", "token", "remora-test"]);
    let kubeconfig = server.kubeconfig_of("test", token.trim());
    let rendered = manifests("default.yaml");
    let mut documents = rendered
        .split("\n---\n")
        .filter(|text| text.contains("kind: Pod\n"));
    let pod: Value = serde_saphyr::from_str(documents.next().unwrap()).unwrap();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["check-webhook"]));
    let variables = container["env"].as_array().unwrap().iter();
    let output = Command::new(REMORA)
        .arg("check-webhook")
        .envs(variables.map(|of| (of["name"].as_str().unwrap(), of["value"].as_str().unwrap())))
        .env("KUBECONFIG", &kubeconfig)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "namespace default: reached: new pods get a sidecar\n");
    assert_eq!(output.status.code(), Some(0));

    let (ended, said) = check(&kubeconfig, &["--namespace", "shop"]);
    assert!(
        ended == 3 && said.contains("cannot create resource \"pods\""),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_tells_why_the_injector_is_not_reached() {
    let Some((server, injectors)) = installed().await else {
        return;
    };
    let foreign = foreign_authority();
    eventually("a bundle that is wrong", async || {
        // The injectors heal it.
        let entries = (0..5).map(|entry| {
            json!({"op": "replace", "path": format!("/webhooks/{entry}/clientConfig/caBundle"), "value": foreign})
        });
        let patch = Value::from_iter(entries).to_string();
        let name = "mutatingwebhookconfiguration/remora-injector";
        server.ask(["patch", name, "--type=json", "-p", &patch]);
        let (ended, said) = check_in(&server, "shop");
        (ended == 1 && said.contains("not trusted: ") && said.contains("x509: ")).then_some(())
    })
    .await;

    server.egress.lead_to(&[]);
    drop(injectors);
    tells_in_the_end(
        &server,
        "shop",
        "not reached: see that an injector is ready",
    )
    .await;
    // Of no pod that is made the API server says so, or it would not be made.
    let made = super::created(
        &server,
        "shop",
        &super::pod("a", "remora.dev/check: \"true\""),
        &[],
    );
    assert_eq!(made["metadata"]["annotations"], Value::Null);

    server.ask(["delete", "mutatingwebhookconfiguration", "remora-injector"]);
    tells_in_the_end(&server, "shop", "not installed: ").await;
    server.apply(REFUSES_ALL);
    tells_in_the_end(&server, "shop", "refused: the API server takes no such pod").await;
    server.pause();
    tells(&server, "shop", 3, "failed to ask the API server");
}

/// A policy that takes no pods.
const REFUSES_ALL: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-pods}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}]
  validations: [{expression: "false"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-pods}
spec: {policyName: no-pods, validationActions: [Deny]}
"#;

/// The certificate of somebody else's authority, as a bundle is written in JSON.
fn foreign_authority() -> String {
    use base64::Engine as _;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    base64::engine::general_purpose::STANDARD.encode(certificate.pem())
}
