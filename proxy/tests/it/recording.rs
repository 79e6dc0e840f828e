//! What the recorder hands over, and when.

use remora_proxy::record::Batch;
use remora_store::call::{Call, CallError, Protocol, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Rig, within};

const REQUEST: &[u8] = b"GET /orders/7 HTTP/1.1\r\nHost: shop\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    client.write_all(REQUEST).await.unwrap();
    within(server.read_exact(&mut [0; REQUEST.len()]))
        .await
        .unwrap();
    server.write_all(RESPONSE).await.unwrap();
    within(client.read_exact(&mut [0; RESPONSE.len()]))
        .await
        .unwrap();
}

/// The first batch for which `wanted` gives something.
async fn batch_with<T>(rig: &mut Rig, wanted: impl Fn(Batch) -> Option<T>) -> T {
    loop {
        let batch = within(rig.batches.recv()).await.unwrap();
        if let Some(found) = wanted(batch) {
            return found;
        }
    }
}

async fn finished_call(rig: &mut Rig) -> Call {
    batch_with(rig, |mut batch| batch.calls.pop()).await.call
}

#[tokio::test]
async fn a_finished_call_is_handed_over_without_being_asked_for() {
    let mut rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server).await;
    let call = finished_call(&mut rig).await;
    assert_eq!(call.protocol, Protocol::Http1);
    assert_eq!(call.request.head, REQUEST);
    assert_eq!(&call.response.body[..], b"ok");
    assert_eq!(call.src, client.local_addr().unwrap());
    assert_eq!(call.dst, rig.address);
    assert_eq!(
        call.connection.forwarded_from,
        Some(server.peer_addr().unwrap())
    );
    assert!(call.phases.connected < call.phases.request_first);
    assert!(call.phases.request_last <= call.phases.response_first);
}

#[tokio::test]
async fn a_flush_is_answered_after_what_was_observed_was_handed_over() {
    let mut rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    for _ in 0..3 {
        exchange(&mut client, &mut server).await;
    }
    rig.flush().await;
    let mut calls = 0;
    while let Ok(batch) = rig.batches.try_recv() {
        calls += batch.calls.len();
    }
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn a_call_that_runs_is_told_of_until_it_ends() {
    let mut rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(REQUEST).await.unwrap();
    within(server.read_exact(&mut [0; REQUEST.len()]))
        .await
        .unwrap();
    let open = batch_with(&mut rig, |batch| batch.open).await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].request.head, REQUEST);
    server.write_all(RESPONSE).await.unwrap();
    let none_open = |batch: Batch| batch.open.filter(Vec::is_empty);
    batch_with(&mut rig, none_open).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_gives_a_record() {
    let mut rig = Rig::start_towards_nothing().await;
    rig.connect_in_vain().await;
    let call = finished_call(&mut rig).await;
    assert_eq!(call.error, Some(CallError::ConnectRefused));
}

#[tokio::test]
async fn calls_that_run_when_the_sidecar_stops_are_recorded_as_they_are() {
    let rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(REQUEST).await.unwrap();
    within(server.read_exact(&mut [0; REQUEST.len()]))
        .await
        .unwrap();
    let mut batches = rig.stop().await;
    let mut calls = Vec::new();
    while let Some(batch) = batches.recv().await {
        calls.extend(batch.calls);
    }
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].call.error, Some(CallError::SidecarStopped));
    assert_eq!(calls[0].call.closed_by, Some(Side::Sidecar));
}
