//! The webhook as a real API server asks it: installed by the chart, with the rights that the chart gives.

mod check;
mod controllers;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::chart::{container, manifests, variables};
use crate::support::api::Client;
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::process::{REMORA, Running, free_port};

/// An injector of the chart that runs here.
pub struct Injector {
    _process: Running,
    port: u16,
    /// Where it says whether it is ready.
    admin: u16,
}

impl Injector {
    fn start(server: &ApiServer) -> Self {
        let token = server.ask(["-n", "remora", "create", "token", "remora-injector"]);
        let kubeconfig = server.kubeconfig_of("injector", token.trim());
        let container = container("default.yaml", "remora-injector");
        let (port, admin) = (free_port(), free_port());
        let process = Command::new(REMORA)
            .arg("injector")
            .envs(variables(&container))
            .env("REMORA_LISTEN", format!("127.0.0.1:{port}"))
            .env("REMORA_ADMIN", format!("127.0.0.1:{admin}"))
            .env("REMORA_LOG", "warn")
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            _process: Running::of(process),
            port,
            admin,
        }
    }
}

/// An API server with the chart, and two injectors that serve.
pub async fn installed() -> Option<(ApiServer, Vec<Injector>)> {
    let server = ApiServer::start()?;
    server.ask(["create", "namespace", "remora"]);
    server.apply(&manifests("default.yaml"));
    let injectors = vec![Injector::start(&server), Injector::start(&server)];
    let ports: Vec<u16> = injectors.iter().map(|injector| injector.port).collect();
    // A connection may go to either.
    let client = Client::new();
    for injector in &injectors {
        let ready = format!("http://127.0.0.1:{}/readyz", injector.admin);
        eventually("the injector is ready", async || {
            let (status, _) = client.get(&ready, &[]).await?;
            (status == 200).then_some(())
        })
        .await;
    }
    server.egress.lead_to(&ports);
    for (namespace, label) in [("shop", "enabled"), ("bank", "disabled")] {
        server.ask(["create", "namespace", namespace]);
        let label = format!("remora.dev/inject={label}");
        server.ask(["label", "namespace", namespace, &label]);
    }
    reached(&server, true).await;
    Some((server, injectors))
}

/// Waits until pods get sidecars, or none any more.
async fn reached(server: &ApiServer, yes: bool) {
    eventually("the webhook's coming or going", async || {
        let pod = pod("probe", "");
        (is_injected(&tried(server, "shop", &pod)) == yes).then_some(())
    })
    .await;
}

/// A pod, with the account that a controller and the API server would give it.
pub fn pod(name: &str, labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{{labels}}}}}, \
         spec: {{serviceAccountName: default, containers: [{{name: app, image: registry.example/app:1}}]}}}}"
    )
}

/// What would become of a pod.
fn tried(server: &ApiServer, namespace: &str, pod: &str) -> Value {
    created(server, namespace, pod, &["--dry-run=server"])
}

pub fn created(server: &ApiServer, namespace: &str, pod: &str, more: &[&str]) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pod).unwrap();
    let file = file.path().display().to_string();
    let mut arguments = vec!["-n", namespace, "create", "-o", "json", "-f", &file];
    arguments.extend(more);
    serde_json::from_str(&server.ask(arguments)).unwrap()
}

fn is_injected(pod: &Value) -> bool {
    let init = pod["spec"]["initContainers"].as_array();
    let names: Vec<&str> = init
        .into_iter()
        .flatten()
        .map(|container| container["name"].as_str().unwrap())
        .collect();
    assert!(names.is_empty() || names == ["remora-init", "remora-proxy"]);
    !names.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_has_pods_injected_as_their_labels_say() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let injected = |namespace: &str, labels: &str| {
        is_injected(&created(
            &server,
            namespace,
            &pod("a", labels),
            &["--dry-run=server"],
        ))
    };
    assert!(injected("shop", ""));
    assert!(!injected("shop", "remora.dev/inject: disabled"));
    assert!(!injected("bank", ""));
    assert!(injected("bank", "remora.dev/inject: enabled"));
    assert!(!injected("default", ""));
    assert!(injected("default", "remora.dev/inject: enabled"));
    assert!(!injected("remora", "remora.dev/inject: enabled"));
    assert!(!injected("kube-system", "remora.dev/inject: enabled"));

    // The same pod when it is really made, and read back.
    let made = created(&server, "shop", &pod("kept", ""), &[]);
    assert!(is_injected(&made));
    let status = made["metadata"]["annotations"]["remora.dev/status"].as_str();
    assert!(status.unwrap().contains(r#""injected":true"#), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_an_account_starts_as_it_is() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    // This API server gives pods no account, and refuses tokens of none.
    let pod = pod("a", "").replace("serviceAccountName: default, ", "");
    let made = created(&server, "shop", &pod, &[]);
    assert!(!is_injected(&made));
    let status = made["metadata"]["annotations"]["remora.dev/status"].as_str();
    assert!(status.unwrap().contains("no_service_account"), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_forbids_the_rules_is_told_on_the_pod() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    server.ask([
        "label",
        "namespace",
        "shop",
        "pod-security.kubernetes.io/enforce=baseline",
    ]);
    let pod = eventually("the namespace's new level", async || {
        let pod = tried(&server, "shop", &pod("a", ""));
        (!is_injected(&pod)).then_some(pod)
    })
    .await;
    let status = pod["metadata"]["annotations"]["remora.dev/status"].as_str();
    assert!(status.unwrap().contains("pod_security"), "{pod}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_start_without_a_sidecar_while_no_injector_is_there() {
    let Some((server, injectors)) = installed().await else {
        return;
    };
    server.egress.lead_to(&[]);
    drop(injectors);
    reached(&server, false).await;
    let made = created(&server, "shop", &pod("alone", ""), &[]);
    assert!(!is_injected(&made));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_broke_of_the_certificates_is_healed() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let break_bundle = r#"[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": ""},
        {"op": "replace", "path": "/webhooks/2/clientConfig/caBundle", "value": ""}]"#;
    // The injectors may heal it before a pod is tried.
    eventually("the webhook's going", async || {
        server.ask([
            "patch",
            "mutatingwebhookconfiguration",
            "remora-injector",
            "--type=json",
            "-p",
            break_bundle,
        ]);
        (!is_injected(&tried(&server, "shop", &pod("probe", "")))).then_some(())
    })
    .await;
    reached(&server, true).await;

    let before = secret(&server);
    server.ask([
        "-n",
        "remora",
        "delete",
        "secret",
        "remora-injector-certificates",
    ]);
    eventually("a new Secret", async || {
        secret(&server).filter(|after| Some(after) != before.as_ref())
    })
    .await;
    reached(&server, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_away_finds_the_webhook_again() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    server.pause();
    server.resume();
    reached(&server, true).await;
}

fn secret(server: &ApiServer) -> Option<String> {
    let arguments = [
        "-n",
        "remora",
        "get",
        "secret",
        "remora-injector-certificates",
    ];
    let output = server.run(arguments.iter().chain(&["-o", "jsonpath={.data}"]));
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_leaves_pods_able_to_start() {
    let Some((server, injectors)) = installed().await else {
        return;
    };
    server.ask([
        "-n",
        "remora",
        "delete",
        "deployment,service,secret,configmap,serviceaccount",
        "--all",
    ]);
    server.ask(["delete", "mutatingwebhookconfiguration", "remora-injector"]);
    drop(injectors);
    server.egress.lead_to(&[]);
    reached(&server, false).await;
    let made = created(&server, "shop", &pod("after", ""), &[]);
    assert_eq!(
        made["metadata"]["annotations"]["remora.dev/status"],
        Value::Null
    );
}
