//! Faults that a person switches on, from the hub to the wire and back: exactly what was asked for, for as
//! long as was asked, whatever becomes of the hub.

mod answers;

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_mapped};
use crate::support::programs::Programs;
use crate::support::{eventually, origin};

/// A caller with its sidecar, which allows faults, in front of a server that answers every request.
struct Street {
    place: HubPlace,
    hub: Option<Running>,
    _sidecar: Running,
    /// Where the caller reaches the server through its sidecar.
    port: u16,
    client: Client,
}

impl Street {
    async fn start(more: &[&str]) -> Self {
        let place = HubPlace::new();
        let hub = place.start();
        let upstream = origin::start().await;
        let who = ["--workload", "orders", "--namespace", "local"];
        let (sidecar, port) = start_mapped(
            &place.ingest(),
            "outbound",
            upstream,
            &[&who, more].concat(),
        );
        let street = Self {
            place,
            hub: Some(hub),
            _sidecar: sidecar,
            port,
            client: Client::new(),
        };
        street.sidecar_connected().await;
        street
    }

    async fn sidecar_connected(&self) {
        eventually("the sidecar is connected", || async {
            let status = self.client.status(&self.place.api()).await?;
            (status["coverage"]["sidecars"].as_array()?.len() == 1).then_some(())
        })
        .await;
    }

    fn faults(&self) -> String {
        format!("{}/api/v1/faults", self.place.api())
    }

    async fn post(&self, url: &str, body: Value) -> (u16, Value) {
        let request = Request::post(url)
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let json = serde_json::from_slice(answer.body()).unwrap();
        (answer.status().as_u16(), json)
    }

    /// Begins a fault; what the hub says of it.
    async fn begin(&self, fault: Value) -> Value {
        let begun = eventually("the sidecar takes faults", || async {
            let (status, begun) = self.post(&self.faults(), fault.clone()).await;
            // Until it has said so it may be too old for any.
            if begun["error"]["code"] == "sidecars_too_old" {
                return None;
            }
            assert_eq!(status, 201, "{begun}");
            Some(begun)
        })
        .await;
        self.told_of(&begun["id"], |told| told["sidecars"] == 1)
            .await;
        begun
    }

    /// The only fault, once what the hub tells of it is so.
    async fn told(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually("the fault is told so", || async {
            let faults = self.client.json(&self.faults()).await?;
            assert_eq!(faults["faults"].as_array().unwrap().len(), 1, "{faults}");
            let fault = &faults["faults"][0];
            is_so(fault).then(|| fault.clone())
        })
        .await
    }

    /// Waits until what the hub tells of one fault is so: it waits for a sidecar for a short time only.
    async fn told_of(&self, id: &Value, is_so: impl Fn(&Value) -> bool) {
        eventually("the sidecar has answered", || async {
            let faults = self.client.json(&self.faults()).await?;
            let faults = faults["faults"].as_array()?;
            let told = faults.iter().find(|fault| fault["id"] == *id)?;
            is_so(told).then_some(())
        })
        .await;
    }

    /// Stops a fault, as often as it takes until its sidecar has answered; stopping it again changes nothing.
    async fn stop(&self, id: &Value) -> Value {
        let url = format!("{}/{}", self.faults(), id.as_str().unwrap());
        eventually("the sidecar has stopped the fault", || async {
            let request = Request::delete(&url).body(Full::default()).unwrap();
            let answer = self.client.send(request).await?;
            assert_eq!(answer.status(), 200);
            let stopped: Value = serde_json::from_slice(answer.body()).unwrap();
            (stopped["unanswered"] == 0).then_some(stopped)
        })
        .await
    }

    /// Status of the answer to a call through the sidecar.
    async fn call(&self, path: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        self.client
            .get(&url, &[])
            .await
            .map_or(0, |answer| answer.0)
    }

    async fn statuses(&self, path: &str, count: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(self.call(path).await);
        }
        statuses
    }
}

fn first_three() -> Value {
    json!({"workload": "orders", "filter": {"path_prefix": "/pay"}, "effect": {"status": 503}, "first": 3})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_does_what_was_asked_for_and_is_told_of() {
    let street = Street::start(&["--allow-faults"]).await;
    assert_eq!(street.statuses("/pay", 2).await, [200, 200]);
    let begun = street.begin(first_three()).await;
    assert_eq!(street.statuses("/other", 2).await, [200, 200]);
    assert_eq!(street.statuses("/pay", 5).await, [503, 503, 503, 200, 200]);
    let told = street.told(|told| told["state"] == "spent").await;
    assert_eq!((&told["id"], &told["touched"]), (&begun["id"], &json!(3)));
    assert_eq!(told["not_covered"], 0, "{told}");
    let stored = eventually("all calls are stored", || async {
        let calls = street.client.calls(&street.place.api()).await?;
        (calls.len() == 9).then_some(calls)
    })
    .await;
    let marks: Vec<&Value> = stored.iter().map(|call| &call["fault"]).collect();
    let mark = json!({"id": begun["id"], "effect": "status"});
    let expected = [
        None,
        None,
        None,
        None,
        Some(&mark),
        Some(&mark),
        Some(&mark),
        None,
        None,
    ];
    assert_eq!(marks, expected.map(|mark| mark.unwrap_or(&Value::Null)));
    let filter = "fault != \"\" && status == 503";
    let found = street.client.matching(&street.place.api(), filter).await;
    assert_eq!(found.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_stopped_leaves_no_trace() {
    let street = Street::start(&["--allow-faults"]).await;
    let fault =
        json!({"workload": "orders", "effect": {"status": 500, "body": "no"}, "for": "10m"});
    let begun = street.begin(fault).await;
    assert_eq!(street.statuses("/pay", 2).await, [500, 500]);
    let stopped = street.stop(&begun["id"]).await;
    assert_eq!(stopped["touched"], 2, "{stopped}");
    assert_eq!(street.statuses("/pay", 3).await, [200; 3]);
    street.told(|told| told["state"] == "stopped").await;
    // A client of its own has a connection of its own.
    let url = format!("http://127.0.0.1:{}/later", street.port);
    assert_eq!(Client::new().get(&url, &[]).await.unwrap().0, 200);
    eventually("later connections are spliced", || async {
        let api = street.place.api();
        let later = street.client.matching(&api, "path == \"/later\"").await?;
        (later.first()?["engine"] == "splice").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_expires_while_the_hub_is_dead() {
    let mut street = Street::start(&["--allow-faults"]).await;
    let fault = json!({"workload": "orders", "effect": {"status": 503}, "for": "10s"});
    street.begin(fault).await;
    street.hub.take().unwrap().kill();
    assert_eq!(street.call("/pay").await, 503);
    eventually("the fault has expired", || async {
        (street.call("/pay").await == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_starts_anew_tells_of_the_faults_that_act_and_stops_them() {
    let mut street = Street::start(&["--allow-faults"]).await;
    let fault =
        json!({"workload": "orders", "effect": {"status": 503}, "first": 1_000_000, "for": "10m"});
    let begun = street.begin(fault).await;
    assert_eq!(street.call("/pay").await, 503);
    street.hub.take().unwrap().kill();
    assert_eq!(street.call("/pay").await, 503);
    street.hub = Some(street.place.start());
    let told = eventually("the hub has heard of the fault", || async {
        let faults = street.client.json(&street.faults()).await?;
        faults["faults"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&told["id"], &told["state"]),
        (&begun["id"], &json!("active"))
    );
    assert_eq!(
        (&told["touched"], &told["first"]),
        (&json!(2), &json!(1_000_000))
    );
    street.stop(&begun["id"]).await;
    assert_eq!(street.statuses("/pay", 2).await, [200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_what_would_be_right() {
    let street = Street::start(&[]).await;
    let refusals = [
        (first_three(), 409, "workload", "remora.dev/faults"),
        (
            json!({"workload": "order", "effect": {"reset": true}}),
            404,
            "workload",
            "orders",
        ),
        (
            json!({"workload": "orders", "effect": {}}),
            400,
            "effect",
            "status",
        ),
        (
            json!({"workload": "orders", "effect": {"status": 503}, "filter": {"status": "5xx"}}),
            400,
            "filter",
            "path_prefix",
        ),
        (
            json!({"workload": "orders", "effect": {"status": 503}, "for": "2h"}),
            400,
            "for",
            "5m",
        ),
        (
            json!({"workload": "orders", "effect": {"status": 503}, "frist": 3}),
            400,
            "frist",
            "first",
        ),
    ];
    for (fault, status, field, hint) in refusals {
        let (answered, error) = street.post(&street.faults(), fault).await;
        let error = &error["error"];
        assert_eq!(
            (answered, &error["field"]),
            (status, &json!(field)),
            "{error}"
        );
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
    }
    let unknown = format!("{}/f-00000000", street.faults());
    let request = Request::delete(unknown).body(Full::default()).unwrap();
    assert_eq!(street.client.send(request).await.unwrap().status(), 404);
}

/// Three attempts fail by a fault, the fourth is served; each client under a path of its own.
const CLIENTS: &str = r#"
import sys, urllib3
base = "http://127.0.0.1:" + sys.argv[1]
backoff = float(sys.argv[3])
retry = urllib3.Retry(total=4, status_forcelist=[503], backoff_factor=backoff)
answer = urllib3.PoolManager(retries=retry).request("GET", base + sys.argv[2])
assert answer.status == 200, answer.status
"#;

#[tokio::test(flavor = "multi_thread")]
async fn retries_of_real_clients_are_judged_by_a_fault() {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let street = Street::start(&["--allow-faults"]).await;
    let run = async |mut command: std::process::Command| {
        let output = spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let begin = async |path: &str| {
        let mut fault = first_three();
        fault["filter"]["path_prefix"] = json!(path);
        street.tool("fault_start", fault).await
    };
    begin("/pay/backoff").await;
    let mut python = programs.python(CLIENTS);
    python.args([&street.port.to_string(), "/pay/backoff", "0.2"]);
    run(python).await;
    begin("/pay/at-once").await;
    let mut python = programs.python(CLIENTS);
    python.args([&street.port.to_string(), "/pay/at-once", "0"]);
    run(python).await;
    begin("/pay/curl").await;
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sSf", "--retry", "3", "--retry-delay", "2"]);
    curl.arg(format!("http://127.0.0.1:{}/pay/curl", street.port));
    run(curl).await;
    let expectation = |path: &str, more: Value| {
        let mut args = json!({"filter": {"path_prefix": path}, "expect_retries": 3});
        for (name, value) in more.as_object().unwrap() {
            args[name] = value.clone();
        }
        json!({"name": path, "check": "retries", "args": args})
    };
    let backoff = json!({"expect_backoff": {"base_ms": 400, "factor": 2}, "tolerance": 0.4});
    let constant = json!({"expect_delays_ms": [2000, 2000, 2000], "tolerance": 0.4});
    let expectations = json!({"expectations": [
        expectation("/pay/at-once", backoff.clone()),
        expectation("/pay/curl", constant),
        expectation("/pay/backoff", json!({})),
        {"name": "status", "check": "status", "args": {"filter": {"path_prefix": "/pay"}, "expect": "2xx"}},
    ]});
    let url = format!("{}/api/v1/verify", street.place.api());
    let verdicts = eventually("all attempts are stored", || async {
        let calls = street.client.calls(&street.place.api()).await?;
        if calls.len() < 12 {
            return None;
        }
        Some(street.post(&url, expectations.clone()).await.1)
    })
    .await;
    let checks = verdicts["checks"].as_array().unwrap();
    let told: Vec<(&str, &str)> = checks
        .iter()
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("/pay/at-once", "fail"),
        ("/pay/curl", "pass"),
        ("/pay/backoff", "pass"),
        ("status", "pass"),
    ];
    assert_eq!(told, expected, "{verdicts:#}");
    assert!(
        checks[..3]
            .iter()
            .all(|it| it["evidence"].as_array().unwrap().len() == 4)
    );
    let findings = format!(
        "{}/api/v1/findings?checks=status,retries",
        street.place.api()
    );
    let findings = street.client.json(&findings).await.unwrap();
    let codes: Vec<&str> = findings["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["code"].as_str().unwrap())
        .collect();
    assert!(!codes.contains(&"server_errors"), "{findings}");
    eventually("all three are spent", || async {
        let list = street.tool("fault_list", json!({})).await;
        (list.matches("\tspent\t").count() == 3).then_some(())
    })
    .await;
}

impl Street {
    /// What a tool of MCP says.
    async fn tool(&self, name: &str, arguments: Value) -> String {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments}});
        let request = Request::post(format!("{}/mcp", self.place.api()))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::from(call.to_string()))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        result["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }
}

/// Longer than any poll: what the hub says of the sidecar is what the sidecar says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn latency_of_calls_that_no_fault_means_is_as_it_was() {
    let street = Street::start(&["--allow-faults"]).await;
    let fault = json!({"workload": "orders", "filter": {"dst": "127.0.0.9"}, "effect": {"delay_ms": 60_000}});
    street.begin(fault).await;
    let calls = tokio::time::timeout(Duration::from_secs(20), street.statuses("/pay", 100)).await;
    assert_eq!(calls.unwrap(), [200; 100]);
    let told = street.told(|told| told["sidecars"] == 1).await;
    assert_eq!(
        (&told["touched"], &told["covered"], &told["not_covered"]),
        (&json!(0), &json!(0), &json!(0))
    );
}
