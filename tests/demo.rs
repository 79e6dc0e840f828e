//! `remora demo --once`: the first thing that a new user runs.

use std::process::Command;

use crate::support::process::REMORA;

#[test]
fn the_mended_shop_has_nothing_wrong_with_it() {
    let output = Command::new(REMORA)
        .args(["demo", "--once", "--fixed"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Nothing is wrong with the mended shop."),
        "{said}"
    );
    assert!(said.contains("stored once per leg"), "{said}");
}

#[test]
fn the_demo_finds_its_ledger_and_what_is_wrong_on_purpose_and_ends() {
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
    assert!(said.contains("14 things are wrong with the shop"), "{said}");
    assert!(
        said.contains("found and proved, and nothing else"),
        "{said}"
    );
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
