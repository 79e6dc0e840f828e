//! Faults inside TLS that is looked into.

use remora_store::call::{CallError, EffectKind, TlsHandling, TlsReason};
use serde_json::json;
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ends::connect;
use super::*;
use crate::faults::begin;

#[test_case("--http1.1")]
#[test_case("--http2")]
#[tokio::test]
async fn a_fault_answers_for_the_server_inside_tls(version: &str) {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let effect = json!({"status": 503, "body": "not now"});
    let filter = json!({"filter": {"path_prefix": "/pay"}});
    begin(&street.rig, "outbound", effect, filter);
    let (pay, other) = (
        format!("https://{NAME}/pay"),
        format!("https://{NAME}/other"),
    );
    let mut failing = curl(street.rig.address, &[version, "--fail-with-body", &pay]);
    let (went_well, said) = street.run(&mut failing).await;
    assert!(!went_well && said.starts_with("not now"), "{said}");
    let mut spared = curl(street.rig.address, &[version, "--fail-with-body", &other]);
    let (went_well, said) = street.run(&mut spared).await;
    assert!(went_well && said.contains("/other"), "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked); 2]
    );
    let effects = calls.iter().map(|call| Some(call.fault.as_ref()?.effect));
    assert_eq!(
        effects.collect::<Vec<_>>(),
        [Some(EffectKind::Status), None]
    );
}

/// TLS says that a direction ends before the socket does, if that does.
#[tokio::test]
async fn a_client_that_takes_leave_inside_tls_ends_a_delay() {
    let (rig, mut client, mut server) = connect().await;
    begin(&rig, "outbound", json!({"delay_ms": 60_000}), json!({}));
    client
        .write_all(b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .await
        .unwrap();
    client.flush().await.unwrap();
    while rig.faults.report().held[0].touched == 0 {
        rig.flush().await;
    }
    client.get_mut().1.send_close_notify();
    client.flush().await.unwrap();
    let mut seen = Vec::new();
    within(server.read_to_end(&mut seen)).await.unwrap();
    assert_eq!(seen, b"", "the server sees no request");
    drop((client, server));
    let calls = calls_of(rig).await;
    assert_eq!(calls[0].error, Some(CallError::ClientClosed));
}

/// What has not said whether it is TLS is covered if it is none, and does not count before.
#[tokio::test]
async fn a_connection_that_has_not_begun_counts_once_it_has() {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let _server = within(listener.accept()).await.unwrap();
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    let told = async || {
        rig.flush().await;
        let report = rig.faults.report();
        (report.held[0].covered, report.held[0].not_covered)
    };
    assert_eq!(told().await, (0, 0));
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let mut got = vec![0; answer.len()];
    within(client.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, answer);
    assert_eq!(told().await, (1, 0));
}
