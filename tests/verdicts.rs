//! Verdicts over clients that nobody here wrote: urllib3 and tenacity with and without backoff, connection
//! pools on and off; and none where nothing is wrong.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::full_speed::load::{self, Speaks};
use crate::support::api::Client;
use crate::support::process::{HubPlace, start_mapped};
use crate::support::programs::Programs;
use crate::support::{eventually, left_out, origin};

/// Each client asks under a path of its own. The server fails the first three requests for a path that
/// begins with `/retry`. Delays are long beside what a busy machine adds to them.
const CLIENTS: &str = r#"
import sys, time, urllib3, tenacity
base = "http://127.0.0.1:" + sys.argv[1]

def with_urllib3(path, **policy):
    retry = urllib3.Retry(total=4, status_forcelist=[503], **policy)
    urllib3.PoolManager(retries=retry).request("GET", base + path)

def with_tenacity(path, wait):
    pool = urllib3.PoolManager(retries=False)
    @tenacity.retry(wait=wait, stop=tenacity.stop_after_attempt(5))
    def ask():
        if pool.request("GET", base + path).status == 503:
            raise RuntimeError("busy")
    ask()

with_urllib3("/retry/urllib3/at-once", backoff_factor=0)
with_urllib3("/retry/urllib3/backoff", backoff_factor=0.2)
with_tenacity("/retry/tenacity/fixed", tenacity.wait_fixed(1))
with_tenacity("/retry/tenacity/exponential", tenacity.wait_exponential(multiplier=1))

pool = urllib3.PoolManager()
for number in range(40):
    pool.request("GET", f"{base}/pool/on?n={number}")
"#;

/// The same server, asked without a pool.
const WITHOUT_POOL: &str = r#"
import sys, urllib3
for number in range(40):
    pool = urllib3.PoolManager()
    pool.request("GET", f"http://127.0.0.1:{sys.argv[1]}/pool/off?n={number}")
    pool.clear()
"#;

/// What was found of paths that begin so, by check and code.
async fn found(client: &Client, api: &str, checks: &str, prefix: &str) -> Vec<String> {
    let filter = format!("path.startsWith(\"{prefix}\")");
    let filter = crate::support::api::encoded(&filter);
    let url = format!("{api}/api/v1/findings?checks={checks}&filter={filter}");
    let answer = client.json(&url).await.unwrap();
    assert!(answer["calls"].as_u64().unwrap() > 0, "{prefix}: {answer}");
    let findings = answer["findings"].as_array().unwrap().iter();
    findings
        .map(|it| {
            format!(
                "{}/{}",
                it["check"].as_str().unwrap(),
                it["code"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_apart_by_what_they_do() {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let upstream = origin::unwell("/retry").await;
    let who = ["--workload", "shop", "--namespace", "local"];
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", upstream, &who);
    let who = ["--workload", "batch", "--namespace", "local"];
    let (_other, without_pool) = start_mapped(&place.ingest(), "outbound", upstream, &who);
    for (program, port) in [(CLIENTS, port), (WITHOUT_POOL, without_pool)] {
        let mut python = programs.python(program);
        python.arg(port.to_string());
        let output = spawn_blocking(move || python.output())
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let (client, api) = (Client::new(), place.api());
    eventually("all calls are stored", || async {
        let pools = format!("{api}/api/v1/calls?limit=1000&fields=path");
        let calls = client.json(&pools).await?["calls"].as_array()?.len();
        (calls == 4 * 4 + 80).then_some(())
    })
    .await;
    for (checks, prefix, expected) in [
        (
            "retries",
            "/retry/urllib3/at-once",
            &["retries/no_backoff"][..],
        ),
        ("retries", "/retry/urllib3/backoff", &[]),
        ("retries", "/retry/tenacity/fixed", &["retries/no_backoff"]),
        ("retries", "/retry/tenacity/exponential", &[]),
        ("connections", "/pool/on", &[]),
        ("connections", "/pool/off", &["connections/no_reuse"]),
    ] {
        let found = found(&client, &api, checks, prefix).await;
        assert_eq!(found, expected, "{prefix}");
    }
    let exponential = json!({"expectations": [
        {"check": "retries", "args": {"filter": {"path_prefix": "/retry/tenacity/exponential"},
            "expect_backoff": {"base_ms": 1000, "factor": 2}, "tolerance": 0.3}},
    ]});
    let request = Request::post(format!("{api}/api/v1/verify"))
        .body(Full::from(exponential.to_string()))
        .unwrap();
    let answer = client.send(request).await.unwrap();
    let verdict: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(verdict["verdict"], "pass", "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_of_which_none_is_wrong_raise_no_alarm() {
    if let Some(why) = load::missing(&["nginx", "wrk"]) {
        return left_out(&why);
    }
    let place = HubPlace::new();
    let _hub = place.start();
    let server = load::nginx(Speaks::Http1);
    let who = ["--workload", "orders", "--namespace", "local"];
    let (_inbound, behind) = start_mapped(&place.ingest(), "inbound", server.port, &who);
    let who = ["--workload", "web", "--namespace", "local"];
    let (_outbound, port) = start_mapped(&place.ingest(), "outbound", behind, &who);
    let (client, api) = (Client::new(), place.api());
    let outbound =
        format!("{api}/api/v1/summary?group_by=edge&filter=leg%20%3D%3D%20%22outbound%22");
    let recorded = || async {
        let summary = client.json(&outbound).await?;
        summary["groups"]
            .as_array()?
            .iter()
            .map(|group| group["calls"].as_u64())
            .sum::<Option<u64>>()
    };
    eventually("ten thousand calls are recorded", || async {
        spawn_blocking(move || load::wrk(port, Duration::from_secs(1)))
            .await
            .unwrap();
        (recorded().await? >= 10_000).then_some(())
    })
    .await;
    let answer: Value = client
        .json(&format!("{api}/api/v1/findings"))
        .await
        .unwrap();
    assert!(answer["calls"].as_u64().unwrap() >= 10_000, "{answer}");
    let alarms: Vec<_> = answer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["severity"] != "low")
        .collect();
    assert_eq!(alarms, Vec::<&Value>::new());
}
