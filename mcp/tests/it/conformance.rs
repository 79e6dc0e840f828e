//! The official conformance suite and the official inspector, against this stack.
//!
//! The suite scores a server by tools of the suite's own, which `fixture` has; they stand behind the
//! same router, checks and rmcp settings as the hub's. What needs none of them is asked of the hub
//! itself. Both programs are installed by `tests/clients/install.sh`.

mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use axum::routing::any_service;
use remora_mcp::{Config, Hub, Keep, Options};
use remora_store::memory::Memory;
use test_case::test_case;

use crate::clients::installed_with;
use crate::hub::TestHub;

/// Runs a program of the suite's packages, with the Node that they need.
async fn run(program: &str, arguments: Vec<String>) -> Option<Output> {
    let packages = installed_with(&["suite/node_modules/.bin/conformance"])?;
    let bin = packages.join("suite/node_modules/.bin");
    let results = tempfile::tempdir().unwrap();
    let mut command = Command::new(bin.join("node"));
    command
        .arg(std::fs::canonicalize(bin.join(program)).unwrap())
        .args(arguments)
        .current_dir(results.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    Some(output.await.unwrap())
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// The file of what is known to fail, each with the reason; what is in it and passes fails the run.
fn known_failures(of: &str, revision: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/conformance/{of}-{revision}.yaml"))
}

async fn suite(hub: &TestHub, of: &str, revision: &str) {
    let url = format!("http://{}/mcp", hub.api_address());
    let mut arguments = vec!["server".to_owned(), "--url".to_owned(), url];
    arguments.extend(["--requirements".to_owned(), revision.to_owned()]);
    let known = known_failures(of, revision);
    if known.exists() {
        arguments.extend([
            "--expected-failures".to_owned(),
            known.display().to_string(),
        ]);
    }
    if let Some(output) = run("conformance", arguments).await {
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("passed"), "{text}");
    }
}

#[test_case("2026-07-28"; "of the current revision")]
#[test_case("2025-11-25"; "of the one before")]
#[tokio::test]
async fn every_requirement_is_met_by_the_stack(revision: &str) {
    let config = Config::check(Options::on_any_port(Keep::Memory)).unwrap();
    let store = Arc::new(Memory::new(u64::MAX));
    let endpoint = any_service(remora_mcp::mcp::endpoint(fixture::Fixture));
    let hub = Hub::start_with_mcp(store, config, endpoint).await.unwrap();
    suite(&hub.into(), "fixture", revision).await;
}

#[test_case("2026-07-28"; "of the current revision")]
#[test_case("2025-11-25"; "of the one before")]
#[tokio::test]
async fn every_requirement_that_needs_no_fixture_is_met_by_the_hub(revision: &str) {
    let hub = TestHub::with_shop().await;
    suite(&hub, "hub", revision).await;
}

#[test_case("modern"; "in the current protocol")]
#[test_case("legacy"; "in the one before")]
#[tokio::test]
async fn the_inspector_finds_nothing_wrong_with_the_tools(era: &str) {
    let hub = TestHub::with_shop().await;
    let url = format!("http://{}/mcp", hub.api_address());
    let mut arguments = vec!["--cli".to_owned(), url];
    let more = [
        "--transport",
        "http",
        "--method",
        "tools/list",
        "--strict",
        "--protocol-era",
        era,
    ];
    arguments.extend(more.map(str::to_owned));
    if let Some(output) = run("inspector", arguments).await {
        assert!(output.status.success(), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.to_lowercase().contains("warning"), "{said}");
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            listed["tools"]
                .as_array()
                .is_some_and(|tools| tools.len() > 3),
            "{listed}"
        );
    }
}
