//! The whole of it on a cluster with nodes: whatever `KUBECONFIG` names, if `REMORA_CLUSTER_IMAGE` says which image
//! the chart shall install. `REMORA_CLUSTER_APP` is an image with `sh`, `curl` and the authorities it looks for, `openssl` and busybox.
//!
//! It installs the chart in the namespace `remora`, and takes it away again.

mod annotations;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::api::{Client, encoded};
use crate::support::eventually;

/// How many requests each customer sends.
const REQUESTS: u64 = 200;
/// Namespace of the pods that speak.
const SHOP: &str = "remora-it-shop";

fn kubectl(arguments: &[&str]) -> String {
    let output = Command::new("kubectl").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "kubectl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn in_shop(arguments: &[&str]) -> String {
    kubectl(&[&["--namespace", SHOP], arguments].concat())
}

fn apply(manifests: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    // What begins with a brace is taken for JSON.
    std::fs::write(file.path(), format!("---\n{manifests}")).unwrap();
    kubectl(&["apply", "-f", file.path().to_str().unwrap()]);
}

/// The chart, while this lives.
struct Installed;

impl Installed {
    fn new(image: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (repository, tag) = image.rsplit_once(':').expect("an image with a tag");
        let output = Command::new("helm")
            .args(["install", "remora"])
            .arg(root.join("charts/remora"))
            .args(["--namespace", "remora", "--create-namespace", "--wait"])
            .args([
                "--timeout",
                "120s",
                "--set",
                "hub.persistence.enabled=false",
            ])
            .args([
                "--set",
                &format!("image.repository={repository},image.tag={tag}"),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "helm install: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let uninstall = ["uninstall", "remora", "--namespace", "remora", "--wait"];
        let _ = Command::new("helm").args(uninstall).status();
        let shop = ["delete", "namespace", SHOP, "--ignore-not-found"];
        let _ = Command::new("kubectl").args(shop).status();
    }
}

/// A way to the hub, by which a caller with a token of their own asks.
struct Asked {
    forward: Child,
    api: String,
    token: String,
    client: Client,
}

impl Asked {
    fn new() -> Self {
        in_shop(&["create", "serviceaccount", "assistant"]);
        let account = &format!("--serviceaccount={SHOP}:assistant");
        in_shop(&[
            "create",
            "rolebinding",
            "it",
            "--clusterrole=remora-body-reader",
            account,
        ]);
        let token = in_shop(&["create", "token", "assistant", "--audience", "remora-hub"]);
        let mut forward = Command::new("kubectl")
            .args([
                "-n",
                "remora",
                "port-forward",
                "service/remora-hub",
                ":8899",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(forward.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        // "Forwarding from 127.0.0.1:PORT -> 8899"
        let address = line.split_whitespace().nth(2).unwrap().to_owned();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self {
            forward,
            api: format!("http://{address}"),
            token: token.trim().to_owned(),
            client: Client::new(),
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str())];
        let (status, body) = self
            .client
            .get(&format!("{}{path}", self.api), &headers)
            .await?;
        (status == 200).then(|| serde_json::from_slice(&body).unwrap())
    }

    /// Waits until both legs of all requests of a customer are there, by their names.
    async fn calls_of(&self, customer: &str) {
        let filter = encoded(&format!(
            "src.workload == \"{customer}\" && path == \"/hostname\""
        ));
        let summary = format!("/api/v1/summary?group_by=edge,status&filter={filter}");
        eventually("every call of a customer", async || {
            let groups = self.get(&summary).await?["groups"].as_array()?.clone();
            let of = |leg: &str| -> u64 {
                let of_leg = groups.iter().filter(|group| group["leg"] == leg);
                of_leg.map(|group| group["calls"].as_u64().unwrap()).sum()
            };
            let named = groups
                .iter()
                .all(|group| group["dst"] == "orders" && group["status"] == 200);
            assert!(
                of("outbound") <= REQUESTS && of("inbound") <= REQUESTS,
                "{groups:?}"
            );
            (named && of("outbound") == REQUESTS && of("inbound") == REQUESTS).then_some(())
        })
        .await;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.forward.kill();
        let _ = self.forward.wait();
    }
}

/// Two pods that serve, behind a Service.
fn orders(app: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: orders, namespace: {SHOP}}}, spec: {{replicas: 2,
          strategy: {{rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}}},
          selector: {{matchLabels: {{app: orders}}}}, template: {{metadata: {{labels: {{app: orders}}}}, spec: {{containers: [{{
            name: app, image: {app}, command: [busybox, httpd, -f, -p, '8080', -h, /etc],
            readinessProbe: {{httpGet: {{path: /hostname, port: 8080}}, periodSeconds: 1}},
            lifecycle: {{preStop: {{exec: {{command: [sleep, '4']}}}}}}}}]}}}}}}}}\n---\n\
         {{apiVersion: v1, kind: Service, metadata: {{name: orders, namespace: {SHOP}}},
          spec: {{selector: {{app: orders}}, ports: [{{port: 80, targetPort: 8080}}]}}}}\n"
    )
}

/// A Job that sends its requests and ends.
fn customer(name: &str, app: &str) -> String {
    let script = format!(
        "for i in $(seq {REQUESTS}); do curl -s -m 5 -o /dev/null -w '%{{http_code}} ' http://orders/hostname; \
         sleep 0.05; done"
    );
    let script = serde_json::to_string(&script).unwrap();
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, namespace: {SHOP}}}, spec: {{backoffLimit: 0,
          template: {{spec: {{restartPolicy: Never, containers: [{{name: app, image: {app},
            command: [sh, -c, {script}]}}]}}}}}}}}\n"
    )
}

/// What a customer got, once it is done; a Job with a sidecar has to end by itself.
fn statuses(customer: &str) -> String {
    let job = format!("job/{customer}");
    in_shop(&["wait", "--for=condition=complete", &job, "--timeout=120s"]);
    in_shop(&["logs", &job, "-c", "app"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_namespace_is_recorded_from_installation_to_uninstallation() {
    let Ok(image) = std::env::var("REMORA_CLUSTER_IMAGE") else {
        // There is none where the other tests run.
        eprintln!("left out: a cluster with nodes; set KUBECONFIG and REMORA_CLUSTER_IMAGE");
        return;
    };
    let app = std::env::var("REMORA_CLUSTER_APP").expect("REMORA_CLUSTER_APP");
    let installed = Installed::new(&image);
    kubectl(&["create", "namespace", SHOP]);
    kubectl(&["label", "namespace", SHOP, "remora.dev/inject=enabled"]);
    apply(&orders(&app));
    in_shop(&["rollout", "status", "deployment/orders", "--timeout=120s"]);
    let asked = Asked::new();

    let all_well = "200 ".repeat(usize::try_from(REQUESTS).unwrap());
    apply(&customer("quiet", &app));
    assert_eq!(statuses("quiet"), all_well);
    asked.calls_of("quiet").await;

    // A rolling restart, the sidecars with their pods, loses no request and no record.
    apply(&customer("restless", &app));
    in_shop(&["rollout", "restart", "deployment/orders"]);
    in_shop(&["rollout", "status", "deployment/orders", "--timeout=120s"]);
    assert_eq!(statuses("restless"), all_well);
    asked.calls_of("restless").await;

    annotations::hold(&asked, &app).await;

    // Without Remora pods start as they are, and those that have a sidecar go on.
    drop(asked);
    let uninstall = ["uninstall", "remora", "--namespace", "remora", "--wait"];
    assert!(
        Command::new("helm")
            .args(uninstall)
            .status()
            .unwrap()
            .success()
    );
    apply(&customer("after", &app));
    assert_eq!(statuses("after"), all_well);
    let containers = "-o=jsonpath={.items[*].spec.initContainers[*].name}";
    assert_eq!(
        in_shop(&["get", "pods", "-l", "job-name=after", containers]),
        ""
    );
    drop(installed);
}
