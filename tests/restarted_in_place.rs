//! A sidecar is killed under redirection: the rules stay, and traffic flows again once its successor
//! listens, as when a native sidecar restarts in its pod.

use serde_json::Value;

use crate::redirected::{HTTP_SERVER, curl, output, stored};
use crate::support::eventually;
use crate::support::namespaces::{Host, Lan};

#[tokio::test(flavor = "multi_thread")]
async fn traffic_flows_again_after_a_killed_sidecar_is_started_anew() {
    let Some(mut lan) = Lan::try_new() else {
        return;
    };
    lan.start_hub();
    lan.start_python(Host::B, HTTP_SERVER);
    eventually("the server answers", || async {
        output(curl(&lan, Host::B, &["http://127.0.0.1:8080/"]))
    })
    .await;
    lan.write_rules(Host::B);
    let sidecar = lan.start_sidecar(Host::B, "callee");
    wait_until_ready(&lan).await;
    assert_eq!(ask(&lan, "before").unwrap(), "you sent  to /before");
    wait_until_stored(&lan, &["/before"]).await;

    sidecar.kill();
    assert_eq!(
        ask(&lan, "meanwhile"),
        None,
        "the rules are gone: a call went past where the sidecar was"
    );

    let _successor = lan.start_sidecar(Host::B, "callee");
    wait_until_ready(&lan).await;
    assert_eq!(ask(&lan, "after").unwrap(), "you sent  to /after");
    wait_until_stored(&lan, &["/before", "/after"]).await;
}

/// Calls the server from another machine; `None` if it cannot be reached.
fn ask(lan: &Lan, path: &str) -> Option<String> {
    let url = format!("http://{}:8080/{path}", Host::B.ipv4());
    output(curl(lan, Host::A, &[&url]))
}

async fn wait_until_ready(lan: &Lan) {
    eventually("the sidecar is ready", || async {
        let ready = "http://127.0.0.1:15120/readyz";
        output(curl(lan, Host::B, &["-f", ready]))
    })
    .await;
}

/// Waits until just these are stored, each of them once.
async fn wait_until_stored(lan: &Lan, paths: &[&str]) {
    let calls = eventually("all calls are stored", || async {
        stored(lan).filter(|calls| calls.len() >= paths.len())
    })
    .await;
    let found: Vec<&Value> = calls.iter().map(|call| &call["path"]).collect();
    assert_eq!(found, paths);
}
