//! A server that goes away while a fault is at work: nothing of what the fault does is lost to that.

use std::io;
use std::time::{Duration, Instant};

use remora_store::call::{CallError, EffectKind};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http1::{BUSY, GET, busy};
use super::{begin, calls_of, effects, held, read, read_to_end};
use crate::rig::{Rig, within};

#[tokio::test]
async fn a_server_that_closes_meanwhile_does_not_cut_a_delay_short() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"delay_ms": 300}), json!({}));
    let (mut client, mut server) = rig.connect().await;
    let began = Instant::now();
    client.write_all(GET).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    server.shutdown().await.unwrap();
    assert_eq!(read(&mut server, GET.len()).await, GET);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(read_to_end(&mut client).await, b"");
    drop((client, server));
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Delay)]);
}

#[tokio::test]
async fn a_server_that_closes_during_an_upload_does_not_take_the_answer_away() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({}));
    let (mut client, mut server) = rig.connect().await;
    let start = b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";
    client.write_all(start).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    server.shutdown().await.unwrap();
    // The sidecar has seen the close by the time that it has carried another connection.
    let (mut other, _open) = rig.connect().await;
    other.write_all(GET).await.unwrap();
    assert_eq!(read(&mut other, BUSY.len()).await, BUSY);
    client.write_all(b"def").await.unwrap();
    assert_eq!(read_to_end(&mut client).await, BUSY);
    drop(client);
    assert_eq!(read_to_end(&mut server).await, b"");
}

#[tokio::test]
async fn a_server_that_resets_meanwhile_does_not_cut_a_delay_short() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"delay_ms": 300}), json!({}));
    let (mut client, server) = rig.connect().await;
    let began = Instant::now();
    client.write_all(GET).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    reset(server);
    let err = within(client.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Delay)]);
    assert_eq!(calls[0].error, Some(CallError::ServerReset));
}

#[tokio::test]
async fn a_server_that_resets_during_an_upload_does_not_take_the_answer_away() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({}));
    let (mut client, server) = rig.connect().await;
    let start = b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";
    client.write_all(start).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    reset(server);
    // The sidecar has seen the reset by the time that it has carried another connection.
    let (mut other, _open) = rig.connect().await;
    other.write_all(GET).await.unwrap();
    assert_eq!(read(&mut other, BUSY.len()).await, BUSY);
    client.write_all(b"def").await.unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    let err = within(client.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_server_that_resets_takes_nothing_from_a_response_that_is_slowed_down() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"bytes_per_second": 1_000}),
        json!({}),
    );
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    read(&mut server, GET.len()).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n";
    let response = format!("{head}{}", "x".repeat(300));
    server.write_all(response.as_bytes()).await.unwrap();
    let start = read(&mut client, head.len() + 1).await;
    reset(server);
    let rest = read(&mut client, 299).await;
    assert_eq!([start, rest].concat(), response.as_bytes());
    let err = within(client.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Throttle)]);
    assert_eq!(calls[0].error, None);
}

/// Closes a connection with a reset.
fn reset(end: TcpStream) {
    end.set_zero_linger().unwrap();
}
