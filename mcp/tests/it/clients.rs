//! The official clients call every tool, each in the protocols it speaks.
//!
//! They are installed by `tests/clients/install.sh`, which CI runs before the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use test_case::test_case;

use crate::hub::TestHub;

/// Where the clients are; `None`, said in a line, if they are not installed.
pub(crate) fn installed() -> Option<PathBuf> {
    installed_with(&[
        "node/node_modules",
        "browser/node_modules",
        "python/bin/python",
    ])
}

/// The same for some of what `install.sh` installs.
pub(crate) fn installed_with(parts: &[&str]) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
    let clients = std::env::var_os("REMORA_CLIENTS").map_or(default, PathBuf::from);
    let are_there = parts.iter().all(|part| clients.join(part).exists());
    let how = "the clients are not installed: run mcp/tests/clients/install.sh";
    is_there(are_there, how).then(|| std::path::absolute(clients).unwrap())
}

/// Where the clients are, if there is a Chromium as well.
pub(crate) fn installed_with_chromium() -> Option<PathBuf> {
    let clients = installed()?;
    let chromium = std::env::var_os("REMORA_CHROMIUM");
    let chromium = chromium.unwrap_or_else(|| "/usr/bin/chromium-headless-shell".into());
    let how = "Chromium is not installed: run .ci/install, or set REMORA_CHROMIUM";
    is_there(Path::new(&chromium).is_file(), how).then_some(clients)
}

fn is_there(is_there: bool, how: &str) -> bool {
    if !is_there {
        let required = std::env::var("REMORA_REQUIRE").as_deref() == Ok("all");
        assert!(!required, "{how}");
        eprintln!("skipped: {how}");
    }
    is_there
}

/// Runs a client against a hub with the calls of the shop; gives what it printed.
async fn run(command: impl FnOnce(&Path, &str) -> Command) -> Option<Value> {
    let clients = installed()?;
    let hub = TestHub::with_shop().await;
    let mut command = command(&clients, &format!("http://{}/mcp", hub.api_address()));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

const TOOLS: [&str; 16] = [
    "recorder_status",
    "snapshot_start",
    "snapshot_wait",
    "snapshot_list",
    "snapshot_delete",
    "traffic_summary",
    "calls_search",
    "call_get",
    "call_tree",
    "find_issues",
    "check",
    "verify",
    "compare",
    "fault_start",
    "fault_list",
    "fault_stop",
];

#[test_case("sdk", "2025-11-25"; "the client of version 1")]
#[test_case("legacy", "2025-11-25"; "the client of version 2 in its default mode")]
#[test_case("auto", "2026-07-28"; "the client of version 2 that looks what there is")]
#[test_case("2026-07-28", "2026-07-28"; "the client of version 2 that insists on the current protocol")]
#[tokio::test]
async fn typescript(mode: &'static str, version: &str) {
    let run = run(|clients, url| {
        let mut node = Command::new("node");
        node.arg(script("ts/tools.mjs"))
            .arg(url)
            .arg(clients.join("node"))
            .arg(mode);
        node
    });
    if let Some(found) = run.await {
        assert_eq!(found, json!({"version": version, "tools": TOOLS}));
    }
}

#[test_case("auto", "2026-07-28"; "that looks what there is")]
#[test_case("legacy", "2025-11-25"; "in the older protocol")]
#[test_case("2026-07-28", "2026-07-28"; "that insists on the current protocol")]
#[tokio::test]
async fn python(mode: &'static str, version: &str) {
    let run = run(|clients, url| {
        let mut python = Command::new(clients.join("python/bin/python"));
        python.arg(script("py/tools.py")).arg(url).arg(mode);
        python
    });
    if let Some(found) = run.await {
        assert_eq!(found, json!({"version": version, "tools": TOOLS}));
    }
}
