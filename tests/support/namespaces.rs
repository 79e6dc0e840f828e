//! Machines of our own: network namespaces on one bridge, where rules and sidecars can be real.
//!
//! ```text
//!   lan  10.99.7.1, fd99:7::1    the hub
//!    ├── a  10.99.7.2, fd99:7::2
//!    └── b  10.99.7.3, fd99:7::3
//! ```

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::{REMORA, Running};

/// User that the sidecars run as.
const PROXY_UID: &str = "15100";

/// Token that hub and sidecars share.
pub const TOKEN: &str = "a-token-for-the-namespace-tests";

/// How many were made by this process, for names of their own.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Three namespaces, gone when this is dropped.
pub struct Lan {
    name: String,
    folder: tempfile::TempDir,
    children: Vec<Child>,
}

/// One of the namespaces.
#[derive(Clone, Copy)]
pub enum Host {
    Lan,
    A,
    B,
}

impl Host {
    const ALL: [Self; 3] = [Self::Lan, Self::A, Self::B];

    fn word(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::A => "a",
            Self::B => "b",
        }
    }

    fn number(self) -> u8 {
        self as u8 + 1
    }

    pub fn ipv4(self) -> String {
        format!("10.99.7.{}", self.number())
    }

    pub fn ipv6(self) -> String {
        format!("fd99:7::{}", self.number())
    }
}

impl Lan {
    /// Makes the namespaces. `None`, with one line that says why, where that is not possible here.
    pub fn try_new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // The sidecars run as another user, who must get at the program and the token.
        open_to_all(folder.path());
        let program = folder.path().join("remora");
        std::fs::copy(REMORA, &program).unwrap();
        open_to_all(&program);
        let lan = Self {
            name: format!(
                "remora{}-{}",
                std::process::id(),
                MADE.fetch_add(1, Ordering::Relaxed)
            ),
            folder,
            children: Vec::new(),
        };
        match lan.set_up() {
            Ok(()) => Some(lan),
            Err(reason) => {
                super::left_out(&format!(
                    "network namespaces need root and iproute2: {reason}"
                ));
                None
            }
        }
    }

    fn set_up(&self) -> Result<(), String> {
        for host in Host::ALL {
            ip(&["netns", "add", &self.namespace(host)])?;
            self.ip_in(host, &["link", "set", "lo", "up"])?;
        }
        self.ip_in(Host::Lan, &["link", "add", "br0", "type", "bridge"])?;
        self.ip_in(Host::Lan, &["link", "set", "br0", "up"])?;
        self.address(Host::Lan, "br0")?;
        for host in [Host::A, Host::B] {
            let (port, lan, own) = (
                format!("to-{}", host.word()),
                self.namespace(Host::Lan),
                self.namespace(host),
            );
            ip(&[
                "link", "add", &port, "netns", &lan, "type", "veth", "peer", "name", "eth0",
                "netns", &own,
            ])?;
            self.ip_in(Host::Lan, &["link", "set", &port, "master", "br0", "up"])?;
            self.ip_in(host, &["link", "set", "eth0", "up"])?;
            self.address(host, "eth0")?;
        }
        Ok(())
    }

    fn address(&self, host: Host, link: &str) -> Result<(), String> {
        self.ip_in(
            host,
            &[
                "address",
                "add",
                &format!("{}/24", host.ipv4()),
                "dev",
                link,
            ],
        )?;
        // Without duplicate detection the address serves at once.
        self.ip_in(
            host,
            &[
                "address",
                "add",
                &format!("{}/64", host.ipv6()),
                "dev",
                link,
                "nodad",
            ],
        )
    }

    fn ip_in(&self, host: Host, arguments: &[&str]) -> Result<(), String> {
        let namespace = self.namespace(host);
        ip(&[&["-n", &namespace], arguments].concat())
    }

    fn namespace(&self, host: Host) -> String {
        format!("{}{}", self.name, host.word())
    }

    /// A folder that every user may read and write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program under test, where every user may start it.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("remora")
    }

    /// A command in one of the namespaces.
    pub fn command(&self, host: Host, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace(host)])
            .arg(program);
        command
    }

    /// Starts a command that ends with this LAN.
    pub fn start(&mut self, mut command: Command) {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    /// Starts a server written in Python.
    pub fn start_python(&mut self, host: Host, code: &str) {
        let mut command = self.command(host, "python3");
        command.args(["-c", code]).stderr(Stdio::null());
        self.start(command);
    }

    /// File with the token.
    pub fn token_file(&self) -> PathBuf {
        let file = self.folder.path().join("token");
        if !file.exists() {
            std::fs::write(&file, TOKEN).unwrap();
        }
        file
    }

    /// Starts the hub on the LAN.
    pub fn start_hub(&mut self) {
        let token_file = self.token_file();
        let mut hub = self.command(Host::Lan, self.program());
        hub.args(["hub", "--log", "warn", "--listen", "10.99.7.1:8899"]);
        hub.args(["--ingest", "10.99.7.1:8898", "--data"]);
        hub.arg(self.folder().join("data"));
        hub.arg("--token-file").arg(token_file);
        self.start(hub);
    }

    /// Writes the redirect rules, as the first container of a pod does.
    pub fn write_rules(&self, host: Host) {
        let status = self
            .command(host, self.program())
            .arg("init")
            .status()
            .unwrap();
        assert!(status.success(), "remora init failed in {}", host.word());
    }

    /// Starts a sidecar for what the rules redirect.
    pub fn start_sidecar(&self, host: Host, workload: &str) -> Running {
        let mut command = self.command(host, "setpriv");
        command
            .args(["--reuid", PROXY_UID, "--clear-groups"])
            .arg(self.program());
        command.args(["proxy", "--redirect", "--log", "warn"]);
        command.args(["--workload", workload]);
        command.args(["--ingest", "http://10.99.7.1:8898"]);
        command.args(["--pod-ip", &host.ipv4(), "--pod-ip", &host.ipv6()]);
        command.arg("--token-file").arg(self.token_file());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Running::of(child)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for host in Host::ALL {
            let _ = ip(&["netns", "delete", &self.namespace(host)]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| format!("run ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
