//! The forward proxy, asked by bytes and by curl.

use std::net::SocketAddr;

use remora_store::call::{Call, CallError, Engine, Leg, Protocol};
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;

use crate::rig::{Rig, within};

/// What the origin answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn client(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.address).await.unwrap()
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

/// An address that is taken, and on which nobody listens.
fn silent() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    // Some clients do not wait for the answer.
    let early = format!(
        "CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\nGET /in HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    client.write_all(early.as_bytes()).await.unwrap();
    expect(&mut client, b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    expect(&mut server, b"GET /in HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.write_all(ANSWER).await.unwrap();
    expect(&mut client, ANSWER).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, "");

    drop((client, server));
    let calls = stopped(rig).await;
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(start_line(&calls[0]), "GET /in HTTP/1.1");
    assert_eq!((calls[0].leg, calls[0].dst), (Leg::Outbound, origin));
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_in_a_tunnel() {
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let connect = format!("CONNECT {origin} HTTP/1.1\r\n\r\n");
    client.write_all(connect.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    server.write_all(b"220 mail ESMTP\r\n").await.unwrap();
    expect(
        &mut client,
        b"HTTP/1.1 200 Connection established\r\n\r\n220 mail ESMTP\r\n",
    )
    .await;
}

#[test_case("GET http://ORIGIN/a HTTP/1.1", "GET /a HTTP/1.1"; "absolute form")]
#[test_case("CONNECT ORIGIN HTTP/1.1", "CONNECT ORIGIN HTTP/1.1"; "a tunnel")]
#[tokio::test]
async fn an_origin_that_refuses_is_a_failed_call_and_a_502(line: &str, recorded: &str) {
    let rig = Rig::start_forward("auto").await;
    let (_socket, origin) = silent();
    let origin_text = origin.to_string();
    let mut client = client(&rig).await;
    let request = format!(
        "{}\r\nHost: {origin}\r\n\r\n",
        line.replace("ORIGIN", &origin_text)
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("\r\nProxy-Status: remora; error=connection_refused\r\n"),
        "{answer}"
    );
    let says = format!(
        "\r\n\r\nremora: cannot connect to {origin}: connection refused, nothing listens there\n"
    );
    assert!(answer.ends_with(&says), "{answer}");

    let calls = stopped(rig).await;
    let [call] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(start_line(call), recorded.replace("ORIGIN", &origin_text));
    assert_eq!(call.error, Some(CallError::ConnectRefused));
    assert_eq!((call.dst, call.response.head.len()), (origin, 0));
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told() {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    client
        .write_all(b"CONNECT nobody.invalid:443 HTTP/1.1\r\nHost: nobody.invalid:443\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("error=dns_error"), "{answer}");
    assert!(
        answer.contains("nobody.invalid:443: the name has no address"),
        "{answer}"
    );
    let calls = stopped(rig).await;
    assert_eq!(calls[0].error, Some(CallError::ConnectFailed));
    assert_eq!(start_line(&calls[0]), "CONNECT nobody.invalid:443 HTTP/1.1");
}

#[tokio::test]
async fn a_proxy_asked_for_itself_says_so() {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    let request = format!(
        "GET http://localhost:{}/ HTTP/1.1\r\nHost: x\r\n\r\n",
        rig.address.port()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    // Where localhost is ::1 as well, nothing listens there.
    assert!(answer.contains("error=proxy_loop_detected"), "{answer}");
}

#[tokio::test]
async fn a_proxy_on_all_addresses_does_not_ask_itself_by_any_of_them() {
    let rig = Rig::start_forward_on("0.0.0.0:0", "auto").await;
    let port = rig.address.port();
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET http://127.0.0.2:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset, unless that came before the connection was taken for one.
    if within(client.read_to_end(&mut answer)).await.is_ok() {
        assert!(answer.starts_with(b"HTTP/1.1 502 "), "{answer:?}");
    }
    drop(client);
    let calls = stopped(rig).await;
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].error.is_some(), "{calls:?}");
}

#[tokio::test]
async fn a_refusal_to_head_has_no_body() {
    let rig = Rig::start_forward("auto").await;
    let (_socket, origin) = silent();
    let mut client = client(&rig).await;
    let request = format!("HEAD http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test_case(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", "this is a forward proxy"; "origin form")]
#[test_case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request", "no HTTP/1 request"; "a TLS hello")]
#[test_case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request", "no HTTP/1 request"; "HTTP/2")]
#[test_case(b"GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", "through CONNECT"; "https")]
#[test_case(b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", "did you mean x:443?"; "a tunnel to no port")]
#[tokio::test]
async fn what_no_proxy_can_do_is_refused_in_words(request: &[u8], status: &str, says: &str) {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    client.write_all(request).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
        "{answer}"
    );
    assert!(answer.contains(says), "{answer}");
    assert!(stopped(rig).await.is_empty(), "nobody was called");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let rig = Rig::start_forward("auto").await;
    let mut client = client(&rig).await;
    let head = format!(
        "GET http://x/ HTTP/1.1\r\nHost: x\r\nLong: {}",
        "a".repeat(80 * 1024)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// A head that is longer than what is read as one.
fn long_head() -> Vec<u8> {
    let value = "a".repeat(80 * 1024);
    format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLong: {value}\r\n\r\n").into_bytes()
}

#[test_case("splice", b"", &long_head(), "longer than 64 KiB"; "a head without end")]
#[test_case("splice", b"", b"220 mail ESMTP\r\n", "no response of HTTP/1"; "another protocol")]
#[test_case("splice", b"", b"GET / HTTP/1.1\r\n\r\n", "no response of HTTP/1"; "a request")]
#[test_case("splice", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"\0\0\0\0", "no response of HTTP/1"; "behind an interim response")]
#[test_case("terminate", b"", &long_head(), "longer than 64 KiB"; "a head without end by the engine that acts")]
#[test_case("terminate", b"", b"220 mail ESMTP\r\n", "no response of HTTP/1"; "another protocol by it")]
#[tokio::test]
async fn an_origin_whose_response_cannot_be_read_is_a_502(
    engine: &str,
    passed: &[u8],
    unreadable: &[u8],
    says: &str,
) {
    let rig = Rig::start_forward(engine).await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let request = format!("GET http://{origin}/a HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    // The second one is told with the end of the connection.
    client
        .write_all(request.repeat(2).as_bytes())
        .await
        .unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    let seen = format!("GET /a HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    expect(&mut server, seen.as_bytes()).await;
    server.write_all(passed).await.unwrap();
    // It is reset before it has sent everything, and stays open till then.
    let _ = server.write_all(unreadable).await;
    expect(&mut client, passed).await;
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains(says), "{answer}");
    let calls = stopped(rig).await;
    // What is no response may follow as bytes that nobody understands; the second request never left.
    let lines: Vec<_> = calls.iter().map(start_line).collect();
    assert_eq!(lines.join(""), "GET /a HTTP/1.1", "{calls:?}");
}

#[tokio::test]
async fn an_origin_that_waits_for_continue_is_waited_for() {
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!(
        "PUT http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!(
        "POST http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nContent-Length: 100\r\n\r\nsome"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!("GET http://{origin}/ HTTP/1.0\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    expect(
        &mut server,
        format!("GET / HTTP/1.0\r\nHost: {origin}\r\n\r\n").as_bytes(),
    )
    .await;
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head =
        format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    expect(&mut server, b"GET / HTTP/1.1\r\n").await;
    server.write_all(ANSWER).await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await.as_bytes(), ANSWER);
}

#[tokio::test]
async fn an_origin_that_closed_an_idle_connection_is_asked_by_a_new_one() {
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    for _ in 0..3 {
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut server, _) = within(rig.server.accept()).await.unwrap();
        expect(
            &mut server,
            format!("GET / HTTP/1.1\r\nHost: {origin}\r\n\r\n").as_bytes(),
        )
        .await;
        server.write_all(ANSWER).await.unwrap();
        expect(&mut client, ANSWER).await;
        server.shutdown().await.unwrap();
        // Closed in both directions once the sidecar has noticed.
        assert_eq!(rest(&mut server).await, "");
    }
}

#[tokio::test]
async fn a_reset_by_the_origin_is_one_for_the_client() {
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    expect(
        &mut server,
        format!("GET / HTTP/1.1\r\nHost: {origin}\r\n\r\n").as_bytes(),
    )
    .await;
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
    let rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    let mut client = client(&rig).await;
    let head = format!(
        "GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
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
