//! HTTP/1, byte by byte.

use std::io;
use std::time::{Duration, Instant};

use remora_store::call::{CallError, EffectKind, Engine, Side};
use serde_json::json;
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{begin, calls_of, effects, exchange, held, read, read_to_end, stop};
use crate::rig::{Rig, within};

pub(super) const GET: &[u8] = b"GET /pay HTTP/1.1\r\nhOST: shop\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok";
pub(super) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy";
const BUSY_LAST: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";

pub(super) fn busy() -> serde_json::Value {
    json!({"status": 503, "headers": {"Retry-After": "1"}, "body": "busy"})
}

#[tokio::test]
async fn the_first_calls_are_answered_by_the_sidecar_and_the_others_by_the_server() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({"first": 3}));
    let (mut client, mut server) = rig.connect().await;
    for _ in 0..3 {
        client.write_all(GET).await.unwrap();
        assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    }
    // The server has seen nothing of those before, and nothing is left of the fault.
    exchange(&mut client, &mut server, GET, OK).await;
    exchange(&mut client, &mut server, GET, OK).await;
    let calls = calls_of(&mut rig).await;
    let met = Some(EffectKind::Status);
    assert_eq!(effects(&calls), [met, met, met, None, None]);
    assert!(
        calls
            .iter()
            .all(|call| call.error.is_none() && call.engine == Engine::Terminate)
    );
    assert_eq!(calls[0].response.head, &BUSY[..BUSY.len() - 4]);
    assert_eq!(held(&rig).touched, 3);
}

#[tokio::test]
async fn sixty_four_connections_share_the_count() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({"first": 100}));
    let mut pairs = JoinSet::new();
    for _ in 0..64 {
        let (mut client, mut server) = rig.connect().await;
        pairs.spawn(async move {
            let mut served = JoinSet::new();
            served.spawn(async move {
                while server.read_exact(&mut [0; GET.len()]).await.is_ok() {
                    server.write_all(OK).await.unwrap();
                }
            });
            let mut met = 0;
            for _ in 0..10 {
                client.write_all(GET).await.unwrap();
                let start = read(&mut client, OK.len()).await;
                if start != OK {
                    let rest = read(&mut client, BUSY.len() - OK.len()).await;
                    assert_eq!([start, rest].concat(), BUSY);
                    met += 1;
                }
            }
            met
        });
    }
    let met: usize = pairs.join_all().await.into_iter().sum();
    assert_eq!((met, held(&rig).touched), (100, 100));
    let calls = calls_of(&mut rig).await;
    assert_eq!(calls.len(), 640);
    assert_eq!(effects(&calls).iter().flatten().count(), 100);
}

#[tokio::test]
async fn what_the_filter_does_not_mean_is_left_alone() {
    let mut rig = Rig::start_outbound().await;
    let filter =
        json!({"filter": {"path_prefix": "/pay", "method": "POST", "header": "x-user: 7"}});
    begin(&rig, "outbound", busy(), filter);
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server, GET, OK).await;
    let other = b"POST /pay/1 HTTP/1.1\r\nX-User: 8\r\nContent-Length: 3\r\n\r\nabc";
    exchange(&mut client, &mut server, other, OK).await;
    client
        .write_all(b"POST /pay/1 HTTP/1.1\r\nX-User: 7\r\nContent-Length: 3\r\n\r\nabc")
        .await
        .unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    exchange(&mut client, &mut server, GET, OK).await;
    assert_eq!(held(&rig).touched, 1);
    let calls = calls_of(&mut rig).await;
    assert_eq!(calls[2].request.body, "abc");
}

#[test_case(b"GET / HTTP/1.0\r\n\r\n"; "an old client")]
#[test_case(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"; "a client that wants no more")]
#[test_case(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"; "a client that holds its body back")]
#[tokio::test]
async fn the_connection_ends_where_nothing_may_follow(request: &[u8]) {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({}));
    let (mut client, mut server) = rig.connect().await;
    client.write_all(request).await.unwrap();
    assert_eq!(read_to_end(&mut client).await, BUSY_LAST);
    drop(client);
    assert_eq!(read_to_end(&mut server).await, b"");
    rig.stop().await;
}

/// A body that is longer than what is read out does not keep the client from its answer.
#[tokio::test]
async fn a_large_upload_is_answered() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({}));
    let (client, _server) = rig.connect().await;
    let (mut from, mut to) = client.into_split();
    let sending = tokio::spawn(async move {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n";
        to.write_all(head).await?;
        to.write_all(&vec![7; 8_000_000]).await
    });
    let mut answer = Vec::new();
    within(from.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, BUSY_LAST);
    within(sending).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_with_a_body_is_read_out_and_the_connection_goes_on() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({"first": 2}));
    let (mut client, mut server) = rig.connect().await;
    let sized = [
        &b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"[..],
        &[b'x'; 200_000],
    ]
    .concat();
    let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n";
    for request in [&sized[..], &chunked[..]] {
        client.write_all(request).await.unwrap();
        assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    }
    exchange(&mut client, &mut server, GET, OK).await;
}

#[tokio::test]
async fn a_question_about_the_head_is_answered_without_a_body() {
    let rig = Rig::start_outbound().await;
    begin(&rig, "outbound", busy(), json!({"first": 1}));
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let head = &BUSY[..BUSY.len() - 4];
    assert_eq!(read(&mut client, head.len()).await, head);
    exchange(&mut client, &mut server, GET, OK).await;
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"status": 204}),
        json!({"filter": {"path_prefix": "/none"}}),
    );
    let (mut client, mut server) = rig.connect().await;
    let none = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    client
        .write_all(&[GET, none, GET, none].concat())
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(read(&mut server, GET.len()).await, GET);
        server.write_all(OK).await.unwrap();
    }
    let expected = [OK, b"HTTP/1.1 204 No Content\r\n\r\n"].concat();
    assert_eq!(
        read(&mut client, 2 * expected.len()).await,
        expected.repeat(2)
    );
    let met = Some(EffectKind::Status);
    assert_eq!(effects(&calls_of(&mut rig).await), [None, met, None, met]);
}

#[tokio::test]
async fn a_reset_is_seen_by_the_client_and_not_blamed_on_the_server() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"reset": true}),
        json!({"first": 1}),
    );
    let (mut client, _server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    let err = within(client.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server, GET, OK).await;
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Reset), None]);
    assert_eq!(calls[0].error, Some(CallError::FaultReset));
    assert_eq!(calls[0].closed_by, Some(Side::Sidecar));
}

#[tokio::test]
async fn a_delay_holds_the_request_back_and_changes_nothing_else() {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"delay_ms": 300}),
        json!({"first": 1}),
    );
    let (mut client, mut server) = rig.connect().await;
    let request = b"POST /pay HTTP/1.1\r\nhOST: shop\r\nContent-Length: 3\r\n\r\nabc";
    let began = Instant::now();
    exchange(&mut client, &mut server, request, OK).await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Delay)]);
    assert!(calls[0].phases.latency_ns().unwrap() >= 300_000_000);
}

#[test_case(GET; "with its request alone")]
#[test_case(b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"; "with a body that waits")]
#[test_case(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"; "with a request that waits behind")]
#[tokio::test]
async fn a_client_that_goes_away_during_the_delay_ends_it(sent: &[u8]) {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"delay_ms": 60_000}), json!({}));
    let (mut client, mut server) = rig.connect().await;
    client.write_all(sent).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    drop(client);
    assert_eq!(
        read_to_end(&mut server).await,
        b"",
        "the server sees no request"
    );
    let calls = calls_of(&mut rig).await;
    assert_eq!(calls[0].error, Some(CallError::ClientClosed));
    assert_eq!(effects(&calls)[0], Some(EffectKind::Delay));
}

#[test_case("Content-Length: 500\r\n\r\n", ""; "of known length")]
#[test_case("Transfer-Encoding: chunked\r\n\r\n1f4\r\n", "\r\n0\r\n\r\n"; "in chunks")]
#[tokio::test]
async fn a_body_passes_whole_at_the_rate_that_was_asked_for(start: &str, end: &str) {
    let mut rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"bytes_per_second": 1_000}),
        json!({"first": 1}),
    );
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    read(&mut server, GET.len()).await;
    let response = format!("HTTP/1.1 200 OK\r\n{start}{}{end}", "x".repeat(500));
    let began = Instant::now();
    server.write_all(response.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while got.iter().filter(|byte| **byte == b'x').count() < 500 {
        within(client.read_buf(&mut got)).await.unwrap();
    }
    // The last piece of 50 ms is not waited for.
    assert!(began.elapsed() >= Duration::from_millis(400));
    stop(&rig);
    if end.is_empty() {
        assert_eq!(got, response.as_bytes());
        exchange(&mut client, &mut server, GET, OK).await;
        let calls = calls_of(&mut rig).await;
        assert_eq!(effects(&calls), [Some(EffectKind::Throttle), None]);
    }
}

/// The server has opened no tunnel: what a client says in one reaches nobody.
#[tokio::test]
async fn a_tunnel_that_a_fault_grants_leads_nowhere() {
    let rig = Rig::start_outbound().await;
    let effect = json!({"status": 200, "body": "welcome"});
    begin(&rig, "outbound", effect, json!({"first": 1}));
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nhello")
        .await
        .unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    assert_eq!(read_to_end(&mut client).await, answer);
    drop(client);
    assert_eq!(read_to_end(&mut server).await, b"");
}

#[tokio::test]
async fn a_delay_ends_with_its_fault() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"delay_ms": 60_000}), json!({}));
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    while held(&rig).touched == 0 {
        rig.flush().await;
    }
    stop(&rig);
    assert_eq!(read(&mut server, GET.len()).await, GET);
    server.write_all(OK).await.unwrap();
    assert_eq!(read(&mut client, OK.len()).await, OK);
    let calls = calls_of(&mut rig).await;
    assert_eq!(effects(&calls), [Some(EffectKind::Delay)]);
}

#[tokio::test]
async fn a_throttle_ends_with_its_fault() {
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"bytes_per_second": 1}),
        json!({"first": 1}),
    );
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    read(&mut server, GET.len()).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let response = format!("{head}{}", "x".repeat(5_000));
    server.write_all(response.as_bytes()).await.unwrap();
    let start = read(&mut client, head.len() + 1).await;
    stop(&rig);
    let rest = read(&mut client, 4_999).await;
    assert_eq!([start, rest].concat(), response.as_bytes());
    exchange(&mut client, &mut server, GET, OK).await;
}
