//! The forward proxy, asked by bytes and by curl.

use std::net::SocketAddr;

use remora_store::call::{Call, CallError, Engine, Leg, Protocol};
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;

use crate::rig::{Rig, within};

mod refusals;

/// What the origin answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a proxy is asked, and what the origin gets of it.
const GET: &str = "GET http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n";
const GOT: &str = "GET / HTTP/1.1\r\nHost: ORIGIN\r\n\r\n";

async fn client(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.address).await.unwrap()
}

/// A text in which `ORIGIN` stands for the address of the rig's server.
fn about_origin(rig: &Rig, text: &str) -> Vec<u8> {
    let origin = rig.server.local_addr().unwrap();
    text.replace("ORIGIN", &origin.to_string()).into_bytes()
}

/// A proxy that was asked so: its client's connection, and the one that it made for it.
async fn asked(request: &str) -> (Rig, TcpStream, TcpStream) {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    let request = about_origin(&rig, request);
    client.write_all(&request).await.unwrap();
    let (server, _) = within(rig.server.accept()).await.unwrap();
    (rig, client, server)
}

/// Reads as many bytes as `expected` has, which have to be the same.
async fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    within(stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&read),
        String::from_utf8_lossy(expected)
    );
}

/// Reads until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    within(stream.read_to_end(&mut read)).await.unwrap();
    String::from_utf8(read).unwrap()
}

async fn stopped(rig: Rig) -> Vec<Call> {
    let mut batches = rig.stop().await;
    let mut calls = Vec::new();
    while let Some(batch) = batches.recv().await {
        calls.extend(batch.calls.into_iter().map(|recorded| recorded.call));
    }
    calls
}

fn start_line(call: &Call) -> String {
    let head = String::from_utf8_lossy(&call.request.head);
    head.lines().next().unwrap_or_default().to_owned()
}

/// A server that answers every request on a connection alike.
fn answering(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut room = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut room).await {
                    seen.extend_from_slice(&room[..count]);
                    while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                        seen.drain(..end + 4);
                        stream.write_all(ANSWER).await.unwrap();
                    }
                }
            });
        }
    });
}

#[test_case("splice", Engine::Splice)]
#[test_case("terminate", Engine::Terminate)]
#[tokio::test]
async fn a_request_in_absolute_form_reaches_its_origin_in_origin_form(
    engine: &str,
    carried: Engine,
) {
    let rig = Rig::start_forward(engine).await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let own = client.local_addr().unwrap();
    let request = format!(
        "POST http://{origin}/a?b HTTP/1.1\r\nx-Odd:  1\r\nHost: {origin}\r\nProxy-Connection: Keep-Alive\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    let seen = format!(
        "POST /a?b HTTP/1.1\r\nx-Odd:  1\r\nHost: {origin}\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nt: 1\r\n\r\n"
    );
    expect(&mut server, seen.as_bytes()).await;
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, "");
    drop(server);
    assert_eq!(rest(&mut client).await, "");

    let calls = stopped(rig).await;
    let [call] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!((call.leg, call.engine), (Leg::Outbound, carried));
    assert_eq!((call.src, call.dst), (own, origin));
    assert_eq!(call.protocol, Protocol::Http1);
    assert_eq!(
        (&call.request.body[..], &call.response.body[..]),
        (&b"abc"[..], &b"ok"[..])
    );
    assert_eq!(start_line(call), "POST /a?b HTTP/1.1");
    assert_eq!(call.error, None);
}

#[tokio::test]
async fn one_connection_asks_two_origins_in_turn_and_each_keeps_its_own() {
    let rig = Rig::start_forward("auto").await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (first, second) = (
        rig.server.local_addr().unwrap(),
        other.local_addr().unwrap(),
    );
    answering(other);
    let mut client = client(&rig).await;
    let ask = |origin: SocketAddr, path: &str| {
        format!("GET http://{origin}{path} HTTP/1.1\r\nHost: {origin}\r\n\r\n").into_bytes()
    };
    client.write_all(&ask(first, "/1")).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    expect(
        &mut server,
        format!("GET /1 HTTP/1.1\r\nHost: {first}\r\n\r\n").as_bytes(),
    )
    .await;
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
    // Pipelined: the second goes elsewhere, the third back.
    client
        .write_all(&[ask(second, "/2"), ask(first, "/3")].concat())
        .await
        .unwrap();
    expect(&mut client, ANSWER).await;
    expect(
        &mut server,
        format!("GET /3 HTTP/1.1\r\nHost: {first}\r\n\r\n").as_bytes(),
    )
    .await;
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
    drop((client, server));

    let calls = stopped(rig).await;
    let mut seen: Vec<_> = calls
        .iter()
        .map(|call| (start_line(call), call.dst, call.connection.ordinal))
        .collect();
    seen.sort();
    let line = |path: &str| format!("GET {path} HTTP/1.1");
    assert_eq!(
        seen,
        [
            (line("/1"), first, 0),
            (line("/2"), second, 0),
            (line("/3"), first, 1)
        ]
    );
}

#[tokio::test]
async fn a_tunnel_is_recorded_as_what_passes_in_it() {
    // Some clients do not wait for the answer.
    let request =
        "CONNECT ORIGIN HTTP/1.1\r\nHost: ORIGIN\r\n\r\nGET /in HTTP/1.1\r\nHost: x\r\n\r\n";
    let (rig, mut client, mut server) = asked(request).await;
    expect(&mut client, b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    expect(&mut server, b"GET /in HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, "");

    drop((client, server));
    let origin = rig.server.local_addr().unwrap();
    let calls = stopped(rig).await;
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(start_line(&calls[0]), "GET /in HTTP/1.1");
    assert_eq!((calls[0].leg, calls[0].dst), (Leg::Outbound, origin));
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_in_a_tunnel() {
    let request = "CONNECT ORIGIN HTTP/1.1\r\n\r\n";
    let (_rig, mut client, mut server) = asked(request).await;
    server.write_all(b"220 mail ESMTP\r\n").await.unwrap();
    expect(
        &mut client,
        b"HTTP/1.1 200 Connection established\r\n\r\n220 mail ESMTP\r\n",
    )
    .await;
}

#[tokio::test]
async fn an_origin_that_waits_for_continue_is_waited_for() {
    let request = "PUT http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let (_rig, mut client, mut server) = asked(request).await;
    expect(&mut server, b"PUT / HTTP/1.1\r\n").await;
    server
        .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        .await
        .unwrap();
    expect(&mut client, b"HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write_all(b"hi").await.unwrap();
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
}

#[tokio::test]
async fn an_origin_that_answers_early_and_closes_ends_the_request() {
    let request = "POST http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nContent-Length: 100\r\n\r\nsome";
    let (_rig, mut client, mut server) = asked(request).await;
    expect(&mut server, b"POST / HTTP/1.1\r\n").await;
    server
        .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    server.shutdown().await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_response_that_ends_with_the_connection_ends_it() {
    let request = "GET http://ORIGIN/ HTTP/1.0\r\n\r\n";
    let (rig, mut client, mut server) = asked(request).await;
    let got = about_origin(&rig, "GET / HTTP/1.0\r\nHost: ORIGIN\r\n\r\n");
    expect(&mut server, &got).await;
    server
        .write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        .await
        .unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await, "HTTP/1.0 200 OK\r\n\r\nall of it");
    let calls = stopped(rig).await;
    assert_eq!(calls[0].error, None);
}

#[tokio::test]
async fn an_origin_that_closes_behind_its_last_message_closes_for_the_client() {
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nConnection: close\r\n\r\n";
    let (_rig, mut client, mut server) = asked(request).await;
    expect(&mut server, b"GET / HTTP/1.1\r\n").await;
    server.write_all(ANSWER).await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await.as_bytes(), ANSWER);
}

#[tokio::test]
async fn an_origin_that_closed_an_idle_connection_is_asked_by_a_new_one() {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    for _ in 0..3 {
        client.write_all(&about_origin(&rig, GET)).await.unwrap();
        let (mut server, _) = within(rig.server.accept()).await.unwrap();
        expect(&mut server, &about_origin(&rig, GOT)).await;
        server.write_all(ANSWER).await.unwrap();
        expect(&mut client, ANSWER).await;
        server.shutdown().await.unwrap();
        // Closed in both directions once the sidecar has noticed.
        assert_eq!(rest(&mut server).await, "");
    }
}

#[tokio::test]
async fn a_reset_by_the_origin_is_one_for_the_client() {
    let (rig, mut client, mut server) = asked(GET).await;
    expect(&mut server, b"GET / HTTP/1.1\r\n").await;
    socket2::SockRef::from(&server)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(server);
    let err = within(client.read(&mut [0; 16])).await.unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::ConnectionReset);
    let calls = stopped(rig).await;
    assert_eq!(calls[0].error, Some(CallError::ServerReset));
}

#[tokio::test]
async fn a_client_that_goes_away_is_gone_for_the_origin() {
    let (rig, client, mut server) = asked(GET).await;
    expect(&mut server, &about_origin(&rig, GOT)).await;
    drop(client);
    assert_eq!(rest(&mut server).await, "");
    let calls = {
        drop(server);
        stopped(rig).await
    };
    assert_eq!(calls[0].error, Some(CallError::ClientClosed));
}

#[tokio::test]
async fn an_upgrade_becomes_what_both_sides_make_of_it() {
    let request = "GET http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n";
    let (_rig, mut client, mut server) = asked(request).await;
    expect(&mut server, b"GET / HTTP/1.1\r\n").await;
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\nhello";
    server.write_all(switch).await.unwrap();
    expect(&mut client, switch).await;
    client
        .write_all(b"GET http://not-a-request/ HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut read = vec![0; 512];
    let mut seen = String::new();
    while !seen.ends_with("GET http://not-a-request/ HTTP/1.1\r\n\r\n") {
        let count = within(server.read(&mut read)).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&read[..count]));
    }
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, "");
}

#[tokio::test]
async fn curl_reuses_its_connection_to_the_proxy_and_is_served() {
    let rig = Rig::start_forward("auto").await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = other.local_addr().unwrap();
    answering(other);
    let proxy = format!("http://{}", rig.address);
    let [one, two, three] = ["a", "b", "c"].map(|path| format!("http://{second}/{path}"));
    let asked = Command::new("curl")
        .args([
            "-s",
            "-x",
            &proxy,
            "--noproxy",
            "",
            "-w",
            "%{num_connects} ",
            &one,
            &two,
        ])
        .args(["-p", &three])
        .output();
    let said = within(asked).await.unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(stopped(rig).await.len(), 3, "{said:?}");
}
