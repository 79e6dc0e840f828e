//! `remora demo --once`: the first thing that a new user runs.

use std::process::Command;

use crate::support::process::REMORA;

#[test]
fn the_demo_finds_its_own_ledger_in_the_hub_and_ends() {
    let output = Command::new(REMORA)
        .args(["demo", "--once"])
        .output()
        .unwrap();
    let (said, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "exit {:?}\n{said}\n{log}",
        output.status.code()
    );
    assert!(said.contains("stored once per leg"), "{said}");
    assert!(
        said.contains("storefront") && said.contains("inventory"),
        "{said}"
    );
    for (request, status) in [("POST /charge", "503"), ("GET /orders/{id}", "200")] {
        let shown = said.lines().any(|row| {
            let words: Vec<_> = row.split_whitespace().collect();
            row.contains(request) && words.contains(&status)
        });
        assert!(shown, "{request} {status} is no row of the table:\n{said}");
    }
}
