//! Who may see what: the hub, sidecars and callers with tokens of a real API server, and the rights that the chart
//! gives the hub.

use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use crate::chart::manifests;
use crate::support::api::{Client, encoded};
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::origin;
use crate::support::process::{HubPlace, REMORA, Running, start_mapped};

/// A hub that asks an API server, and a sidecar in each of two namespaces, with a call of each recorded.
struct Cluster {
    server: ApiServer,
    place: HubPlace,
    client: Client,
    /// One who may see everything.
    admin: String,
    _running: Vec<Running>,
    _tokens: tempfile::TempDir,
}

const NAMESPACES: [&str; 2] = ["shop", "bank"];

impl Cluster {
    async fn start() -> Option<Self> {
        let server = ApiServer::start()?;
        server.ask(["create", "namespace", "remora"]);
        server.apply(&manifests("default.yaml"));
        server.ask(["-n", "remora", "create", "serviceaccount", "admin"]);
        bind(&server, "clusterrolebinding", "remora:admin", &[]);
        let place = HubPlace::new();
        let mut running = vec![start_hub(&server, &place)];
        let tokens = tempfile::tempdir().unwrap();
        let client = Client::new();
        for namespace in NAMESPACES {
            server.ask(["create", "namespace", namespace]);
            server.ask(["-n", namespace, "create", "serviceaccount", "reader"]);
            bind(
                &server,
                "rolebinding",
                &format!("{namespace}:reader"),
                &["-n", namespace],
            );
            let token = tokens.path().join(namespace);
            std::fs::write(&token, pod_token(&server, namespace)).unwrap();
            let upstream = origin::start().await;
            let options = [
                "--workload",
                &format!("{namespace}-app"),
                "--namespace",
                // What a sidecar says of itself is not believed.
                "claimed",
                "--token-file",
                token.to_str().unwrap(),
            ];
            let (sidecar, port) = start_mapped(&place.ingest(), "inbound", upstream, &options);
            running.push(sidecar);
            let uri = format!("http://127.0.0.1:{port}/{namespace}-path?q={namespace}-query");
            client.get(&uri, &[]).await.unwrap();
        }
        let admin = server.hub_token("remora", "admin", &[]);
        let cluster = Self {
            server,
            place,
            client,
            admin,
            _running: running,
            _tokens: tokens,
        };
        eventually("both calls", async || {
            let (status, seen) = cluster.get("/api/v1/calls", Some(&cluster.admin)).await?;
            let calls = seen["calls"].as_array().map_or(0, Vec::len);
            (status == 200 && calls == 2).then_some(())
        })
        .await;
        Some(cluster)
    }

    fn reader(&self, namespace: &str) -> String {
        self.server.hub_token(namespace, "reader", &[])
    }

    /// Asks the hub; the text of the answer stands in for JSON where it is none.
    async fn get(&self, path: &str, token: Option<&str>) -> Option<(u16, Value)> {
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

    async fn status(&self, path: &str, token: Option<&str>) -> u16 {
        self.get(path, token).await.unwrap().0
    }

    async fn mcp(&self, token: &str, method: &str, params: Value) -> String {
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
fn start_hub(server: &ApiServer, place: &HubPlace) -> Running {
    let token = server.ask(["-n", "remora", "create", "token", "remora-hub"]);
    let hub = Command::new(REMORA)
        .args(["hub", "--kubernetes", "--data"])
        .arg(place.data())
        .args(["--listen", &format!("127.0.0.1:{}", place.api_port)])
        .args(["--ingest", &format!("127.0.0.1:{}", place.ingest_port)])
        .env("KUBECONFIG", server.kubeconfig_of("hub", token.trim()))
        .env("REMORA_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Running::of(hub)
}

fn bind(server: &ApiServer, kind: &str, account: &str, more: &[&str]) {
    let account = format!("--serviceaccount={account}");
    let binding = [
        "create",
        kind,
        "reader",
        "--clusterrole=remora-reader",
        &account,
    ];
    server.ask(binding.iter().chain(more));
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

#[tokio::test(flavor = "multi_thread")]
async fn callers_see_the_namespaces_that_the_cluster_lets_them_see() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    // Both are called from this machine, which from now on is the address of one of them.
    let address = r#"{"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}"#;
    let patch = [
        "patch",
        "pod",
        "bank-pod",
        "--subresource=status",
        "-p",
        address,
    ];
    cluster.server.ask(["-n", "bank"].iter().chain(&patch));
    let all = eventually("the caller's name", async || {
        let (_, all) = cluster.get("/api/v1/calls", Some(&cluster.admin)).await?;
        let named = |call: &Value| call["src"]["pod"] == "bank-pod";
        all["calls"].as_array()?.iter().all(named).then_some(all)
    })
    .await;
    let calls = all["calls"].as_array().unwrap();
    for (mine, other) in [("shop", "bank"), ("bank", "shop")] {
        let reader = cluster.reader(mine);
        let of = |namespace: &str| {
            let path = format!("/{namespace}-path");
            let call = calls.iter().find(|call| call["path"] == path.as_str());
            call.unwrap()["id"].as_str().unwrap().to_owned()
        };
        // What was recorded is filed under the pod that the token is bound to.
        let (_, call) = cluster
            .get(&format!("/api/v1/calls/{}", of(mine)), Some(&reader))
            .await
            .unwrap();
        assert_eq!(call["dst"]["namespace"], mine, "{call}");
        assert_eq!(call["dst"]["pod"], format!("{mine}-pod"), "{call}");
        // A pod of its own is its own workload; the sidecar says that it is another's.
        assert_eq!(call["dst"]["workload"], format!("{mine}-pod"), "{call}");
        assert_eq!(
            cluster
                .status(&format!("/api/v1/calls/{}", of(other)), Some(&reader))
                .await,
            404
        );
        for answer in answers(&cluster, &reader, &of(other)).await {
            assert!(
                !answer.contains(&format!("{other}-")),
                "{mine} sees {answer}"
            );
            assert!(
                !answer.contains(&format!("\"{other}\"")),
                "{mine} sees {answer}"
            );
        }
        let own = answers(&cluster, &reader, &of(mine)).await;
        let seen = own
            .iter()
            .filter(|answer| answer.contains(&format!("{mine}-")));
        assert!(seen.count() >= 10, "{own:?}");
    }
}

/// Every answer that one caller gets who asks for everything: each path of the API's own contract, each tool and
/// each resource.
async fn answers(cluster: &Cluster, token: &str, id: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let (_, contract) = cluster.get("/openapi.json", Some(token)).await.unwrap();
    let filter = encoded("path.contains(\"-path\")");
    for (path, methods) in contract["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            let path = path.replace("{id}", id);
            answers.push(cluster.get(&path, Some(token)).await.unwrap().1.to_string());
        }
    }
    for path in [
        format!("/api/v1/calls?filter={filter}&format=har"),
        format!("/api/v1/calls?filter={filter}&format=ndjson"),
        format!("/api/v1/calls?filter={filter}&format=tsv"),
        format!("/api/v1/summary?group_by=edge,route&filter={filter}"),
        "/metrics".to_owned(),
    ] {
        answers.push(cluster.get(&path, Some(token)).await.unwrap().1.to_string());
    }
    let listed = cluster.mcp(token, "tools/list", json!({})).await;
    let tools = listed
        .split("\"name\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    for tool in tools.filter(|tool| tool.contains('_')) {
        let arguments = match tool {
            "call_get" => json!({"id": id}),
            "snapshot_start" => json!({"name": "mine", "since": "-5m"}),
            "snapshot_wait" | "snapshot_delete" => json!({"snapshot": "live:15m"}),
            "recorder_status" | "snapshot_list" => json!({}),
            _ => json!({"snapshot": "live:15m"}),
        };
        let call = json!({"name": tool, "arguments": arguments});
        answers.push(cluster.mcp(token, "tools/call", call).await);
    }
    let resources = cluster.mcp(token, "resources/list", json!({})).await;
    let uris = resources
        .split("\"uri\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    for uri in uris {
        answers.push(
            cluster
                .mcp(token, "resources/read", json!({"uri": uri}))
                .await,
        );
    }
    let complete = json!({"ref": {"type": "ref/resource", "uri": "remora://snapshots/{id}"},
        "argument": {"name": "id", "value": ""}});
    answers.push(cluster.mcp(token, "completion/complete", complete).await);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_whom_the_api_server_does_not_vouch_for() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let server = &cluster.server;
    let status = "/api/v1/status";
    assert_eq!(cluster.status(status, None).await, 401);
    assert_eq!(cluster.status(status, Some("made-up")).await, 401);
    // A token of the cluster that was made for somebody else, the API server itself.
    let other = server.ask(["-n", "shop", "create", "token", "reader"]);
    assert_eq!(cluster.status(status, Some(other.trim())).await, 401);

    // Somebody whom the cluster knows, and who may see nothing.
    server.ask(["-n", "shop", "create", "serviceaccount", "nobody"]);
    let nobody = server.hub_token("shop", "nobody", &[]);
    assert_eq!(cluster.status(status, Some(&nobody)).await, 403);
    assert_eq!(cluster.status("/mcp", Some(&nobody)).await, 403);
    assert_eq!(cluster.status("/metrics", Some(&nobody)).await, 403);

    // A token that no pod is behind writes nothing.
    let uri = format!(
        "{}/ingest/v1/control?incarnation={:032x}",
        cluster.place.ingest(),
        1
    );
    let bearer = format!("Bearer {}", cluster.admin);
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(cluster.client.get(&uri, &headers).await.unwrap().0, 403);

    // A right that is taken away is gone soon.
    let reader = cluster.reader("bank");
    assert_eq!(cluster.status(status, Some(&reader)).await, 200);
    let binding = ["-n", "bank", "delete", "rolebinding", "reader"];
    server.ask(binding);
    let gone = async {
        while cluster.status(status, Some(&reader)).await != 403 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    // It is believed for half a minute.
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
    assert!(
        gone.is_ok(),
        "a right that was taken away holds for more than a minute"
    );

    // Who is new while the API server is away is neither let in nor called a stranger.
    let late = server.hub_token("remora", "admin", &["--duration=20m"]);
    server.pause();
    assert_eq!(cluster.status(status, Some(&late)).await, 503);
}
