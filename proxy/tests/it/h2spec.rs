//! Conformance of the listening side to HTTP/2, by h2spec.

use std::net::SocketAddr;
use std::process::Stdio;

use bytes::Bytes;
use h2::server;
use hyper::{Method, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::rig::Rig;

/// What h2spec asks for, read to its end and answered.
async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream));
    }
}

async fn answer(stream: TcpStream) -> Option<()> {
    let mut serving = server::handshake(stream).await.ok()?;
    while let Some(accepted) = serving.accept().await {
        let (request, mut respond) = accepted.ok()?;
        tokio::spawn(async move {
            let is_head = request.method() == Method::HEAD;
            let mut body = request.into_body();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
            }
            let mut down = respond.send_response(Response::new(()), is_head).ok()?;
            if is_head {
                return None;
            }
            down.send_data(Bytes::from_static(b"conforming"), true).ok()
        });
    }
    None
}

/// Titles of the cases that fail.
async fn failures(address: SocketAddr) -> Vec<String> {
    let report = tempfile::NamedTempFile::new().unwrap();
    let port = address.port().to_string();
    let status = Command::new("h2spec")
        .args(["--port", &port, "--timeout", "15"])
        .args(["--strict", "--junit-report"])
        .arg(report.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.code().is_some(), "h2spec was killed");
    let report = std::fs::read_to_string(report.path()).unwrap();
    let cases = report.split("<testcase ").skip(1);
    let mut count = 0;
    let failed = cases
        .inspect(|_| count += 1)
        .filter(|case| case.contains("<failure") || case.contains("<error"))
        .map(|case| {
            format!(
                "{}: {}",
                attribute(case, "package"),
                attribute(case, "classname")
            )
        })
        .collect();
    assert!(count > 100, "{count} cases");
    failed
}

fn attribute<'a>(case: &'a str, name: &str) -> &'a str {
    let start = case.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    let rest = &case[start..];
    &rest[..rest.find('"').unwrap()]
}

#[tokio::test]
async fn the_listening_side_conforms_but_for_a_known_list() {
    let found = Command::new("h2spec").arg("--version").output().await;
    if found.is_err() {
        let required = std::env::var_os("REMORA_REQUIRE").is_some_and(|what| what == "all");
        assert!(!required, "REMORA_REQUIRE=all, and h2spec is missing");
        eprintln!("skipped: conformance to HTTP/2 is tested with h2spec");
        return;
    }
    let rig = Rig::start_terminating().await;
    let address = rig.address;
    let Rig { server, .. } = rig;
    let serving = tokio::spawn(serve(server));
    let failures = failures(address).await;
    serving.abort();
    insta::assert_snapshot!(failures.join("\n"));
}
