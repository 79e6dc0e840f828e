//! A name with several addresses is reached by the one that answers, whichever the system prefers.

use std::path::Path;
use std::process::{Command, Stdio};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::process::{REMORA, Running, free_port};
use crate::support::{eventually, left_out, origin};

/// A name of both addresses; the first is tried first.
const NAME: &str = "two.test";

/// A listening socket that lets nobody in any more, and what keeps it so.
struct Full {
    port: u16,
    _socket: TcpListener,
    _waiting: TcpStream,
}

impl Full {
    /// Room for one connection that is not accepted, and one that takes it: to another the kernel says nothing.
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let socket = socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        Self {
            port: address.port(),
            _waiting: TcpStream::connect(address).await.unwrap(),
            _socket: socket,
        }
    }
}

/// A sidecar for which names are what `hosts` says; `None` where that takes a right that we do not have.
fn sidecar(hosts: &Path, options: &[&str]) -> Option<Running> {
    let apart = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg(format!("mount --bind \"$0\" /etc/hosts && {script}"))
            .arg(hosts)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    };
    if !apart("true").status().is_ok_and(|status| status.success()) {
        left_out("names of our own need a mount namespace");
        return None;
    }
    let mut command = apart("exec \"$@\"");
    command.arg(REMORA).args([
        "proxy",
        "--workload",
        "asker",
        "--record",
        "off",
        "--admin",
        "off",
    ]);
    Some(Running::of(command.args(options).spawn().unwrap()))
}

#[tokio::test]
async fn an_address_that_answers_nothing_does_not_keep_a_name_from_being_reached() {
    let full = Full::start().await;
    let port = full.port;
    origin::start_on(TcpListener::bind(("127.0.0.3", port)).await.unwrap());
    let (forward, mapped) = (free_port(), free_port());
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&hosts, format!("127.0.0.2 {NAME}\n127.0.0.3 {NAME}\n")).unwrap();
    let map = format!("outbound:127.0.0.1:{mapped}={NAME}:{port}");
    let options = ["--forward", &forward.to_string(), "--map", &map];
    let Some(_sidecar) = sidecar(hosts.path(), &options) else {
        return;
    };
    let curl = async |more: &[&str], url: String| {
        let mut curl = tokio::process::Command::new("curl");
        // The kernel would try the first address for two minutes.
        curl.args(["-sS", "--max-time", "20", "--noproxy", ""])
            .args(more)
            .arg(url);
        curl.output().await.unwrap()
    };
    let through_the_map = format!("http://127.0.0.1:{mapped}/map");
    let answer = eventually("the sidecar listens", || async {
        let output = curl(&[], through_the_map.clone()).await;
        // 7: nobody listens.
        (output.status.code() != Some(7)).then_some(output)
    })
    .await;
    assert_eq!(answer.stdout, b"/map", "{answer:?}");
    let proxy = format!("http://127.0.0.1:{forward}");
    for more in [&[][..], &["--proxytunnel"]] {
        let options = [&["-x", &proxy], more].concat();
        let answer = curl(&options, format!("http://{NAME}:{port}/forward")).await;
        assert_eq!(answer.stdout, b"/forward", "{answer:?}");
    }
}
