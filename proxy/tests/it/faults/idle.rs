//! Connections that were there before the fault.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{begin, calls_of, exchange, held, read, read_to_end, stop};
use crate::rig::{Rig, within};

const GET: &[u8] = b"GET /pay HTTP/1.1\r\nHost: shop\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn one_that_is_idle_is_covered_from_its_next_call_on() {
    let mut rig = Rig::start_outbound().await;
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server, GET, OK).await;
    begin(
        &rig,
        "outbound",
        json!({"status": 503}),
        json!({"first": 1}),
    );
    rig.flush().await;
    assert_eq!((held(&rig).covered, held(&rig).not_covered), (1, 0));
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    exchange(&mut client, &mut server, GET, OK).await;
    let calls = calls_of(&mut rig).await;
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.connection.ordinal,
                call.engine.as_str(),
                call.fault.is_some(),
            )
        })
        .collect();
    let expected = [
        (0, "splice", false),
        (1, "terminate", true),
        (2, "terminate", false),
    ];
    assert_eq!(told, expected);
    assert!(calls.iter().all(|call| call.error.is_none()), "{calls:?}");
}

#[tokio::test]
async fn one_that_has_said_nothing_is_covered() {
    let rig = Rig::start_outbound().await;
    let (mut client, _server) = rig.connect().await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    // The server knows of the connection before the sidecar does.
    within(async {
        while held(&rig).covered == 0 {
            rig.flush().await;
        }
    })
    .await;
    assert_eq!(held(&rig).not_covered, 0);
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
}

#[tokio::test]
async fn one_that_is_taken_over_still_passes_on_how_each_side_closes() {
    let rig = Rig::start_outbound().await;
    for is_client_first in [true, false] {
        let (mut client, mut server) = rig.connect().await;
        exchange(&mut client, &mut server, GET, OK).await;
        begin(&rig, "outbound", json!({"status": 503}), json!({}));
        rig.flush().await;
        stop(&rig);
        let (first, second) = match is_client_first {
            true => (&mut client, &mut server),
            false => (&mut server, &mut client),
        };
        first.shutdown().await.unwrap();
        assert_eq!(read_to_end(second).await, b"");
        second.shutdown().await.unwrap();
        assert_eq!(read_to_end(first).await, b"");
        let told = rig.faults.report();
        rig.faults.forget_told(&told);
    }
}

#[tokio::test]
async fn one_that_is_busy_is_covered_behind_its_answer() {
    let rig = Rig::start_outbound().await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    read(&mut server, GET.len()).await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    rig.flush().await;
    assert_eq!((held(&rig).covered, held(&rig).not_covered), (0, 1));
    server.write_all(OK).await.unwrap();
    assert_eq!(read(&mut client, OK.len()).await, OK);
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
}

#[tokio::test]
async fn one_that_the_fault_cannot_meet_goes_on() {
    let rig = Rig::start_outbound().await;
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server, GET, OK).await;
    begin(
        &rig,
        "outbound",
        json!({"status": 503}),
        json!({"filter": {"dst": "127.0.0.9"}}),
    );
    exchange(&mut client, &mut server, GET, OK).await;
    stop(&rig);
    begin(
        &rig,
        "outbound",
        json!({"status": 503}),
        json!({"first": 1}),
    );
    exchange(&mut client, &mut server, GET, OK).await;
}

#[tokio::test]
async fn one_that_speaks_something_else_goes_on_and_does_not_count() {
    let rig = Rig::start_outbound().await;
    let (mut client, mut server) = rig.connect().await;
    server.write_all(b"+OK ready\r\n").await.unwrap();
    read(&mut client, 11).await;
    exchange(&mut client, &mut server, b"USER a\r\n", b"+OK\r\n").await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    exchange(&mut client, &mut server, b"LIST\r\n", b"+OK 0\r\n").await;
    rig.flush().await;
    let told = held(&rig);
    assert_eq!((told.covered, told.not_covered), (0, 0));
}

/// Nobody knows yet whether it begins HTTP, and it cannot be taken over any more.
#[tokio::test]
async fn one_that_has_said_a_part_of_something_counts_until_it_is_clear() {
    let rig = Rig::start_outbound().await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(b"G").await.unwrap();
    read(&mut server, 1).await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    rig.flush().await;
    assert_eq!((held(&rig).covered, held(&rig).not_covered), (0, 1));
    exchange(&mut client, &mut server, b"ood day\r\n", b"Hello\r\n").await;
    rig.flush().await;
    assert_eq!((held(&rig).covered, held(&rig).not_covered), (0, 0));
}

#[tokio::test]
async fn one_of_http2_is_told_as_not_covered_until_it_ends() {
    let rig = Rig::start_outbound().await;
    let ends = crate::terminated::ends::connect_plainly(&rig).await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    rig.flush().await;
    assert_eq!((held(&rig).covered, held(&rig).not_covered), (0, 1));
    drop(ends);
    while held(&rig).not_covered > 0 {
        rig.flush().await;
    }
}

#[tokio::test]
async fn a_fault_that_was_stopped_leaves_no_trace_on_later_connections() {
    let mut rig = Rig::start_outbound().await;
    begin(&rig, "outbound", json!({"status": 503}), json!({}));
    let (mut carried, mut server) = rig.connect().await;
    carried.write_all(GET).await.unwrap();
    assert_eq!(read(&mut carried, BUSY.len()).await, BUSY);
    stop(&rig);
    exchange(&mut carried, &mut server, GET, OK).await;
    let (mut client, mut server) = rig.connect().await;
    exchange(&mut client, &mut server, GET, OK).await;
    exchange(&mut client, &mut server, GET, OK).await;
    let engines: Vec<_> = calls_of(&mut rig)
        .await
        .iter()
        .map(|call| (call.engine.as_str(), call.fault.is_some()))
        .collect();
    let expected = [
        ("terminate", true),
        ("terminate", false),
        ("splice", false),
        ("splice", false),
    ];
    assert_eq!(engines, expected);
}

/// A sidecar that was told to splice does so, and says that the fault acts on nothing.
#[tokio::test]
async fn an_inbound_fault_meets_what_the_workload_is_sent() {
    let rig = Rig::start(true).await;
    begin(&rig, "inbound", json!({"status": 503}), json!({"first": 1}));
    let (mut client, mut server) = rig.connect().await;
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut client, BUSY.len()).await, BUSY);
    exchange(&mut client, &mut server, GET, OK).await;
}
