//! Debian's PostgreSQL as a child process, with a cluster of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::left_out;
use super::process::{Running, free_port};

/// A server with an empty database, whose superuser `postgres` needs no password.
pub struct Postgres {
    pub port: u16,
    _running: Running,
    _data: tempfile::TempDir,
}

impl Postgres {
    /// `None`, with one line that says so, where it is not installed.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            left_out("PostgreSQL is not installed");
            return None;
        };
        let data = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // PostgreSQL refuses to run as root.
            let status = Command::new("chown")
                .arg("postgres")
                .arg(data.path())
                .status();
            assert!(status.unwrap().success());
        }
        let cluster = data.path().join("cluster");
        let made = command(&programs.join("initdb"), is_root)
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(&cluster)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = free_port();
        let server = command(&programs.join("postgres"), is_root)
            .arg("-D")
            .arg(&cluster)
            .args(["-p", &port.to_string(), "-c", "fsync=off"])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self {
            port,
            _running: Running::of(server),
            _data: data,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !postgres.psql("SELECT 1").status.success() {
            assert!(Instant::now() < deadline, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(postgres)
    }

    /// Has psql do something, directly.
    pub fn psql(&self, statements: &str) -> std::process::Output {
        let uri = format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port);
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements, &uri]);
        psql.output().unwrap()
    }
}

/// Where Debian keeps what only the server's administrator needs: not on the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders
        .filter(|folder| folder.join("initdb").is_file())
        .max()
}

/// A program of PostgreSQL, as a user that it runs as.
fn command(program: &Path, is_root: bool) -> Command {
    let mut command = match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir(Path::new("/"));
    command
}
