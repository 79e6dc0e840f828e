//! A name with several addresses is reached by the one that answers, whichever the system prefers.

use std::process::Command;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::process::{REMORA, Running, free_port};
use crate::support::{eventually, hosts, origin};

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

#[tokio::test]
async fn an_address_that_answers_nothing_does_not_keep_a_name_from_being_reached() {
    let full = Full::start().await;
    let port = full.port;
    origin::start_on(TcpListener::bind(("127.0.0.3", port)).await.unwrap());
    let (forward, mapped) = (free_port(), free_port());
    let names = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&names, format!("127.0.0.2 {NAME}\n127.0.0.3 {NAME}\n")).unwrap();
    let map = format!("outbound:127.0.0.1:{mapped}={NAME}:{port}");
    let mut sidecar = Command::new(REMORA);
    sidecar
        .args(["proxy", "--workload", "asker", "--record", "off"])
        .args(["--admin", "off", "--map", &map])
        .args(["--forward", &forward.to_string()]);
    let Some(mut sidecar) = hosts::named_by(names.path(), &sidecar) else {
        return;
    };
    let _sidecar = Running::of(sidecar.spawn().unwrap());
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
