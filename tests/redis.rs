//! A real Redis, and clients that nobody here wrote, through the sidecar: the same commands and as many of
//! them as the server itself counts, the same bytes, and no password.

pub mod programs;
pub mod server;
mod told;

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::api::Client;
use crate::support::eventually;
use crate::support::process::{HubPlace, start_mapped};
use crate::support::programs::Programs;
use server::{Server, finished, redis_cli};
use told::{commands, counts, monitored};

const WHO: [&str; 4] = ["--workload", "shop", "--namespace", "local"];

/// Waits until as many calls of Redis are stored as the server counted commands, and gives them.
async fn recorded(api: &str, expected: &BTreeMap<String, u64>) -> Vec<Value> {
    let client = Client::new();
    let total: u64 = expected.values().sum();
    eventually("all commands are stored", || async {
        let calls = client.calls(api).await?;
        let told: u64 = counts(&calls).values().sum();
        (told >= total).then_some(calls)
    })
    .await
}

/// Runs clients against a server of their own; gives what the server counted, what it showed to a monitor,
/// and what was recorded.
async fn run(
    clients: impl FnOnce(u16) + Send + 'static,
) -> (BTreeMap<String, u64>, Vec<Vec<String>>, Vec<Value>) {
    let place = HubPlace::new();
    let _hub = place.start();
    let server = Server::start(&[]);
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", server.port, &WHO);
    let monitor = server.monitor();
    spawn_blocking(move || clients(port)).await.unwrap();
    let expected = server.counts();
    let calls = recorded(&place.api(), &expected).await;
    (expected, monitored(&monitor.shown()), calls)
}

fn assert_told(
    (expected, shown, calls): (BTreeMap<String, u64>, Vec<Vec<String>>, Vec<Value>),
) -> Vec<Value> {
    assert_eq!(counts(&calls), expected);
    let mut told = commands(&calls);
    let mut shown = shown;
    told.sort();
    shown.sort();
    assert!(!shown.is_empty());
    let missing: Vec<_> = shown
        .iter()
        .filter(|it| told.binary_search(it).is_err())
        .collect();
    assert!(
        missing.is_empty(),
        "shown by MONITOR, not recorded: {missing:?}"
    );
    let added: Vec<_> = told
        .iter()
        .filter(|it| shown.binary_search(it).is_err())
        .collect();
    assert!(
        added.is_empty(),
        "recorded, not shown by MONITOR: {added:?}"
    );
    assert_eq!(told.len(), shown.len());
    calls
}

/// `None`, with one line that says so, where they or the server are missing.
pub fn clients() -> Option<Programs> {
    server::is_installed().then(Programs::of_redis)?
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_is_told_as_the_server_counts_it() {
    let Some(clients) = clients() else {
        return;
    };
    for version in ["2", "3"] {
        let mut python = clients.python(programs::REDIS_PY);
        let told = run(move |port| finished(python.args([&port.to_string(), version]))).await;
        let calls = assert_told(told);
        // What redis-py calls `incr` it sends so.
        assert_parts(&calls, "INCRBY");
        assert_stream(&calls, "news");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_node_are_told_as_the_server_counts_them() {
    let Some(clients) = clients() else {
        return;
    };
    for program in [programs::IOREDIS, programs::NODE_REDIS] {
        let mut node = clients.node(program);
        let calls = assert_told(run(move |port| finished(node.arg(port.to_string()))).await);
        assert_parts(&calls, "INCR");
        assert_stream(&calls, "news");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_pipelines_are_told_command_by_command() {
    if !server::is_installed() {
        return;
    }
    let (expected, _, calls) = run(|port| {
        let port = port.to_string();
        let mut benchmark = std::process::Command::new("redis-benchmark");
        benchmark.args(["-p", &port, "-q", "-n", "1000", "-c", "10", "-P", "50"]);
        finished(benchmark.args(["-t", "set,get,lpush,lrange_100,mset,hset"]));
    })
    .await;
    assert_eq!(counts(&calls), expected);
    assert!(expected["get"] >= 1000, "{expected:?}");
}

/// Each command of a transaction is told with its own reply.
fn assert_parts(calls: &[Value], counting: &str) {
    let parts: Vec<_> = calls
        .iter()
        .filter(|call| call["redis"]["in_transaction"] == true)
        .map(|call| {
            let method = call["method"].as_str().unwrap();
            (
                method,
                call["response"]["body"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let expected = [("SET", "OK"), (counting, "8"), ("GET", "8")];
    assert_eq!(parts, expected);
}

/// What was published is told with the subscription.
fn assert_stream(calls: &[Value], channel: &str) {
    let subscribed: Vec<_> = calls
        .iter()
        .filter(|call| call["method"] == "SUBSCRIBE" && call["path"] == channel)
        .collect();
    let [subscribed] = &subscribed[..] else {
        panic!("{subscribed:?}");
    };
    assert_eq!(subscribed["message_counts"]["server"], 2, "{subscribed}");
    let messages = subscribed["messages"].as_array().unwrap();
    let payloads: Vec<_> = messages.iter().map(|message| &message["payload"]).collect();
    assert_eq!(payloads[0], r#"["message","news","one"]"#);
    assert_eq!(payloads[1], r#"["message","news","two"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_prints_the_same_with_and_without_a_sidecar() {
    if !server::is_installed() {
        return;
    }
    let place = HubPlace::new();
    let _hub = place.start();
    for version in ["-2", "-3"] {
        let server = Server::start(&[]);
        let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", server.port, &WHO);
        let direct = redis_cli(server.port, &[version], programs::TYPED);
        redis_cli(server.port, &[], "FLUSHALL");
        let through = redis_cli(port, &[version], programs::TYPED);
        assert!(direct.len() > 1 << 20, "{} bytes", direct.len());
        assert!(direct == through, "the output differs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_recorded() {
    let Some(clients) = clients() else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let server = Server::start(&["--requirepass", "hunter2-of-the-server"]);
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", server.port, &WHO);
    let mut python = clients.python(programs::PASSWORDS);
    spawn_blocking(move || finished(python.arg(port.to_string())))
        .await
        .unwrap();
    let client = Client::new();
    let calls = eventually("the last command is stored", || async {
        let calls = client.calls(&place.api()).await?;
        // It is said once in each of both protocols.
        let ends = calls.iter().filter(|call| call["path"] == "the:end");
        (ends.count() == 2).then_some(calls)
    })
    .await;
    let text = serde_json::to_string(&calls).unwrap();
    for command in ["AUTH", "HELLO", "CONFIG SET", "CONFIG GET", "ACL SETUSER"] {
        assert!(
            text.contains(&format!("\"method\":\"{command}\"")),
            "{command}: {text}"
        );
    }
    assert!(!text.contains("hunter2"), "a password is in {text}");
    assert!(text.contains("[redacted"), "{text}");
}
