//! A hub that asks a real API server, with what pods of two namespaces recorded.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use remora_injector::certificates::{Chain, Lifetimes, Names};
use serde_json::{Value, json};

use super::sidecar::Sidecar;
use crate::chart::manifests;
use crate::support::api::{Client, encoded};
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::origin;
use crate::support::process::{HubPlace, REMORA, Running, start_mapped};

/// A hub that asks an API server, and a sidecar in each of two namespaces, with a call of each recorded.
pub struct Cluster {
    pub server: ApiServer,
    pub place: HubPlace,
    pub client: Client,
    /// One who may see everything.
    pub admin: String,
    _running: Vec<Running>,
    /// Tokens of the sidecars, certificates, and what the hub logs.
    folder: tempfile::TempDir,
}

const NAMESPACES: [&str; 2] = ["shop", "bank"];
const LOG: &str = "hub.log";
const AUTHORITIES: &str = "ca.crt";
/// The role of who may see calls without their bodies.
pub const HEADS: &str = "remora-reader";
/// The role of who may see all of them.
pub const WHOLE: &str = "remora-body-reader";

impl Cluster {
    pub async fn start() -> Option<Self> {
        let server = ApiServer::start()?;
        server.ask(["create", "namespace", "remora"]);
        server.apply(&manifests("default.yaml"));
        server.ask(["-n", "remora", "create", "serviceaccount", "admin"]);
        bind(&server, WHOLE, "remora:admin", None);
        let place = HubPlace::new();
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join(LOG)).unwrap();
        write_certificates(folder.path());
        let mut running = vec![start_hub(&server, &place, folder.path(), log)];
        let client = Client::new();
        for namespace in NAMESPACES {
            server.ask(["create", "namespace", namespace]);
            for (account, role) in [("reader", WHOLE), ("heads", HEADS)] {
                server.ask(["-n", namespace, "create", "serviceaccount", account]);
                let account = format!("{namespace}:{account}");
                bind(&server, role, &account, Some(namespace));
            }
            let token = folder.path().join(namespace);
            std::fs::write(&token, pod_token(&server, namespace)).unwrap();
            let answer = format!("planted-answer-of-{namespace}");
            let upstream = origin::serve(move |_| {
                let answer = Response::new(Bytes::from(answer.clone()));
                async move { answer }
            })
            .await;
            let options = [
                "--workload",
                &format!("{namespace}-app"),
                "--namespace",
                // What a sidecar says of itself is not believed.
                "claimed",
                "--token-file",
                token.to_str().unwrap(),
                "--ingest-ca",
                &folder.path().join(AUTHORITIES).display().to_string(),
                "--allow-faults",
            ];
            let ingest = place.ingest().replace("http:", "https:");
            let (sidecar, port) = start_mapped(&ingest, "inbound", upstream, &options);
            running.push(sidecar);
            let uri = format!("http://127.0.0.1:{port}/{namespace}-path?q={namespace}-query");
            let question = Bytes::from(format!("planted-question-of-{namespace}"));
            let request = Request::post(uri).body(Full::new(question)).unwrap();
            client.send(request).await.unwrap();
        }
        let admin = server.hub_token("remora", "admin", &[]);
        let cluster = Self {
            server,
            place,
            client,
            admin,
            _running: running,
            folder,
        };
        eventually("both calls", async || {
            let (status, seen) = cluster.get("/api/v1/calls", Some(&cluster.admin)).await?;
            let calls = seen["calls"].as_array()?;
            let are_over = calls.len() == 2 && calls.iter().all(|call| call["state"] != "open");
            let (_, hub) = cluster.get("/api/v1/status", Some(&cluster.admin)).await?;
            let sidecars = hub["coverage"]["sidecars"].as_array()?.len();
            (status == 200 && are_over && sidecars == 2).then_some(())
        })
        .await;
        Some(cluster)
    }

    /// The lines of the audit so far.
    pub fn audit(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["target"] == "audit")
            .collect()
    }

    /// Whatever holds the token of the pod of a namespace.
    pub fn sidecar(&self, namespace: &str) -> Sidecar {
        let token = std::fs::read_to_string(self.folder.path().join(namespace)).unwrap();
        self.sidecar_with(&token)
    }

    /// Whatever holds a token.
    pub fn sidecar_with(&self, token: &str) -> Sidecar {
        let authorities = std::fs::read(self.folder.path().join(AUTHORITIES)).unwrap();
        Sidecar::new(self.place.ingest_port, &authorities, token)
    }

    pub fn reader(&self, namespace: &str) -> String {
        self.server.hub_token(namespace, "reader", &[])
    }

    /// The call that a namespace recorded, as somebody sees it who sees everything.
    pub async fn call_of(&self, namespace: &str) -> String {
        let filter = encoded(&format!("path == '/{namespace}-path'"));
        let path = format!("/api/v1/calls?filter={filter}");
        let (_, seen) = self.get(&path, Some(&self.admin)).await.unwrap();
        seen["calls"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Asks the hub; the text of the answer stands in for JSON where it is none.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Option<(u16, Value)> {
        let uri = format!("{}{path}", self.place.api());
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer
            .iter()
            .map(|bearer| ("authorization", bearer.as_str()))
            .collect();
        let (status, body) = self.client.get(&uri, &headers).await?;
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Some((
            status,
            serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        ))
    }

    /// Sends JSON, with the token of somebody.
    pub async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.place.api()))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let json = serde_json::from_slice(answer.body()).unwrap();
        (answer.status().as_u16(), json)
    }

    /// Makes a snapshot of the last minutes, and waits for what matches in it.
    pub async fn wait_for(&self, filter: &str, token: &str) -> Value {
        let post = async |path: &str, body: Value| {
            let request = Request::post(format!("{}{path}", self.place.api()))
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {token}"))
                .body(Full::new(Bytes::from(body.to_string())))
                .unwrap();
            let answer = self.client.send(request).await.unwrap();
            let answer: Value = serde_json::from_slice(answer.body()).unwrap();
            answer
        };
        let made = post("/api/v1/snapshots", json!({"since": "-5m"})).await;
        let path = format!("/api/v1/snapshots/{}/wait", made["id"].as_str().unwrap());
        let wait =
            json!({"filter": {"where": filter}, "min_calls": 1, "idle_ms": 100, "max_wait_s": 1});
        post(&path, wait).await
    }

    pub async fn status(&self, path: &str, token: Option<&str>) -> u16 {
        self.get(path, token).await.unwrap().0
    }

    pub async fn mcp(&self, token: &str, method: &str, params: Value) -> String {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = Request::post(format!("{}/mcp", self.place.api()))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(message.to_string())))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(answer.status().is_success(), "{method}: {text}");
        text
    }
}

/// A hub with the rights that the chart gives it.
fn start_hub(server: &ApiServer, place: &HubPlace, folder: &Path, log: File) -> Running {
    let token = server.ask(["-n", "remora", "create", "token", "remora-hub"]);
    let hub = Command::new(REMORA)
        .args(["hub", "--kubernetes", "--data"])
        .arg(place.data())
        .args(["--listen", &format!("127.0.0.1:{}", place.api_port)])
        .args(["--ingest", &format!("127.0.0.1:{}", place.ingest_port)])
        .arg("--ingest-tls-cert")
        .arg(folder.join("tls.crt"))
        .arg("--ingest-tls-key")
        .arg(folder.join("tls.key"))
        .env("KUBECONFIG", server.kubeconfig_of("hub", token.trim()))
        .env("REMORA_LOG", "warn,audit=info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Running::of(hub)
}

/// What the injector would make for the hub and those who trust it.
fn write_certificates(folder: &Path) {
    let names = Names {
        webhook: vec!["remora-injector.remora.svc".to_owned()],
        hub: vec!["127.0.0.1".to_owned()],
    };
    let now_s = now_ns().unsigned_abs() / 1_000_000_000;
    let chain = Chain::next(None, &names, &Lifetimes::default(), now_s).unwrap();
    let chain = chain.unwrap();
    let (certificate, key) = chain.of_hub().unwrap();
    std::fs::write(folder.join(AUTHORITIES), chain.bundle()).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
}

/// The time, in nanoseconds since the Unix epoch.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// Gives an account a role in a namespace, or in all.
pub fn bind(server: &ApiServer, role: &str, account: &str, namespace: Option<&str>) {
    let name = account.replace(':', "-");
    let account = format!("--serviceaccount={account}");
    let role = format!("--clusterrole={role}");
    let kind = namespace.map_or("clusterrolebinding", |_| "rolebinding");
    let mut binding = vec!["create", kind, &name, &role, &account];
    binding.extend(namespace.iter().flat_map(|namespace| ["-n", namespace]));
    server.ask(binding);
}

/// The token of a pod, as the kubelet would make it.
fn pod_token(server: &ApiServer, namespace: &str) -> String {
    server.apply(&format!(
        "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: app, namespace: {namespace}}}}}\n---\n\
         {{apiVersion: v1, kind: Pod, metadata: {{name: {namespace}-pod, namespace: {namespace}}}, \
         spec: {{serviceAccountName: app, containers: [{{name: app, image: registry.example/app:1}}]}}}}"
    ));
    let pod = format!("{namespace}-pod");
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", &pod];
    server.hub_token(namespace, "app", &bound)
}
