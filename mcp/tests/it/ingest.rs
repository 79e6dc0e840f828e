//! Blocks in: what is kept, and what is refused whole.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::Method;

use crate::http::{send, send_raw};
use crate::hub::{INCARNATION, TestHub, framed, post_blocks};
use crate::shop::{block, blocks, inbound, origin};

async fn calls_kept(hub: &TestHub) -> u64 {
    hub.get("/api/v1/status").await.json()["store"]["calls"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn blocks_are_kept_once_however_often_they_come() {
    let hub = TestHub::start().await;
    let answer = hub.ingest(&blocks()).await;
    assert_eq!(answer.text(), r#"{"stored":2,"duplicates":0}"#);
    let answer = hub.ingest(&blocks()).await;
    assert_eq!(answer.text(), r#"{"stored":0,"duplicates":2}"#);
    assert_eq!(calls_kept(&hub).await, 30);
}

#[tokio::test]
async fn one_bad_block_is_named_and_nothing_of_the_request_is_kept() {
    let hub = TestHub::start().await;
    let mut damaged = BytesMut::from(&blocks()[1][..]);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let answer = hub.ingest(&[blocks()[0].clone(), damaged.freeze()]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (400, "bad_block")
    );
    assert_eq!(answer.json()["error"]["index"], 1);
    assert_eq!(calls_kept(&hub).await, 0);
}

#[tokio::test]
async fn frames_that_do_not_fit_are_refused() {
    let hub = TestHub::start().await;
    let cut = framed(&blocks()).slice(..100);
    let mut huge = BytesMut::new();
    huge.put_u32_le(u32::MAX);
    let mut endless = BytesMut::new();
    (0..5_000).for_each(|_| endless.put_u32_le(0));
    for (body, code) in [
        (Bytes::new(), "no_blocks"),
        (Bytes::from_static(b"\x01\x00"), "bad_block"),
        (cut, "bad_block"),
        (huge.freeze(), "bad_block"),
        (endless.freeze(), "bad_block"),
        (Bytes::from(vec![0x41; 1_000_000]), "bad_block"),
    ] {
        let answer = post_blocks(hub.ingest_address(), body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (400, code)
        );
    }
}

#[tokio::test]
async fn a_request_that_says_it_is_too_large_is_refused_before_it_is_read() {
    let hub = TestHub::start().await;
    let head = format!(
        "POST /ingest/v1/blocks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/vnd.remora.blocks\r\n\
         X-Remora-Incarnation: {INCARNATION}\r\nContent-Length: 99999999\r\n\r\n"
    );
    let answer = send_raw(hub.ingest_address(), head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_request_that_does_not_say_how_large_it_is_is_read_up_to_the_limit() {
    let hub = TestHub::start().await;
    let mut request = format!(
        "POST /ingest/v1/blocks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/vnd.remora.blocks\r\n\
         X-Remora-Incarnation: {INCARNATION}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..9 {
        request.extend_from_slice(b"100000\r\n");
        request.resize(request.len() + 0x10_0000, 0);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = send_raw(hub.ingest_address(), &request).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    assert_eq!(calls_kept(&hub).await, 0);
}

#[tokio::test]
async fn what_is_not_called_blocks_is_refused() {
    let hub = TestHub::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("x-remora-incarnation", INCARNATION),
    ];
    let answer = send(
        hub.ingest_address(),
        Method::POST,
        "/ingest/v1/blocks",
        &headers,
        framed(&blocks()),
    )
    .await;
    assert_eq!(answer.status, 415);
    let headers = [
        ("content-type", "application/vnd.remora.blocks"),
        ("x-remora-incarnation", "me"),
    ];
    let answer = send(
        hub.ingest_address(),
        Method::POST,
        "/ingest/v1/blocks",
        &headers,
        framed(&blocks()),
    )
    .await;
    assert_eq!(answer.json()["error"]["field"], "x-remora-incarnation");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let hub = TestHub::start().await;
    let head = format!(
        "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    for address in [hub.api_address(), hub.ingest_address()] {
        let answer = send_raw(address, head.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_gap_in_the_sequence_is_a_loss_that_answers_tell() {
    let hub = TestHub::start().await;
    let calls = inbound();
    hub.ingest(&[
        block(origin("orders", 0xaa), 1, &calls[..2]),
        block(origin("orders", 0xaa), 4, &calls[2..4]),
    ])
    .await;
    let coverage = hub.get("/api/v1/calls?limit=1").await.json()["coverage"].clone();
    assert_eq!(coverage["missing_blocks"], 2);
}
