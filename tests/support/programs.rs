//! Programs in Python and Node that speak to the built one, with the libraries that they stand on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::left_out;

/// Where what the programs stand on was installed.
pub struct Programs(PathBuf);

impl Programs {
    /// Servers and clients of streams, in both languages; `None`, with one line that says so, where they are
    /// missing.
    pub fn of_streams() -> Option<Self> {
        Self::installed_by("streams", "proxy/tests/clients/install.sh")
    }

    /// Clients of HTTP and HTTPS in Python; `None`, with one line that says so, where they are missing.
    pub fn of_https() -> Option<Self> {
        Self::installed_by("https", "proxy/tests/clients/https.sh")
    }

    /// Clients of PostgreSQL, in both languages; `None`, with one line that says so, where they are missing.
    pub fn of_postgres() -> Option<Self> {
        Self::installed_by("postgres", "tests/postgres/install.sh")
    }

    /// Clients of Redis, in both languages; `None`, with one line that says so, where they are missing.
    pub fn of_redis() -> Option<Self> {
        Self::installed_by("redis", "tests/redis/install.sh")
    }

    fn installed_by(folder: &str, script: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let clients = std::env::var_os("REMORA_CLIENTS");
        let clients = clients.map_or_else(|| root.join("target/clients"), PathBuf::from);
        let folder = std::path::absolute(clients.join(folder)).unwrap();
        // The script leaves such a file, with the versions in its name, once everything is there.
        let is_mark = |name: OsString| name.to_string_lossy().starts_with("installed ");
        let mut files = folder.read_dir().into_iter().flatten().flatten();
        if files.any(|file| is_mark(file.file_name())) {
            return Some(Self(folder));
        }
        left_out(&format!(
            "{} is not installed: run {script}",
            folder.display()
        ));
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
