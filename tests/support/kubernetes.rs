//! A real API server with its etcd, on free ports of loopback: admission, tokens, roles and watches are those of
//! Kubernetes. There is no node, and nothing runs in its pods.

pub mod egress;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair};
use serde_json::Value;

use super::left_out;
use super::process::free_port;
use egress::Egress;

/// How long an API server may take to come up on a machine that is busy.
const START: Duration = Duration::from_secs(60);
/// The token of the one user that may do everything.
const ADMIN_TOKEN: &str = "the-administrator";

/// An API server.
pub struct ApiServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    etcd_port: u16,
    /// The way to the webhooks of its Services.
    pub egress: Egress,
    _etcd: Guarded,
    server: Mutex<Option<Guarded>>,
}

impl ApiServer {
    /// Starts one. `None`, with one line that says so, where its programs are missing.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let (port, etcd_port) = (free_port(), free_port());
        let etcd = start_etcd(folder.path(), etcd_port);
        write_keys(folder.path());
        let egress = Egress::start(folder.path());
        std::fs::write(folder.path().join("egress.yaml"), egress.configuration()).unwrap();
        let server = Self {
            folder,
            programs,
            port,
            etcd_port,
            egress,
            _etcd: etcd,
            server: Mutex::new(None),
        };
        server.write_kubeconfig("admin", ADMIN_TOKEN);
        server.resume();
        Some(server)
    }

    /// Ends the API server; what it keeps stays.
    pub fn pause(&self) {
        self.server.lock().unwrap().take();
    }

    /// Starts it, again with what it kept, and waits until it answers.
    pub fn resume(&self) {
        let mut server = self.server.lock().unwrap();
        let started = server.insert(self.start_server());
        let deadline = Instant::now() + START;
        while !self.run(["get", "--raw", "/readyz"]).status.success() {
            assert!(
                Instant::now() < deadline && started.0.try_wait().unwrap().is_none(),
                "the API server does not come up: {}",
                std::fs::read_to_string(self.file("kube-apiserver.log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The configuration of the user that may do everything, for `KUBECONFIG`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.file("admin")
    }

    /// A configuration by which somebody else is known, by a token.
    pub fn kubeconfig_of(&self, name: &str, token: &str) -> PathBuf {
        self.write_kubeconfig(name, token);
        self.file(name)
    }

    /// `kubectl` as the user that may do everything.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments);
        command
    }

    /// Runs `kubectl`.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.kubectl(arguments).output().unwrap()
    }

    /// Runs `kubectl`, which has to succeed; gives what it printed.
    pub fn ask<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        printed(self.run(arguments))
    }

    /// Applies manifests, by the server; gives what `kubectl` printed.
    pub fn apply(&self, manifests: &str) -> String {
        let mut child = self
            .kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(manifests.as_bytes()).unwrap();
        drop(stdin);
        printed(child.wait_with_output().unwrap())
    }

    /// Posts an object, as a program does that no `kubectl` explains the answer to.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--cacert"])
            .arg(self.file("authority.crt"))
            .args(["-H", &format!("authorization: Bearer {ADMIN_TOKEN}")])
            .args(["-H", "content-type: application/json", "--data-binary"])
            .args([&body.to_string(), &format!("{}{path}", self.url())])
            .output()
            .unwrap();
        serde_json::from_str(&printed(output)).unwrap()
    }

    /// A token of a service account, for the hub. `more` is for `kubectl create token`, such as
    /// `--bound-object-kind Pod`.
    pub fn hub_token(&self, namespace: &str, account: &str, more: &[&str]) -> String {
        let mut arguments = vec!["create", "token", account, "--namespace", namespace];
        arguments.extend(["--audience", "remora-hub"]);
        arguments.extend(more);
        self.ask(arguments).trim().to_owned()
    }

    fn start_server(&self) -> Guarded {
        let file = |name: &str| self.file(name).display().to_string();
        let mut command = Command::new(self.programs.join("kube-apiserver"));
        command
            .arg(format!(
                "--etcd-servers=http://127.0.0.1:{}",
                self.etcd_port
            ))
            .arg(format!("--secure-port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=192.0.2.1"])
            .args([
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.96.0.0/16",
            ])
            // Accounts of pods are made by a controller, which is not here.
            .args(["--disable-admission-plugins=ServiceAccount"])
            .args(["--endpoint-reconciler-type=none"])
            .arg(format!(
                "--egress-selector-config-file={}",
                file("egress.yaml")
            ))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg(format!("--tls-cert-file={}", file("server.crt")))
            .arg(format!("--tls-private-key-file={}", file("server.key")))
            .args(["--service-account-issuer=https://kubernetes.default.svc"])
            .arg(format!(
                "--service-account-key-file={}",
                file("accounts.pub")
            ))
            .arg(format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ))
            .arg(format!("--cert-dir={}", file("certificates")));
        Guarded::start(command, &self.file("kube-apiserver.log"))
    }

    fn write_kubeconfig(&self, name: &str, token: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{server: \"{}\", certificate-authority: \"{}\"}}}}]\n\
             users: [{{name: it, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n",
            self.url(),
            self.file("authority.crt").display(),
        );
        std::fs::write(self.file(name), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn printed(output: Output) -> String {
    assert!(
        output.status.success(),
        "kubectl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Where `.ci/install` put the programs of Kubernetes.
fn programs() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = std::env::var_os("KUBE_BIN");
    let folder = folder.map_or_else(|| root.join("target/kubernetes"), PathBuf::from);
    let there = |name: &str| folder.join(name).is_file();
    let etcd = Command::new("etcd").arg("--version").output();
    if there("kube-apiserver") && there("kubectl") && etcd.is_ok() {
        return Some(std::path::absolute(folder).unwrap());
    }
    left_out("kube-apiserver, kubectl or etcd is not installed: run .ci/install");
    None
}

fn start_etcd(folder: &Path, port: u16) -> Guarded {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port());
    let mut command = Command::new("etcd");
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("default={peer}")])
        // What is in it is gone with the test.
        .arg("--unsafe-no-fsync");
    Guarded::start(command, &folder.join("etcd.log"))
}

/// The authority and the certificate of the API server, the key of service accounts, and who is administrator.
fn write_keys(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("authority.crt", authority.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(authority, key);

    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut server = CertificateParams::new(names).unwrap();
    // With the name of its authority OpenSSL takes it for one that signed itself.
    server.distinguished_name = DistinguishedName::new();
    write("server.crt", server.signed_by(&key, &issuer).unwrap().pem());
    write("server.key", key.serialize_pem());

    let accounts = KeyPair::generate().unwrap();
    write("accounts.key", accounts.serialize_pem());
    write("accounts.pub", accounts.public_key_pem());
    write(
        "tokens.csv",
        format!("{ADMIN_TOKEN},admin,admin,system:masters\n"),
    );
}

/// A child that ends when this is dropped, and also when the test process ends without that.
struct Guarded(Child);

impl Guarded {
    fn start(command: Command, log: &Path) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let guard = r#"exec 3<&0; "$@" </dev/null 3<&- & child=$!
            { read -r _ <&3; kill -KILL $child; } & wait $child; kill $!"#;
        let child = Command::new("sh")
            .args(["-c", guard, "guard"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
