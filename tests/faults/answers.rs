//! Answers that count and compare calls tell what a fault did from what the service did.

use serde_json::{Value, json};

use super::{Street, first_three};
use crate::support::eventually;

impl Street {
    /// What the hub answers, in JSON.
    async fn answer(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.place.api());
        self.client.json(&url).await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let url = format!("{}{path}", self.place.api());
        let (status, body) = self.client.get(&url, &[]).await.unwrap();
        assert_eq!(status, 200);
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// The id of a snapshot of the calls until now.
    async fn snapshot(&self, name: &str) -> String {
        let snapshots = format!("{}/api/v1/snapshots", self.place.api());
        let (status, begun) = self
            .post(&snapshots, json!({"name": name, "since": "-5m"}))
            .await;
        assert_eq!(status, 201, "{begun}");
        let id = begun["id"].as_str().unwrap().to_owned();
        let wait = json!({"idle_ms": 0, "seal": true});
        let (_, waited) = self.post(&format!("{snapshots}/{id}/wait"), wait).await;
        assert_eq!(waited["settled"], true, "{waited}");
        id
    }
}

/// Four calls, in a snapshot of which the id is given, and then three that a fault answered, one that another
/// one held back, and one more.
async fn met_by_faults() -> (Street, String) {
    let street = Street::start(&["--allow-faults"]).await;
    assert_eq!(street.statuses("/pay", 4).await, [200; 4]);
    let base = street.snapshot("base").await;
    street.begin(first_three()).await;
    assert_eq!(street.statuses("/pay", 3).await, [503; 3]);
    let delay = json!({"workload": "orders", "filter": {"path_prefix": "/pay"}, "effect": {"delay_ms": 700}, "first": 1});
    street.begin(delay).await;
    assert_eq!(street.statuses("/pay", 2).await, [200; 2]);
    eventually("all calls are stored", || async {
        let calls = street.client.calls(&street.place.api()).await?;
        (calls.len() == 9).then_some(())
    })
    .await;
    (street, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fault_met_is_counted_apart_and_is_no_failure_and_no_latency() {
    let (street, _) = met_by_faults().await;
    let summary = street.answer("/api/v1/summary?group_by=route").await;
    let group = &summary["groups"][0];
    let map = street.answer("/api/v1/map").await;
    for totals in [group, &map["edges"][0]] {
        let told = ["calls", "injected", "errors", "error_rate"].map(|name| &totals[name]);
        let expected = [json!(9), json!(4), json!(0), json!(0.0)];
        assert_eq!(told, expected.each_ref(), "{totals}");
    }
    let calls = street.client.calls(&street.place.api()).await.unwrap();
    let untouched = calls.iter().filter(|call| call["fault"].is_null());
    let longest = untouched.map(|call| call["latency_ms"].as_f64().unwrap());
    let longest = longest.fold(0.0, f64::max);
    // Percentiles are within 1 %.
    assert!(
        group["p99_ms"].as_f64().unwrap() <= longest * 1.01,
        "{group}"
    );

    // Calls are counted behind the store.
    let metrics = eventually("all calls are counted", || async {
        let metrics = street.text("/metrics").await;
        (sum(&metrics, "calls_total") == 9.0).then_some(metrics)
    })
    .await;
    let sum = |name: &str| sum(&metrics, name);
    let told = ["calls_total", "calls_injected_total", "call_errors_total"].map(sum);
    assert_eq!(told, [9.0, 4.0, 0.0]);
    assert_eq!(sum("call_duration_seconds_count"), 5.0);
}

/// A metric of the hub, over all its labels.
fn sum(metrics: &str, name: &str) -> f64 {
    let name = format!("remora_{name}{{");
    let of_it = metrics.lines().filter(|line| line.starts_with(&name));
    of_it
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fault_met_is_no_difference_of_a_service_and_is_marked_in_tables() {
    let (street, base) = met_by_faults().await;
    let compared = street
        .answer(&format!("/api/v1/compare?base={base}&head=live:15m"))
        .await;
    assert_eq!(compared["differences"], json!([]), "{compared}");
    let left_out = "head: 4 calls that an injected fault met";
    assert!(
        compared["blind_spots"].to_string().contains(left_out),
        "{compared}"
    );
    let findings = street.answer("/api/v1/findings?checks=status").await;
    assert_eq!(findings["findings"], json!([]));

    let table = street.text("/api/v1/calls?format=tsv&order=oldest").await;
    let effects: Vec<&str> = table
        .lines()
        .map(|line| line.rsplit('\t').next().unwrap())
        .collect();
    assert_eq!(effects[0], "fault.effect");
    let marks = ["", "", "", "", "status", "status", "status", "delay", ""];
    assert_eq!(effects[1..], marks);
    let groups = street
        .tool("traffic_summary", json!({"group_by": ["route"]}))
        .await;
    let heading = "leg\tmethod\troute\tn\tinjected\terr%";
    assert!(groups.starts_with(heading), "{groups}");
    assert!(groups.contains("\t9\t4\t0\t"), "{groups}");
    let calls = street
        .tool(
            "calls_search",
            json!({"fields": ["status"], "order": "oldest"}),
        )
        .await;
    let told: Vec<&str> = calls
        .lines()
        .skip(2)
        .take(9)
        .map(|row| row.rsplit(['\t', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        told,
        marks.map(|mark| if mark.is_empty() { "-" } else { mark })
    );
}
