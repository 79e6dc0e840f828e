//! The API server, the hub beside it, and how both are asked.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::objects;
use crate::support::api::Client;
use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::process::{HubPlace, REMORA, Running};

/// How many namespaces the pods are in.
const NAMESPACES: u64 = 10;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    /// What of it is in no file.
    pub own: u64,
    /// Most that ever was resident.
    pub peak: u64,
}

impl Memory {
    pub fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kib * 1024
        };
        Self {
            resident: bytes("VmRSS:"),
            own: bytes("RssAnon:"),
            peak: bytes("VmHWM:"),
        }
    }
}

/// A real API server, with the chart in it, and an account that may see everything.
pub struct Cluster {
    server: ApiServer,
    place: HubPlace,
    client: Client,
    token: String,
}

impl Cluster {
    pub fn start() -> Option<Self> {
        let server = ApiServer::start()?;
        server.ask(["create", "namespace", "remora"]);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let chart = fs::read_to_string(root.join("charts/rendered/default.yaml")).unwrap();
        server.apply(&chart);
        server.ask(["-n", "remora", "create", "serviceaccount", "admin"]);
        let binding = ["create", "clusterrolebinding", "admin"];
        let of = [
            "--clusterrole=remora-reader",
            "--serviceaccount=remora:admin",
        ];
        server.ask(binding.iter().chain(&of));
        let token = server.hub_token("remora", "admin", &[]);
        Some(Self {
            server,
            place: HubPlace::new(),
            client: Client::new(),
            token,
        })
    }

    /// Starts the hub with the rights that the chart gives it.
    pub fn start_hub(&self) -> Running {
        let token = self
            .server
            .ask(["-n", "remora", "create", "token", "remora-hub"]);
        let place = &self.place;
        let hub = Command::new(REMORA)
            .args(["hub", "--kubernetes", "--data"])
            .arg(place.data())
            .args(["--listen", &format!("127.0.0.1:{}", place.api_port)])
            .args(["--ingest", &format!("127.0.0.1:{}", place.ingest_port)])
            .env("KUBECONFIG", self.server.kubeconfig_of("hub", token.trim()))
            .env("REMORA_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Running::of(hub.unwrap())
    }

    /// Waits until the hub has heard of all there is. It tells of pods that nobody records, which all of these are.
    pub async fn watches(&self, pods: u64) {
        let uri = format!("{}/api/v1/status", self.place.api());
        let bearer = format!("Bearer {}", self.token);
        eventually("the hub has heard of the pods", async || {
            let (status, body) = self.client.get(&uri, &[("authorization", &bearer)]).await?;
            let told: Value = serde_json::from_slice(&body).ok()?;
            let coverage = &told["coverage"];
            let seen = coverage["unrecorded_pods"].as_u64().unwrap_or(0);
            let in_time = coverage["watch_behind_since"].is_null();
            (status == 200 && in_time && seen == pods).then_some(())
        })
        .await;
    }

    /// Makes pods, and a Service and an EndpointSlice for each workload. How many bytes all pods are as JSON.
    pub fn fill(&self, pods: u64, replicas: u64) -> u64 {
        let mut made: Vec<Value> = Vec::new();
        for number in 0..NAMESPACES {
            made.push(objects::namespace(number));
        }
        self.apply(&made, &[]);
        made.clear();
        for number in 0..pods {
            made.push(objects::pod(number, number / replicas, NAMESPACES));
        }
        self.apply(&made, &[]);
        let statuses: Vec<Value> = (0..pods)
            .map(|number| objects::status(number, number / replicas, NAMESPACES))
            .collect();
        self.apply(&statuses, &["--subresource=status"]);
        made.clear();
        for workload in 0..pods.div_ceil(replicas) {
            let pods: Vec<u64> =
                (workload * replicas..pods.min((workload + 1) * replicas)).collect();
            made.extend(objects::service(workload, &pods, NAMESPACES));
        }
        self.apply(&made, &[]);
        let all = [
            "get",
            "pods",
            "--all-namespaces",
            "--show-managed-fields",
            "-o",
            "json",
        ];
        let all: Value = serde_json::from_str(&self.server.ask(all)).unwrap();
        let of_teams = |pod: &&Value| {
            let namespace = pod["metadata"]["namespace"].as_str();
            namespace.is_some_and(|namespace| namespace.starts_with("team-"))
        };
        // The chart has a pod of its own.
        let all: Vec<&Value> = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(of_teams)
            .collect();
        assert_eq!(all.len() as u64, pods);
        all.iter().map(|pod| pod.to_string().len() as u64).sum()
    }

    fn apply(&self, objects: &[Value], more: &[&str]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let mut child = self
            .server
            .kubectl(words.iter().chain(more))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(list.to_string().as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }
}
