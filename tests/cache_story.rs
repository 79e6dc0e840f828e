//! The first story of the mission, end to end through MCP alone: a service in Python that asks Debian's
//! PostgreSQL for the same order again and again, and what is said of it once its answers are kept.

mod programs;

use std::process::Command;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::redis::{self, server::Server};
use crate::support::api::Client;
use crate::support::eventually;
use crate::support::mcp::{Answer, Assistant};
use crate::support::postgres::Postgres;
use crate::support::process::{HubPlace, Running, free_port};
use crate::support::programs::Programs;

const REQUESTS: usize = 12;

/// A service in Python with its sidecar, which carries what is asked of it and what it asks.
struct Service {
    port: u16,
    _sidecar: Running,
    _program: Running,
}

impl Service {
    /// Starts a program with the port it listens on, those of its callees, and a mode.
    async fn start(
        place: &HubPlace,
        workload: &str,
        program: &mut Command,
        callees: &[u16],
        mode: &str,
    ) -> Self {
        let [port, own] = [free_port(), free_port()];
        let outbound: Vec<u16> = callees.iter().map(|_| free_port()).collect();
        let map = |leg: &str, listen: u16, upstream: u16| {
            format!("--map={leg}:127.0.0.1:{listen}=127.0.0.1:{upstream}")
        };
        let mut maps = vec![map("inbound", port, own)];
        let pairs = outbound.iter().zip(callees);
        maps.extend(pairs.map(|(listen, callee)| map("outbound", *listen, *callee)));
        let ingest = place.ingest();
        let mut arguments = vec!["proxy", "--ingest", &ingest, "--admin", "off"];
        arguments.extend(["--workload", workload, "--namespace", "shop"]);
        arguments.extend(maps.iter().map(String::as_str));
        let sidecar = Running::start(&arguments);
        // The program asks its stores when it starts, and ends if nobody listens.
        for listening in std::iter::once(&port).chain(&outbound) {
            eventually("the sidecar listens", || async {
                TcpStream::connect(("127.0.0.1", *listening)).await.ok()
            })
            .await;
        }
        let ports = std::iter::once(own)
            .chain(outbound)
            .map(|port| port.to_string());
        let program = program.args(ports).arg(mode).spawn().unwrap();
        let client = Client::new();
        eventually("the service answers", || async {
            client
                .get(&format!("http://127.0.0.1:{port}/ready"), &[])
                .await
                .filter(|it| it.0 == 200)
        })
        .await;
        Self {
            port,
            _sidecar: sidecar,
            _program: Running::of(program),
        }
    }

    /// Asks for the same page again and again.
    async fn visit(&self, path: &str) {
        let client = Client::new();
        for _ in 0..REQUESTS {
            let uri = format!("http://127.0.0.1:{}{path}", self.port);
            let (status, body) = client.get(&uri, &[]).await.unwrap();
            assert_eq!(
                (status, &body[..]),
                (200, &br#"{"id": 7, "total": 4200}"#[..])
            );
        }
    }
}

/// What an assistant does: begins a snapshot, has the program exercised, waits, and asks for a verdict.
async fn judged(assistant: &Assistant, service: &Service, path: &str, args: Value) -> Answer {
    let begun = assistant
        .call("snapshot_start", json!({"name": "orders"}))
        .await;
    let snapshot = begun.structured["id"].clone();
    service.visit(path).await;
    let wait = json!({"snapshot": snapshot, "idle_ms": 300, "min_calls": REQUESTS,
        "filter": {"path_prefix": path}});
    let waited = assistant.call("snapshot_wait", wait).await;
    assert_eq!(waited.structured["settled"], true, "{}", waited.text);
    let mut args = args;
    args["filter"] = json!({"path_prefix": path});
    let expectations = json!([{"name": "orders are kept", "check": "cache", "args": args}]);
    let verify = json!({"snapshot": snapshot, "expectations": expectations});
    let verdict = assistant.call("verify", verify).await;
    assert!(
        verdict
            .text
            .contains(verdict.structured["checks"][0]["actual"].as_str().unwrap())
    );
    verdict
}

/// The calls that prove a verdict, each of which has to be there.
async fn proofs(assistant: &Assistant, verdict: &Answer) -> Vec<String> {
    let mut told = Vec::new();
    for id in verdict.structured["checks"][0]["evidence"]
        .as_array()
        .unwrap()
    {
        let call = assistant.call("call_get", json!({"call_ids": [id]})).await;
        assert!(call.text.contains(id.as_str().unwrap()), "{}", call.text);
        told.push(call.text);
    }
    told
}

fn actual(verdict: &Answer) -> &str {
    verdict.structured["checks"][0]["actual"].as_str().unwrap()
}

fn shop() -> Option<(Programs, Postgres, Server)> {
    let clients = redis::clients()?;
    let postgres = Postgres::start()?;
    let made = postgres.psql(
        "CREATE TABLE orders (id int PRIMARY KEY, total int); INSERT INTO orders VALUES (7, 4200)",
    );
    assert!(made.status.success(), "{made:?}");
    Some((clients, postgres, Server::start(&[])))
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_never_kept_fail_and_pass_once_they_are() {
    let Some((clients, postgres, redis)) = shop() else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let assistant = Assistant::new(place.api());
    assistant.answers().await;
    let stores = [postgres.port, redis.port];
    let path = "/api/orders/7";

    let mut program = clients.python(programs::ORDERS);
    let flawed = Service::start(&place, "orders", &mut program, &stores, "database").await;
    let verdict = judged(&assistant, &flawed, path, json!({})).await;
    assert_eq!(verdict.structured["verdict"], "fail", "{}", verdict.text);
    let says = "12 requests for 1 key: of 11 asked again 0 came from a cache; \
                12 PostgreSQL queries caused, 11 of them the same again; Cache-Control missing";
    assert!(actual(&verdict).starts_with(says), "{}", verdict.text);
    assert!(actual(&verdict).contains(" cold, "), "{}", verdict.text);
    let proofs = proofs(&assistant, &verdict).await;
    let of = |text: &str| proofs.iter().filter(|proof| proof.contains(text)).count();
    assert!(of("GET /api/orders") > 1 && of("SELECT") > 0, "{proofs:#?}");
    let issues = assistant
        .call("find_issues", json!({"checks": ["cache"]}))
        .await;
    assert_eq!(
        issues.structured["findings"][0]["code"], "never_cached",
        "{}",
        issues.text
    );
    drop(flawed);

    let mut program = clients.python(programs::ORDERS);
    let mended = Service::start(&place, "orders", &mut program, &stores, "redis").await;
    let verdict = judged(&assistant, &mended, path, json!({})).await;
    assert_eq!(verdict.structured["verdict"], "pass", "{}", verdict.text);
    let says = "of 11 asked again 11 came from a cache; 1 PostgreSQL query caused;";
    assert!(actual(&verdict).contains(says), "{}", verdict.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_cache_is_seen_to_spare_what_it_spares() {
    let Some((clients, postgres, redis)) = shop() else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let assistant = Assistant::new(place.api());
    assistant.answers().await;
    let stores = [postgres.port, redis.port];
    let mut program = clients.python(programs::ORDERS);
    let orders = Service::start(&place, "orders", &mut program, &stores, "cacheable").await;
    for (mode, expected, says) in [
        (
            "plain",
            "fail",
            "of 11 asked again 0 came from a cache; 12 calls caused, 11 of them the same again;",
        ),
        (
            "cached",
            "pass",
            "of 11 asked again 11 came from a cache; 1 call caused;",
        ),
    ] {
        let mut program = clients.python(programs::WEB);
        let web = Service::start(&place, "web", &mut program, &[orders.port], mode).await;
        let verdict = judged(&assistant, &web, "/page/7", json!({})).await;
        assert_eq!(
            verdict.structured["verdict"], expected,
            "{mode}: {}",
            verdict.text
        );
        assert!(actual(&verdict).contains(says), "{mode}: {}", verdict.text);
        assert!(!proofs(&assistant, &verdict).await.is_empty());
    }
}
