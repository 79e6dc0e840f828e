//! Network namespaces for tests: pods without a cluster. Needs root and iproute2.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Addresses of the two ends of [`Namespace::pair`].
pub(crate) const LEFT: (&str, &str) = ("10.77.0.1", "fd77::1");
/// Addresses of the second end.
pub(crate) const RIGHT: (&str, &str) = ("10.77.0.2", "fd77::2");

/// Whether this machine can run tests with namespaces; says so in one line where it cannot, which
/// is a failure with `REMORA_REQUIRE=all`.
pub(crate) fn available(programs: &[&str]) -> bool {
    let missing = if rustix::process::geteuid().is_root() {
        programs
            .iter()
            .find(|program| !is_installed(program))
            .copied()
    } else {
        Some("root")
    };
    let Some(missing) = missing else {
        return true;
    };
    assert!(
        std::env::var_os("REMORA_REQUIRE").is_none_or(|required| required != "all"),
        "REMORA_REQUIRE=all, and {missing} is missing"
    );
    eprintln!("skipped: a test with network namespaces needs {missing}");
    false
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path)
        .chain(system)
        .any(|folder| folder.join(program).is_file())
}

/// A network namespace, removed when dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A namespace with nothing but a loopback interface.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("remora-{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Two namespaces with a cable between them: [`LEFT`] and [`RIGHT`].
    pub(crate) fn pair() -> (Self, Self) {
        let (left, right) = (Self::new(), Self::new());
        left.ip(&[
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &right.name,
        ]);
        for (namespace, (v4, v6)) in [(&left, LEFT), (&right, RIGHT)] {
            namespace.ip(&["addr", "add", &format!("{v4}/24"), "dev", "eth0"]);
            namespace.ip(&["addr", "add", &format!("{v6}/64"), "dev", "eth0", "nodad"]);
            namespace.ip(&["link", "set", "eth0", "up"]);
        }
        (left, right)
    }

    fn ip(&self, words: &[&str]) {
        let mut all = vec!["-n", &self.name];
        all.extend(words);
        ip(&all);
    }

    /// A command that runs in this namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, words: &[&str]) -> Output {
        self.command(program)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Starts a program that is killed when the result is dropped.
    pub(crate) fn spawn(&self, program: &str, words: &[&str]) -> Running {
        let child = self
            .command(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    }

    /// Runs `work` on a thread of its own in this namespace; so do the threads that it starts.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(move || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), network).unwrap();
                work()
            });
            entered.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// A program that is killed when this is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", words.join(" "));
}

/// Asks until it is so; only a failing test waits to the end.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes the calling thread, and those that it starts, run as this user without any capability.
pub(crate) fn become_user(uid: u32) {
    let uid = rustix::process::Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
}
