//! The metrics of recorded calls, as Prometheus reads them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use hyper::Method;
use remora_mcp::{Config, Hub, Keep, Options};
use remora_store::block::Origin;
use remora_store::call::{Protocol, State};
use remora_store::testing::call;
use serde_json::Value;

use crate::clients::{installed, script};
use crate::http::{Answer, send};
use crate::hub::TestHub;
use crate::shop::{block, blocks, inbound, origin};

/// Samples by their name and labels, as they are written.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn sum(text: &str, name: &str) -> f64 {
    let all = samples(text);
    let of_name = all
        .iter()
        .filter(|(key, _)| key.split('{').next() == Some(name));
    of_name.map(|(_, value)| value).sum()
}

async fn metrics(hub: &TestHub) -> String {
    hub.get("/metrics").await.text().to_owned()
}

#[tokio::test]
async fn calls_are_counted_by_leg_workload_route_and_class() {
    let hub = TestHub::with_shop().await;
    let text = metrics(&hub).await;
    let of_orders = "leg=\"inbound\",namespace=\"shop\",workload=\"orders\"";
    let of_web = "leg=\"outbound\",namespace=\"shop\",workload=\"web\"";
    let all = samples(&text);
    for (name, labels, value) in [
        (
            "calls_total",
            format!("{of_orders},route=\"/api/orders/{{id}}\",status_class=\"2xx\""),
            12.0,
        ),
        (
            "calls_total",
            format!("{of_web},route=\"/api/orders/{{id}}\",status_class=\"2xx\""),
            12.0,
        ),
        (
            "calls_total",
            format!("{of_orders},route=\"/api/orders\",status_class=\"5xx\""),
            1.0,
        ),
        (
            "call_errors_total",
            format!("{of_orders},route=\"/api/orders\",status_class=\"5xx\""),
            1.0,
        ),
        (
            "call_errors_total",
            format!("{of_web},route=\"/pay\",status_class=\"none\""),
            1.0,
        ),
        (
            "call_errors_total",
            format!("{of_web},route=\"/api/orders/{{id}}\",status_class=\"2xx\""),
            0.0,
        ),
        (
            "call_duration_seconds_count",
            format!("{of_web},route=\"/pay\",status_class=\"none\""),
            0.0,
        ),
    ] {
        let key = format!("remora_{name}{{{labels}}}");
        assert_eq!(all.get(&key), Some(&value), "{key} in {text}");
    }
    // Neither the TLS connection nor the opaque one is an HTTP call.
    assert_eq!(sum(&text, "remora_calls_total"), 28.0);
}

#[tokio::test]
async fn the_buckets_add_up_to_the_count_and_hold_the_latency() {
    let hub = TestHub::with_shop().await;
    let text = metrics(&hub).await;
    let with_bound = |bound: &str| {
        let all = samples(&text);
        let of_bound = all.iter().filter(|(key, _)| {
            key.starts_with("remora_call_duration_seconds_bucket")
                && key.contains("status_class=\"2xx\"")
                && key.contains(&format!("le=\"{bound}\""))
        });
        of_bound.map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(with_bound("0.001"), 0.0);
    assert_eq!(with_bound("0.0025"), 26.0);
    assert_eq!(with_bound("+Inf"), 26.0);
    let seconds = sum(&text, "remora_call_duration_seconds_sum");
    assert!((seconds - 27.0 * 0.002).abs() < 1e-9, "{seconds}");
}

#[tokio::test]
async fn blocks_that_come_again_are_not_counted_again() {
    let hub = TestHub::start().await;
    let blocks = blocks();
    let request = [blocks[0].clone(), blocks[1].clone(), blocks[0].clone()];
    let (one, other) = tokio::join!(hub.ingest(&request), hub.ingest(&request));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
    assert_eq!(sum(&metrics(&hub).await, "remora_calls_total"), 28.0);
}

#[tokio::test]
async fn a_hub_that_starts_again_begins_at_zero_and_counts_no_block_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let start = || async {
        let options = Options::on_any_port(Keep::Disk(directory.path().to_owned()));
        TestHub::from(Hub::start(Config::check(options).unwrap()).await.unwrap())
    };
    let hub = start().await;
    assert_eq!(hub.ingest(&blocks()).await.status, 200);
    assert_eq!(sum(&metrics(&hub).await, "remora_calls_total"), 28.0);
    hub.stop().await;
    let hub = start().await;
    assert_eq!(hub.ingest(&blocks()).await.status, 200);
    assert_eq!(sum(&metrics(&hub).await, "remora_calls_total"), 0.0);
    let more = block(origin("orders", 0xaa), 2, &inbound()[..3]);
    assert_eq!(hub.ingest(&[blocks()[0].clone(), more]).await.status, 200);
    assert_eq!(sum(&metrics(&hub).await, "remora_calls_total"), 3.0);
}

#[tokio::test]
async fn health_checks_and_calls_that_still_run_are_not_counted() {
    let hub = TestHub::start().await;
    let mut calls = vec![call(0, "/a", 200); 4];
    calls[1].probe = true;
    calls[2].state = State::Open;
    calls[3].protocol = Protocol::Opaque;
    assert_eq!(
        hub.ingest(&[block(origin("orders", 0xaa), 1, &calls)])
            .await
            .status,
        200
    );
    assert_eq!(sum(&metrics(&hub).await, "remora_calls_total"), 1.0);
}

#[tokio::test]
async fn what_a_sidecar_makes_up_adds_no_line() {
    let hub = TestHub::start().await;
    let liar = Origin {
        namespace: "x\"} 1\nremora_hub_fake 1".to_owned(),
        ..origin("a\\\"b\n# EOF", 0xaa)
    };
    let calls = [call(0, "/a\"b\\c", 200)];
    assert_eq!(hub.ingest(&[block(liar, 1, &calls)]).await.status, 200);
    let text = metrics(&hub).await;
    let made_up = "remora_calls_total{leg=\"inbound\",namespace=\"(other)\",workload=\"(other)\",\
                   route=\"/a\\\"b\\\\c\",status_class=\"2xx\"} 1";
    assert!(text.lines().any(|line| line == made_up), "{text}");
    assert!(!text.contains("fake"));
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn prometheus_own_parser_reads_them() {
    let Some(clients) = installed() else { return };
    let hub = TestHub::with_shop().await;
    let mut python = Command::new(clients.join("python/bin/python"))
        .arg(script("py/metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = metrics(&hub).await;
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let sums: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sums["remora_calls_total"], 28.0);
    assert_eq!(sums["remora_call_errors_total"], 2.0);
    assert_eq!(sums["remora_call_duration_seconds_count"], 27.0);
}

#[tokio::test]
async fn without_a_token_nothing_is_told_of_traffic() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "a-token-of-some-length").unwrap();
    let mut options = Options::on_any_port(Keep::Memory);
    options.token_file = Some(file.path().to_owned());
    let hub = TestHub::start_with(options).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let right = bearer("a-token-of-some-length");
    let post = [
        ("content-type", "application/vnd.remora.blocks"),
        ("x-remora-incarnation", crate::hub::INCARNATION),
        ("authorization", right.as_str()),
    ];
    let body = crate::hub::framed(&blocks());
    let stored = send(
        hub.ingest_address(),
        Method::POST,
        "/ingest/v1/blocks",
        &post,
        body,
    )
    .await;
    assert_eq!(stored.status, 200);
    let ask = async |headers: &[(&str, &str)]| -> Answer {
        send(
            hub.api_address(),
            Method::GET,
            "/metrics",
            headers,
            Bytes::new(),
        )
        .await
    };
    let open = ask(&[]).await;
    assert!(open.text().contains("remora_hub_traffic_shown 0"));
    assert!(open.text().contains("remora_hub_ingest_calls_total 30"));
    assert!(!open.text().contains("orders"));
    let shown = ask(&[("authorization", &right)]).await;
    assert!(shown.text().contains("remora_hub_traffic_shown 1"));
    assert_eq!(sum(shown.text(), "remora_calls_total"), 28.0);
    let wrong = ask(&[("authorization", &bearer("another-token"))]).await;
    assert_eq!(wrong.status, 401);
}
