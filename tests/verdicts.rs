//! Verdicts over clients that nobody here wrote: urllib3 and tenacity with and without backoff, connection
//! pools on and off; and none where nothing is wrong.

use std::process::Command;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::full_speed::load::{self, Speaks};
use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_mapped};
use crate::support::programs::Programs;
use crate::support::{eventually, left_out, origin};

/// Each client asks under a path of its own, below what it is given. The server fails the first three requests
/// for a path that begins with `/retry`. Delays are long beside what a busy machine adds to them.
const CLIENTS: &str = r#"
import sys, time, urllib3, tenacity
base = "http://127.0.0.1:" + sys.argv[1]
below = "/retry/" + sys.argv[2]

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

with_urllib3(below + "/urllib3/at-once", backoff_factor=0)
with_urllib3(below + "/urllib3/backoff", backoff_factor=0.2)
with_tenacity(below + "/tenacity/fixed", tenacity.wait_fixed(1))
with_tenacity(below + "/tenacity/exponential", tenacity.wait_exponential(multiplier=1))
"#;

/// How often clients are watched until the machine was quick enough for the delays that they mean.
const ATTEMPTS: usize = 5;

/// The same server, asked with a pool.
const WITH_POOL: &str = r#"
import sys, urllib3
pool = urllib3.PoolManager()
for number in range(40):
    pool.request("GET", f"http://127.0.0.1:{sys.argv[1]}/pool/on?n={number}")
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

/// A sidecar of one workload, a hub, and the server.
struct Watched {
    place: HubPlace,
    _running: [Running; 2],
    port: u16,
    client: Client,
}

impl Watched {
    async fn start() -> Self {
        let place = HubPlace::new();
        let hub = place.start();
        let upstream = origin::unwell("/retry").await;
        let who = ["--workload", "shop", "--namespace", "local"];
        let (sidecar, port) = start_mapped(&place.ingest(), "outbound", upstream, &who);
        Self {
            place,
            _running: [hub, sidecar],
            port,
            client: Client::new(),
        }
    }

    /// Runs a client to its end, until all of its calls are stored, with those before it.
    async fn run(&self, mut python: Command, calls: usize) {
        let output = spawn_blocking(move || python.output())
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        eventually("all calls are stored", || async {
            let stored = self.client.calls(&self.place.api()).await?;
            (stored.len() == calls).then_some(())
        })
        .await;
    }

    async fn found(&self, checks: &str, prefix: &str) -> Vec<String> {
        found(&self.client, &self.place.api(), checks, prefix).await
    }

    /// What is expected of the delays below a path, judged.
    async fn exponential(&self, prefix: &str) -> Value {
        let exponential = json!({"expectations": [
            {"check": "retries", "args": {"filter": {"path_prefix": prefix},
                "expect_backoff": {"base_ms": 1000, "factor": 2}, "tolerance": 0.3}},
        ]});
        let request = Request::post(format!("{}/api/v1/verify", self.place.api()))
            .body(Full::from(exponential.to_string()))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_apart_by_how_they_try_again() {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let watched = Watched::start().await;
    let expected = [
        ("urllib3/at-once", &["retries/no_backoff"][..]),
        ("urllib3/backoff", &[]),
        ("tenacity/fixed", &["retries/no_backoff"]),
        ("tenacity/exponential", &[]),
    ];
    let mut told = String::new();
    for attempt in 1..=ATTEMPTS {
        let mut python = programs.python(CLIENTS);
        python.args([watched.port.to_string(), attempt.to_string()]);
        watched.run(python, attempt * 4 * 4).await;
        let mut is_so = true;
        told.clear();
        for (path, expected) in expected {
            let prefix = format!("/retry/{attempt}/{path}");
            let found = watched.found("retries", &prefix).await;
            is_so &= found == expected;
            told.push_str(&format!("{prefix}: {found:?}\n"));
        }
        let prefix = format!("/retry/{attempt}/tenacity/exponential");
        let verdict = watched.exponential(&prefix).await;
        is_so &= verdict["verdict"] == "pass";
        told.push_str(&verdict.to_string());
        if is_so {
            return;
        }
    }
    panic!("not once in {ATTEMPTS} times: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_pool_is_found_and_one_with_a_pool_is_not() {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    for (program, prefix, expected) in [
        (WITH_POOL, "/pool/on", &[][..]),
        (WITHOUT_POOL, "/pool/off", &["connections/no_reuse"]),
    ] {
        let watched = Watched::start().await;
        let mut python = programs.python(program);
        python.arg(watched.port.to_string());
        watched.run(python, 40).await;
        assert_eq!(watched.found("connections", prefix).await, expected);
    }
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
        spawn_blocking(move || load::wrk(port, Duration::from_secs(5)))
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
