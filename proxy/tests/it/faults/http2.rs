//! HTTP/2 between a real client and a real server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use hyper::{Response, StatusCode};
use remora_store::call::{CallError, Detail, EffectKind, Http2, Reset, Side};
use serde_json::json;
use test_case::test_case;
use tokio::task::JoinSet;

use super::{begin, calls_of, effects, held, stop};
use crate::rig::{Rig, within};
use crate::terminated::ends::{Ends, connect_plainly, read, request};

/// One request, answered by the server.
async fn served(ends: &mut Ends, path: &str, body: &[u8]) {
    let (response, _) = ends.sender.send_request(request(path), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    down.send_data(Bytes::copy_from_slice(body), true).unwrap();
    let response = ends.serve_while(response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let got = ends
        .serve_while(async { read(&mut response.into_body()).await })
        .await;
    assert_eq!(got.unwrap().0, body);
}

#[tokio::test]
async fn the_first_streams_are_answered_by_the_sidecar_and_the_others_by_the_server() {
    let mut rig = Rig::start_outbound().await;
    let effect = json!({"status": 429, "headers": {"retry-after": "2"}, "body": "slow down"});
    begin(
        &rig,
        "outbound",
        effect,
        json!({"first": 2, "filter": {"path_prefix": "/pay"}}),
    );
    let mut ends = connect_plainly(&rig).await;
    served(&mut ends, "/other", b"abc").await;
    for has_body in [false, true] {
        let (response, mut up) = ends
            .sender
            .send_request(request("/pay"), !has_body)
            .unwrap();
        if has_body {
            // More than a window of a stream: nobody takes it.
            up.send_data(Bytes::from(vec![7; 100_000]), true).unwrap();
        }
        let response = ends.serve_while(response).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-length"], "9");
        let body = ends
            .serve_while(async { read(&mut response.into_body()).await })
            .await;
        assert_eq!(body.unwrap().0, b"slow down");
    }
    served(&mut ends, "/pay", b"paid").await;
    let mut calls = calls_of(&mut rig).await;
    calls.sort_by_key(|call| call.connection.ordinal);
    let met = Some(EffectKind::Status);
    assert_eq!(effects(&calls), [None, met, met, None]);
}

#[tokio::test]
async fn a_reset_ends_one_stream_and_no_other() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"reset": true}),
        json!({"filter": {"path_prefix": "/pay"}}),
    );
    let mut ends = connect_plainly(&rig).await;
    let (running, _up) = ends.sender.send_request(request("/runs"), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
    let err = ends.serve_while(response).await.unwrap_err();
    assert_eq!(
        (err.is_remote(), err.reason()),
        (true, Some(Reason::INTERNAL_ERROR))
    );
    respond.send_response(Response::new(()), true).unwrap();
    assert_eq!(
        ends.serve_while(running).await.unwrap().status(),
        StatusCode::OK
    );
    let calls = calls_of(&mut rig).await;
    let reset = calls.iter().find(|call| call.fault.is_some()).unwrap();
    assert_eq!(reset.error, Some(CallError::FaultReset));
    assert_eq!(
        reset.detail,
        Detail::Http2(Http2 {
            reset: Some(Reset {
                by: Side::Sidecar,
                code: Reason::INTERNAL_ERROR.into()
            }),
            pushed: false
        })
    );
}

#[tokio::test]
async fn a_delayed_stream_waits_while_others_pass() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"delay_ms": 300}),
        json!({"filter": {"path_prefix": "/pay"}}),
    );
    let mut ends = connect_plainly(&rig).await;
    let began = Instant::now();
    let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
    let (other, _) = ends.sender.send_request(request("/other"), true).unwrap();
    let mut paths = Vec::new();
    for _ in 0..2 {
        let (asked, mut respond) = ends.accept().await;
        paths.push(asked.uri().path().to_owned());
        respond.send_response(Response::new(()), true).unwrap();
    }
    assert_eq!(paths, ["/other", "/pay"]);
    assert!(began.elapsed() >= Duration::from_millis(300));
    ends.serve_while(other).await.unwrap();
    ends.serve_while(response).await.unwrap();
    assert_eq!(
        effects(&calls_of(&mut rig).await).iter().flatten().count(),
        1
    );
}

#[tokio::test]
async fn a_client_that_gives_up_during_the_delay_ends_it() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"delay_ms": 60_000}),
        json!({"first": 1}),
    );
    let mut ends = connect_plainly(&rig).await;
    let (response, mut up) = ends.sender.send_request(request("/pay"), false).unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    up.send_reset(Reason::CANCEL);
    drop(response);
    served(&mut ends, "/next", b"abc").await;
    let calls = calls_of(&mut rig).await;
    assert_eq!(calls[0].error, Some(CallError::ClientCancelled));
    assert_eq!(effects(&calls), [Some(EffectKind::Delay), None]);
}

#[tokio::test]
async fn a_body_passes_whole_at_the_rate_that_was_asked_for() {
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"bytes_per_second": 1_000_000}),
        json!({"first": 1}),
    );
    let mut ends = connect_plainly(&rig).await;
    let began = Instant::now();
    // Several windows of a stream.
    let body = vec![7; 500_000];
    served_large(&mut ends, &body).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    served(&mut ends, "/pay", b"abc").await;
}

async fn served_large(ends: &mut Ends, body: &[u8]) {
    let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    down.send_data(Bytes::copy_from_slice(body), true).unwrap();
    let response = ends.serve_while(response).await.unwrap();
    let got = ends
        .serve_while(async { read(&mut response.into_body()).await })
        .await;
    assert_eq!(got.unwrap().0, body);
}

#[tokio::test]
async fn sixty_four_connections_share_the_count() {
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"status": 503}),
        json!({"first": 100}),
    );
    let mut asking = JoinSet::new();
    for _ in 0..64 {
        let mut ends = connect_plainly(&rig).await;
        asking.spawn(async move {
            let (_driving, mut serving) = (ends.driving, ends.serving);
            let server = tokio::spawn(async move {
                while let Some(Ok((_, mut respond))) = serving.accept().await {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            });
            let mut met = 0;
            for _ in 0..10 {
                let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
                let response = within(response).await.unwrap();
                met += usize::from(response.status() == StatusCode::SERVICE_UNAVAILABLE);
            }
            server.abort();
            met
        });
    }
    let met: usize = asking.join_all().await.into_iter().sum();
    assert_eq!((met, held(&rig).touched), (100, 100));
}

#[tokio::test]
async fn a_delay_ends_with_its_fault() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"delay_ms": 60_000}), json!({}));
    let mut ends = connect_plainly(&rig).await;
    let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    stop(&rig);
    let (_, mut respond) = ends.accept().await;
    respond.send_response(Response::new(()), true).unwrap();
    let response = ends.serve_while(response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Both windows of a connection, the client's of 64 KiB and the sidecar's own, are for all of its streams.
#[test_case(4; "as many as fill the window of the client")]
#[test_case(20; "as many as fill the window of the sidecar")]
#[tokio::test]
async fn throttled_streams_do_not_hold_up_the_others(streams: usize) {
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"bytes_per_second": 1}),
        json!({"filter": {"path_prefix": "/pay"}}),
    );
    let mut ends = connect_plainly(&rig).await;
    let mut throttled = Vec::new();
    for _ in 0..streams {
        let (response, _) = ends.sender.send_request(request("/pay"), true).unwrap();
        let (_, mut respond) = ends.accept().await;
        let mut down = respond.send_response(Response::new(()), false).unwrap();
        down.send_data(Bytes::from(vec![7; 100_000]), true).unwrap();
        let response = ends.serve_while(response).await.unwrap();
        let mut body = response.into_body();
        let first = ends.serve_while(body.data()).await.unwrap().unwrap();
        assert_eq!(first.len(), 1);
        throttled.push(body);
    }
    served(&mut ends, "/other", &[7; 20_000]).await;
}
