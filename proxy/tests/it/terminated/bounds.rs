//! What comes without end, or against the rules, ends the connection and holds nobody up.

use h2::{Reason, client, server};
use hyper::{Response, StatusCode};
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ends::{connect, connect_plainly, read, request};
use crate::rig::{Rig, within};

#[tokio::test]
async fn interim_responses_without_end_are_cut_off() {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    let mut head = [0; 1024];
    let _ = within(server.read(&mut head)).await.unwrap();
    // The client reads nothing, so this ends only where somebody refuses to hold more.
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1_000);
    within(async { while server.write_all(&hints).await.is_ok() {} }).await;
}

#[test_case("00000000000000003\r\nabc\r\n0\r\n\r\n"; "a size of many digits")]
#[test_case("zz\r\nabc\r\n0\r\n\r\n"; "a size that is no number")]
#[test_case("3\r\nabc\r\n0\r\nX: y\n\r\n"; "a trailer that ends with a line feed alone")]
#[test_case("3\r\nabc\r\n0\r\n\n"; "an end that is a line feed alone")]
#[tokio::test]
async fn chunks_that_are_none_end_the_connection_and_not_only_the_request(body: &str) {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: shop\r\n\r\n";
    let sent = format!("{head}{body}{next}");
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    // Whether it is closed or reset: it is over.
    let _ = within(server.read_to_end(&mut seen)).await;
    let seen = String::from_utf8_lossy(&seen);
    assert!(!seen.contains("GET /next"), "{seen}");
    let mut told = Vec::new();
    let _ = within(client.read_to_end(&mut told)).await;
    assert_eq!(String::from_utf8_lossy(&told), "");
}

#[tokio::test]
async fn a_stream_of_too_many_interim_responses_is_reset() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, _) = ends.sender.send_request(request("/"), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    for _ in 0..200 {
        let hint = Response::builder().status(StatusCode::EARLY_HINTS).body(());
        if respond.send_informational(hint.unwrap()).is_err() {
            break;
        }
    }
    let ended = ends.serve_while(response).await;
    let reason = ended.err().and_then(|err| err.reason());
    assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
}

/// Whatever a window allows may come to lie in the sidecar, so that one that is not needed is narrow.
#[tokio::test]
async fn a_connection_begins_with_a_window_of_a_few_streams() {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut preface = [0; 24];
    within(server.read_exact(&mut preface)).await.unwrap();
    let widened_by = within(async {
        loop {
            let mut head = [0; 9];
            server.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            server.read_exact(&mut payload).await.unwrap();
            // WINDOW_UPDATE of the connection (RFC 9113 section 6.9).
            if (head[3], &head[5..]) == (8, &[0; 4]) {
                return u32::from_be_bytes(payload.try_into().unwrap());
            }
        }
    })
    .await;
    assert_eq!(65_535 + widened_by, 4 * 65_535);
}

/// The client has room for all of it, and its streams do not: what is left lies in the sidecar.
#[tokio::test]
async fn streams_that_nobody_reads_do_not_hold_up_the_others() {
    let rig = Rig::start_terminating().await;
    let mut roomy = client::Builder::new();
    roomy.initial_connection_window_size(4 << 20);
    let mut ends = connect(&rig, server::Builder::new(), roomy).await;
    let mut unread = Vec::new();
    for _ in 0..12 {
        let (response, _) = ends.sender.send_request(request("/unread"), true).unwrap();
        let (_, mut respond) = ends.accept().await;
        let mut down = respond.send_response(Response::new(()), false).unwrap();
        down.send_data(vec![7; 130_000].into(), true).unwrap();
        unread.push(ends.serve_while(response).await.unwrap());
    }
    let (response, _) = ends.sender.send_request(request("/read"), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    down.send_data(vec![7; 60_000].into(), true).unwrap();
    let mut body = ends.serve_while(response).await.unwrap().into_body();
    let got = ends.serve_while(read(&mut body)).await.unwrap();
    assert_eq!(got.0.len(), 60_000);
}

#[tokio::test]
async fn a_client_is_told_a_limit_of_streams_whatever_the_server_says() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect(&rig, server::Builder::new(), client::Builder::new()).await;
    // With the answer to a request the settings have come.
    let (response, _) = ends.sender.send_request(request("/"), true).unwrap();
    let (_, mut respond) = ends.accept().await;
    respond.send_response(Response::new(()), true).unwrap();
    assert_eq!(ends.serve_while(response).await.unwrap().status(), 200);
    assert_eq!(ends.sender.current_max_send_streams(), 1_000);
}

#[tokio::test]
async fn a_client_that_goes_before_the_server_said_anything_is_not_kept() {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut preface = [0; 24];
    within(server.read_exact(&mut preface)).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let mut rest = Vec::new();
    // Whether it is told by a close or a reset: the server learns of it.
    let _ = within(server.read_to_end(&mut rest)).await;
}
