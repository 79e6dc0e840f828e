//! Who may see what: the hub, sidecars and callers with tokens of a real API server, and the rights that the chart
//! gives the hub.

mod audit;
mod bodies;
pub mod cluster;
mod faults;
mod hostile;
mod sidecar;
mod sweep;

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use cluster::{Cluster, HEADS, bind};
use sweep::answers;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_shows_the_traffic_that_its_account_may_see() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let scrape = async |token: Option<&str>| {
        let (status, seen) = cluster.get("/metrics", token).await.unwrap();
        (status, seen.as_str().unwrap_or_default().to_owned())
    };
    let calls_of = |text: &str, namespace: &str| {
        let label = format!("namespace=\"{namespace}\"");
        let mut lines = text.lines();
        lines.any(|line| line.starts_with("remora_calls_total{") && line.contains(&label))
    };
    // An account as the chart's README gives Prometheus one.
    cluster
        .server
        .ask(["-n", "remora", "create", "serviceaccount", "prometheus"]);
    bind(&cluster.server, HEADS, "remora:prometheus", None);
    let prometheus = cluster.server.hub_token("remora", "prometheus", &[]);
    let heads = cluster.server.hub_token("shop", "heads", &[]);
    for (token, shop, bank) in [
        (Some(&*prometheus), true, true),
        (Some(&*heads), true, false),
        (None, false, false),
    ] {
        let (status, text) = scrape(token).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(
            (calls_of(&text, "shop"), calls_of(&text, "bank")),
            (shop, bank),
            "{text}"
        );
        let shown = format!("remora_hub_traffic_shown {}", u8::from(token.is_some()));
        assert!(
            text.contains(&shown) && text.contains("remora_hub_"),
            "{text}"
        );
    }
    // The one that it has for the API server.
    let server = &cluster.server;
    let other = server.ask(["-n", "remora", "create", "token", "prometheus"]);
    assert_eq!(scrape(Some(other.trim())).await.0, 401);
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

    // A right that is taken away is gone soon.
    let reader = cluster.reader("bank");
    assert_eq!(cluster.status(status, Some(&reader)).await, 200);
    let binding = ["-n", "bank", "delete", "rolebinding", "bank-reader"];
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
