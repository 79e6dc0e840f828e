//! The house rules that a machine can keep: which crate may import which, and who owns a dependency.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates of the workspace and what they may depend on.
const ARROWS: [(&str, &[&str]); 5] = [
    ("store", &[]),
    ("proxy", &["remora-store"]),
    ("injector", &["remora-store"]),
    ("mcp", &["remora-store"]),
    (
        "cli",
        &[
            "remora-injector",
            "remora-mcp",
            "remora-proxy",
            "remora-store",
        ],
    ),
];

/// Dependencies that one place alone may import, and that place.
const OWNERS: [(&str, &str); 4] = [
    ("sled::", "store/src/catalogue"),
    ("rmcp::", "mcp/src/mcp"),
    ("cel::", "store/src/filter"),
    ("kube::core::admission", "injector/src/webhook"),
];

#[test]
fn arrows_between_crates_run_one_way() {
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        for line in dependencies
            .lines()
            .filter(|line| line.starts_with("remora-"))
        {
            let dependency = line.split(['.', ' ', '=']).next().unwrap();
            assert!(
                allowed.contains(&dependency),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn some_dependencies_are_imported_in_one_place_only() {
    for file in sources() {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        for (import, owner) in OWNERS {
            let imports = text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//") && code.contains(import)
            });
            assert!(
                !imports || file.starts_with(owner),
                "{file} uses {import}, which belongs to {owner}"
            );
        }
    }
}

#[test]
fn unsafe_code_lives_in_one_file_at_most() {
    for file in sources()
        .iter()
        .filter(|file| *file != "proxy/src/socket.rs")
    {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let found = text
            .lines()
            .find(|line| !line.trim_start().starts_with("//") && line.contains("unsafe {"));
        assert_eq!(found, None, "{file}");
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for file in sources() {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        assert!(
            text.starts_with("//!"),
            "{file} does not begin with a module comment"
        );
    }
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(
            readme.contains(command),
            "README.md does not name {command}"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every file of the crates' `src`, relative to the root, except modules that hold only tests.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ARROWS
        .iter()
        .map(|(name, _)| root().join(name).join("src"))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                files.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    assert!(files.len() > 10, "the sources were not found");
    files
}
