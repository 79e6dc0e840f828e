//! Programs in Python and Node that speak to the built one, with the libraries that they stand on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::left_out;

/// Where `proxy/tests/clients/install.sh` put what the programs stand on.
pub struct Programs(PathBuf);

impl Programs {
    /// `None`, with one line that says so, where they are missing.
    pub fn installed() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let clients = std::env::var_os("REMORA_CLIENTS");
        let clients = clients.map_or_else(|| root.join("target/clients"), PathBuf::from);
        let folder = std::path::absolute(clients.join("streams")).unwrap();
        let python = folder.join("python/bin/python");
        if python.is_file() && folder.join("node/node_modules/@grpc/reflection").is_dir() {
            return Some(Self(folder));
        }
        left_out(
            "servers and clients of streams are not installed: run proxy/tests/clients/install.sh",
        );
        None
    }

    pub fn python(&self, program: &str) -> Command {
        let mut command = Command::new(self.0.join("python/bin/python"));
        command.args(["-c", program]);
        command
    }

    pub fn node(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command
            .env("NODE_PATH", self.0.join("node/node_modules"))
            .args(["-e", program]);
        command
    }
}
