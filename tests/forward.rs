//! `remora proxy --forward`: programs that are told of a proxy.

use std::process::Command;

use crate::support::api::Client;
use crate::support::eventually;
use crate::support::origin;
use crate::support::process::{HubPlace, Running, free_port};

#[tokio::test]
async fn what_curl_asks_a_proxy_for_is_recorded_as_asked_of_the_origin() {
    let hub = HubPlace::new();
    let _hub = hub.start();
    let api = hub.api();
    let status = || async { Client::new().status(&api).await };
    eventually("the hub answers", status).await;
    let (port, forward) = (origin::start().await, free_port());
    let sidecar = Running::start(&[
        "proxy",
        "--workload",
        "asker",
        "--ingest",
        &hub.ingest(),
        "--admin",
        "off",
        "--forward",
        &forward.to_string(),
    ]);
    let proxy = format!("http://127.0.0.1:{forward}");
    let curl = async |more: &[&str], path: &str| {
        let url = format!("http://localhost:{port}/{path}");
        let mut curl = tokio::process::Command::from(Command::new("curl"));
        curl.args(["-sS", "--noproxy", "", "-x", &proxy])
            .args(more)
            .arg(url);
        let output = curl.output().await.unwrap();
        (output.stdout == format!("/{path}").as_bytes()).then_some(())
    };
    eventually("the proxy answers", || curl(&[], "plain")).await;
    curl(&["--proxytunnel"], "tunnelled").await.unwrap();
    let calls = eventually("the calls are stored", || async {
        let calls = Client::new()
            .matching(&api, "workload == \"asker\"")
            .await?;
        (calls.len() == 2).then_some(calls)
    })
    .await;
    assert_eq!(sidecar.stop(), Some(0));
    for call in &calls {
        assert_eq!(
            (&call["leg"], &call["status"]),
            (&"outbound".into(), &200.into()),
            "{call}"
        );
        assert_eq!(call["dst"]["port"], port);
        assert_eq!(call["host"], format!("localhost:{port}"), "{call}");
    }
}
