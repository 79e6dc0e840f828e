//! A PostgreSQL of its own, from Debian's packages, under a user that is not root.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::free_port;
use crate::support::{eventually, left_out};

/// Whoever may do least on this machine: `nobody`.
const NOBODY: u32 = 65_534;

/// A running server. It ends with this.
pub struct Cluster {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Cluster {
    /// `None`, with one line that says so, where there is no server to start. Users are let in by `method`,
    /// such as `trust`.
    pub fn start(method: &str, settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            left_out("PostgreSQL is not installed: run .ci/install");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        hand_over(&[folder.path()]);
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        std::fs::write(&password, "hunter2-of-the-server\n").unwrap();
        finished(
            unprivileged(&programs.join("initdb"))
                .args(["-N", "-U", "postgres", "-A", method, "-D"])
                .arg(&data)
                .arg("--pwfile")
                .arg(&password),
        );
        let port = free_port();
        let mut server = unprivileged(&programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "log_destination=jsonlog",
            "logging_collector=on",
            "log_filename=server.log",
            "log_min_duration_statement=0",
            "shared_preload_libraries=pg_stat_statements",
        ]
        .iter()
        .chain(settings)
        {
            server.args(["-c", setting]);
        }
        let child = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cluster = Self {
            child,
            folder,
            port,
        };
        cluster.wait_until_ready(&programs);
        Some(cluster)
    }

    fn wait_until_ready(&self, programs: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().unwrap().success() {
                return;
            }
            assert!(Instant::now() < deadline, "the server does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server says of a query, asked without a sidecar.
    pub fn ask(&self, database: &str, query: &str) -> String {
        let output = finished(&mut psql(self.port, database, &["-At", "-c", query]));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What the server logged of a database until now, line by line. A process of its own writes the log, in
    /// the order in which it is told: it has written everything once what is asked last is there.
    pub async fn log(&self, database: &str) -> Vec<Value> {
        self.ask("postgres", "SELECT 'that was all'");
        eventually("the log is written", || async {
            let lines = self.lines();
            let is_last = |line: &Value| {
                let message = line["message"].as_str().unwrap_or_default();
                line["dbname"] == "postgres" && message.ends_with("SELECT 'that was all'")
            };
            lines.iter().any(is_last).then_some(lines)
        })
        .await
        .into_iter()
        .filter(|line| line["dbname"] == database)
        .collect()
    }

    /// What is written of the log; the last line may be on its way.
    fn lines(&self) -> Vec<Value> {
        let log = self.folder.path().join("data/log/server.json");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // At once, without a word to the clients: its processes go with it.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.child.id().to_string()])
            .status();
        let _ = self.child.wait();
    }
}

/// Gives files that only their owner reads to the user of the server.
pub fn hand_over(paths: &[&Path]) {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    for path in paths {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        if is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

/// psql, asking this port for a database.
pub fn psql(port: u16, database: &str, arguments: &[&str]) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-U", "postgres", "-d", database])
        .args(arguments)
        .stdin(Stdio::null());
    psql
}

/// Runs a program, and fails with what it says if it does.
pub fn finished(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Where Debian has the programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").is_file())
        .max()
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// A program under a user that is not root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command
        .args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"])
        .arg(program)
        .current_dir("/");
    command
}
