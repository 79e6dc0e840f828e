use std::path::PathBuf;
use std::process::Command;

use remora_store::block::Origin;
use remora_store::testing::grpc_call;
use serde_json::{Value, json};

use crate::clients::{installed_with_chromium, script};
use crate::control::ask;
use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, INJECTED, block, inbound, origin};

#[tokio::test]
async fn the_page_brings_everything_and_may_do_little() {
    let hub = TestHub::start().await;
    let (one, other) = (hub.get("/").await, hub.get("/").await);
    assert_eq!(one.headers["content-type"], "text/html; charset=utf-8");
    let policy = one.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'nonce-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_ne!(policy, other.headers["content-security-policy"]);
    let nonce = policy.split("'nonce-").nth(1).unwrap();
    let nonce = nonce.split('\'').next().unwrap();
    assert_eq!(one.text().matches(nonce).count(), 2);
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "src=",
        "@import",
        "url(",
    ] {
        assert!(!one.text().contains(way), "{way}");
    }
}

#[tokio::test]
async fn chromium_shows_what_was_recorded_as_text() {
    let Some(clients) = installed_with_chromium() else {
        return;
    };
    let hub = TestHub::with_shop().await;
    let hostile = Origin {
        serves: Vec::new(),
        ..origin("<img src=x onerror=alert(1)>", 0xcc)
    };
    assert_eq!(
        hub.ingest(&[block(hostile, 1, &inbound()[..1])])
            .await
            .status,
        200
    );
    let filter = format!("path.contains(\"{INJECTED}\")");
    let shown = show(&hub, clients, &filter).await;
    assert_eq!(
        (&shown["nodes"], &shown["calls"]),
        (&json!(6), &json!(31)),
        "{shown}"
    );
    assert_eq!(shown["edges"], 5, "{shown}");
    let status = shown["status"].as_str().unwrap();
    assert!(status.starts_with("31 calls kept"), "{status}");
    assert!(status.contains("1 connection of TLS unread"), "{status}");
    let problem = shown["problem"].as_str().unwrap();
    assert!(problem.contains("method"), "{problem}");
    assert_eq!(shown["filtered"], 1);
    // Markup stays text, and what turns text around is shown by its number.
    assert!(
        shown["row"].as_str().unwrap().contains("<b>/\\u{202e}x"),
        "{shown}"
    );
    assert!(
        shown["call"].as_str().unwrap().contains("\\u{1b}[31m"),
        "{shown}"
    );
    let elements = [
        "g", "h2", "p", "path", "pre", "rect", "td", "text", "title", "tr",
    ];
    assert_eq!(shown["elements"], json!(elements));
    assert_eq!(shown["strangers"], json!([]));
    // Chromium tells of the answer that refused the misspelt filter.
    for problem in shown["problems"].as_array().unwrap() {
        assert!(
            problem.as_str().unwrap().contains("400 (Bad Request)"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn chromium_shows_how_a_call_of_grpc_ended_and_its_messages() {
    let Some(clients) = installed_with_chromium() else {
        return;
    };
    let hub = TestHub::start().await;
    let call = grpc_call(*BEGAN_NS, "/shop.v1.Orders/Get", Some(14));
    let block = block(origin("orders", 0xdd), 1, &[call]);
    assert_eq!(hub.ingest(&[block]).await.status, 200);
    let shown = show(&hub, clients, "path == \"/shop.v1.Orders/Get\"").await;
    let (row, call) = (
        shown["row"].as_str().unwrap(),
        shown["call"].as_str().unwrap(),
    );
    assert!(row.contains("UNAVAILABLE"), "{row}");
    assert!(call.contains("2 messages"), "{call}");
    assert!(call.contains("client grpc, 2 bytes"), "{call}");
    assert!(call.contains("\"value\":17"), "{call}");
}

#[tokio::test]
async fn chromium_shows_how_many_sidecars_are_live_listed_or_not() {
    let Some(clients) = installed_with_chromium() else {
        return;
    };
    let hub = TestHub::with_shop().await;
    for run in 1..=53 {
        let named = format!("incarnation={run:032x}&workload=web&namespace=shop");
        ask(&hub, &format!("{named}&epoch=0&sequence=0")).await;
    }
    let shown = show(&hub, clients, &format!("path.contains(\"{INJECTED}\")")).await;
    let status = shown["status"].as_str().unwrap();
    assert!(status.contains("53 sidecars live"), "{status}");
}

/// What the page shows after a filter that is wrong, and then `filter`.
async fn show(hub: &TestHub, clients: PathBuf, filter: &str) -> Value {
    let mut node = Command::new("node");
    node.arg(script("browser/page.mjs"))
        .arg(clients.join("browser"))
        .arg(format!("http://{}/", hub.api_address()))
        .arg(filter)
        .args(std::env::var_os("REMORA_PICTURES"));
    let output = tokio::task::spawn_blocking(move || node.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}
