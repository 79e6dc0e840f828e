//! The official clients over standard input and output, with the calls of the shop in the hub.
//!
//! The scripts are those that `mcp/tests/it/clients.rs` runs over HTTP.

use std::path::{Path, PathBuf};
use std::process::Command;

use remora_mcp::{Config, Hub, Keep, Options};
use remora_store::store::ReceivedBlock;
use serde_json::{Value, json};
use test_case::test_case;

use crate::support::left_out;
use crate::support::process::REMORA;

#[path = "../../mcp/tests/it/shop.rs"]
mod shop;

/// Where `mcp/tests/clients/install.sh` put the clients.
pub fn installed() -> Option<PathBuf> {
    let default = root().join("target/clients");
    let clients = std::env::var_os("REMORA_CLIENTS").map_or(default, PathBuf::from);
    if clients.join("node/node_modules").is_dir() && clients.join("python/bin/python").is_file() {
        return Some(std::path::absolute(clients).unwrap());
    }
    left_out("the official MCP clients are not installed: run mcp/tests/clients/install.sh");
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test_case("ts", "sdk", "2025-11-25"; "typescript of version 1")]
#[test_case("ts", "legacy", "2025-11-25"; "typescript of version 2 in its default mode")]
#[test_case("ts", "2026-07-28", "2026-07-28"; "typescript of version 2 in the current protocol")]
#[test_case("py", "auto", "2026-07-28"; "python that looks what there is")]
#[test_case("py", "legacy", "2025-11-25"; "python in the older protocol")]
#[tokio::test(flavor = "multi_thread")]
async fn official_clients_call_every_tool_through_the_bridge(
    language: &str,
    mode: &str,
    version: &str,
) {
    let Some(clients) = installed() else {
        return;
    };
    let config = Config::check(Options::on_any_port(Keep::Memory)).unwrap();
    let hub = Hub::start(config).await.unwrap();
    let origins = [shop::origin("orders", 0xaa), shop::origin("web", 0xbb)];
    let blocks = origins.into_iter().zip(shop::blocks());
    let blocks = blocks
        .map(|(origin, bytes)| ReceivedBlock { origin, bytes })
        .collect();
    hub.store().ingest(blocks).await.unwrap();

    let scripts = root().join("mcp/tests/clients");
    let mut command = if language == "ts" {
        let mut node = Command::new("node");
        node.arg(scripts.join("ts/tools.mjs"));
        node
    } else {
        let mut python = Command::new(clients.join("python/bin/python"));
        python.arg(scripts.join("py/tools.py"));
        python
    };
    command.arg(format!("{REMORA} mcp --hub http://{}", hub.api_address()));
    if language == "ts" {
        command.arg(clients.join("node"));
    }
    command.arg(mode);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let (printed, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{printed}\n{said}");
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found["version"], json!(version));
    assert!(
        found["tools"]
            .as_array()
            .unwrap()
            .contains(&json!("call_get")),
        "{found}"
    );
    hub.stop().await;
}
