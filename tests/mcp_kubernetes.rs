//! `remora mcp --kubernetes`: tokens are made by a real kubectl, of a real API server, for a real hub.
//!
//! To forward a port takes a kubelet, which is not here: `mcp_kubernetes/kubectl.sh` stands in for that part of kubectl,
//! and a relay of TCP for what it would pass on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::access::cluster::{Cluster, HEADS, bind};
use crate::mcp_bridge::child::{Bridge, current};
use crate::mcp_bridge::clients;
use crate::support::eventually;
use crate::support::process::{REMORA, free_port};
use crate::support::relay::Relay;

/// A cluster with an account for assistants, and what stands in for kubectl.
struct Place {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Place {
    async fn start() -> Option<Self> {
        let cluster = Cluster::start().await?;
        let server = &cluster.server;
        server.ask(["-n", "remora", "create", "serviceaccount", "remora-reader"]);
        bind(server, HEADS, "remora:remora-reader", Some("shop"));
        let folder = tempfile::tempdir().unwrap();
        Some(Self { cluster, folder })
    }

    /// Where what stands in for kubectl keeps a file.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on a port leads to the hub.
    async fn forward(&self) -> Relay {
        let relay = Relay::start(self.cluster.place.api_port).await;
        let port = relay.ingest().rsplit(':').next().unwrap().to_owned();
        std::fs::write(self.file("port"), port).unwrap();
        relay
    }

    /// From now on `create token` prints this token.
    fn mint(&self, token: &str, seconds: u64) {
        let printed = json!({"spec": {"expirationSeconds": seconds}, "status": {"token": token}});
        std::fs::write(self.file("token"), printed.to_string()).unwrap();
    }

    /// What was asked that begins so.
    fn asked(&self, begin: &str) -> Vec<String> {
        let asked = std::fs::read_to_string(self.file("asked")).unwrap_or_default();
        let lines = asked.lines().filter(|line| line.starts_with(begin));
        lines.map(str::to_owned).collect()
    }

    /// The process that forwards now.
    fn forwarder(&self) -> String {
        let pids = std::fs::read_to_string(self.file("pids")).unwrap();
        pids.lines().last().unwrap().to_owned()
    }

    fn bridge(&self, more: &[&str]) -> Bridge {
        self.bridge_of(self.cluster.server.kubeconfig(), more)
    }

    /// A bridge of somebody whom kubectl knows by a configuration.
    fn bridge_of(&self, kubeconfig: PathBuf, more: &[&str]) -> Bridge {
        let mut command = Command::new(REMORA);
        command.args(["mcp", "--kubernetes"]).args(more);
        Bridge::of(self.dress(&mut command).env("KUBECONFIG", kubeconfig))
    }

    fn dress<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let real = self.cluster.server.kubectl([""; 0]);
        command
            .env("PLACE", self.folder.path())
            .env("KUBECTL", real.get_program())
            .env("KUBECONFIG", self.cluster.server.kubeconfig())
            .env("REMORA_KUBECTL", stand_in())
    }
}

fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mcp_kubernetes/kubectl.sh")
}

/// Asks for the calls that are there; the whole answer.
fn search(bridge: &mut Bridge) -> Value {
    let params = json!({"name": "calls_search", "arguments": {}});
    bridge.send(&current(json!(1), "tools/call", params));
    bridge.receive()
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

fn refusal(answer: &Value) -> &str {
    answer["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

/// Whether a process runs; one that has ended may wait to be reaped.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

const CLIENT: &str = r#"
import asyncio, json, os, sys
from mcp import Client, StdioServerParameters

async def main(words, mode):
    server = StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))
    async with Client(server, mode=mode, read_timeout_seconds=60) as client:
        found = await client.call_tool("calls_search", {})
        read = await client.call_tool("recorder_status", {})
        assert not found.is_error and not read.is_error
        print(json.dumps({"version": client.protocol_version, "calls": found.content[0].text}))

asyncio.run(main(sys.argv[2:], sys.argv[1]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_official_client_asks_a_hub_in_a_cluster_without_a_token_of_its_own() {
    let Some(clients) = clients::installed() else {
        return;
    };
    let Some(place) = Place::start().await else {
        return;
    };
    let _relay = place.forward().await;
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let mut python = Command::new(clients.join("python/bin/python"));
        python.args(["-c", CLIENT, mode, REMORA, "mcp", "--kubernetes"]);
        let output = place.dress(&mut python).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["version"], version);
        let calls = printed["calls"].as_str().unwrap();
        // What the account may see, and no more.
        assert!(
            calls.contains("/shop-path") && !calls.contains("bank"),
            "{calls}"
        );
        let forwarder = place.forwarder();
        eventually("the end of kubectl", async || {
            (!runs(&forwarder)).then_some(())
        })
        .await;
    }
    // Once for each bridge, however many messages.
    assert_eq!(
        place.asked("create"),
        ["create token remora-reader --audience remora-hub -o json --namespace=remora"; 2]
    );
    assert_eq!(
        place.asked("port-forward"),
        ["port-forward --address 127.0.0.1 service/remora-hub :8899 --namespace=remora"; 2]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_before_they_end_and_once_when_one_is_refused() {
    let Some(place) = Place::start().await else {
        return;
    };
    let _relay = place.forward().await;
    // One that says to be good for a second.
    let short = place
        .cluster
        .server
        .hub_token("remora", "remora-reader", &[]);
    place.mint(&short, 1);
    let mut bridge = place.bridge(&[]);
    while place.asked("create").len() < 3 {
        assert!(text(&search(&mut bridge)).contains("shop-path"));
    }
    bridge.finish();

    // One that was good until the pod went that it is bound to.
    let server = &place.cluster.server;
    server.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: gone, namespace: remora}, spec: {serviceAccountName: remora-reader, \
         containers: [{name: app, image: registry.example/app:1}]}}",
    );
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", "gone"];
    let ended = server.hub_token("remora", "remora-reader", &bound);
    server.ask([
        "-n",
        "remora",
        "delete",
        "pod",
        "gone",
        "--grace-period=0",
        "--force",
    ]);
    place.mint(&ended, 3_600);
    let mut bridge = place.bridge(&[]);
    let before = place.asked("create").len();
    let answer = search(&mut bridge);
    assert!(refusal(&answer).contains("no better"), "{answer}");
    assert_eq!(place.asked("create").len(), before + 2);
    // From now on the real kubectl is asked: the refused one is let go for one that is good.
    std::fs::remove_file(place.file("token")).unwrap();
    for _ in 0..3 {
        assert!(text(&search(&mut bridge)).contains("shop-path"));
    }
    assert_eq!(place.asked("create").len(), before + 3);
    bridge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_forwarded_no_more_is_forwarded_anew_with_the_next_message() {
    let Some(place) = Place::start().await else {
        return;
    };
    let mut bridge = place.bridge(&[]);
    // The hub's pod is not running yet.
    let answer = search(&mut bridge);
    let said = refusal(&answer);
    assert!(
        said.contains("port-forward") && said.contains("pod is not running"),
        "{said}"
    );
    let first = place.forward().await;
    assert!(text(&search(&mut bridge)).contains("shop-path"));
    assert!(!first.shipped().is_empty());

    let forwarder = place.forwarder();
    let second = place.forward().await;
    let killed = Command::new("kill")
        .args(["-KILL", &forwarder])
        .status()
        .unwrap();
    assert!(killed.success());
    eventually("its end", async || (!runs(&forwarder)).then_some(())).await;
    assert!(text(&search(&mut bridge)).contains("shop-path"));
    assert!(!second.shipped().is_empty());

    // It runs on, and nothing comes through it: as when a pod went without a word.
    let port = free_port();
    let forwarder = place.forwarder();
    std::fs::write(place.file("port"), port.to_string()).unwrap();
    assert!(
        Command::new("kill")
            .args(["-KILL", &forwarder])
            .status()
            .unwrap()
            .success()
    );
    eventually("its end", async || (!runs(&forwarder)).then_some(())).await;
    let answer = search(&mut bridge);
    assert!(refusal(&answer).contains("is forwarded anew"), "{answer}");
    let _third = place.forward().await;
    assert!(text(&search(&mut bridge)).contains("shop-path"));
    bridge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_refuses_is_said_with_what_to_do() {
    let Some(place) = Place::start().await else {
        return;
    };
    let _relay = place.forward().await;
    let refused = |mut bridge: Bridge, parts: &[&str]| {
        let answer = search(&mut bridge);
        let said = refusal(&answer);
        for part in parts {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
        bridge.finish();
    };
    let missing = [
        "create token assistant",
        "\"assistant\" not found",
        "--service-account names another",
    ];
    refused(place.bridge(&["--service-account", "assistant"]), &missing);
    let elsewhere = ["--namespace=elsewhere", "not found"];
    refused(place.bridge(&["--namespace", "elsewhere"]), &elsewhere);
    let context = ["--context=work", "context"];
    refused(place.bridge(&["--context", "work"]), &context);
    refused(
        place.bridge(&["--kubectl", "/nonexistent/kubectl"]),
        &["/nonexistent/kubectl: install kubectl"],
    );
    // Somebody whom the cluster knows and who may make no token.
    let token = place
        .cluster
        .server
        .ask(["-n", "shop", "create", "token", "reader"]);
    let nobody = place.cluster.server.kubeconfig_of("nobody", token.trim());
    let forbidden = ["forbidden", "serviceaccounts/token"];
    refused(place.bridge_of(nobody, &[]), &forbidden);
}

#[test]
fn flags_that_do_not_fit_together_are_refused_by_name() {
    for (flags, said) in [
        (
            &["--kubernetes", "--hub", "http://127.0.0.1:1"][..],
            "--hub",
        ),
        (&["--kubernetes", "--token-file", "x"], "--token-file"),
        (&["--namespace", "remora"], "--kubernetes"),
        (&["--kubernetes", "--namespace=-n"], "lower-case letters"),
        (
            &["--kubernetes", "--service-account", "A"],
            "lower-case letters",
        ),
    ] {
        let output = Command::new(REMORA)
            .arg("mcp")
            .args(flags)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {printed}");
        assert!(printed.contains(said), "{flags:?}: {printed}");
    }
}
