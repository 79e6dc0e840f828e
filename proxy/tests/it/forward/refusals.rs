//! What the proxy says where a request cannot be passed on, or its response not be read.

use test_case::test_case;

use super::*;

/// What a proxy that then closes says to a request.
async fn refusal(rig: &Rig, request: &[u8]) -> String {
    let mut client = client(rig).await;
    client.write_all(request).await.unwrap();
    rest(&mut client).await
}

/// An address that is taken, and on which nobody listens.
fn silent() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test_case("GET http://ORIGIN/a HTTP/1.1", "GET /a HTTP/1.1"; "absolute form")]
#[test_case("CONNECT ORIGIN HTTP/1.1", "CONNECT ORIGIN HTTP/1.1"; "a tunnel")]
#[tokio::test]
async fn an_origin_that_refuses_is_a_failed_call_and_a_502(line: &str, recorded: &str) {
    let rig = Rig::start_forward("auto").await;
    let (_socket, origin) = silent();
    let origin_text = origin.to_string();
    let request = format!(
        "{}\r\nHost: {origin}\r\n\r\n",
        line.replace("ORIGIN", &origin_text)
    );
    let answer = refusal(&rig, request.as_bytes()).await;
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
    let request = b"CONNECT nobody.invalid:443 HTTP/1.1\r\nHost: nobody.invalid:443\r\n\r\n";
    let answer = refusal(&rig, request).await;
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
    let request = format!(
        "GET http://localhost:{}/ HTTP/1.1\r\nHost: x\r\n\r\n",
        rig.address.port()
    );
    let answer = refusal(&rig, request.as_bytes()).await;
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
    let request = format!("HEAD http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    let answer = refusal(&rig, request.as_bytes()).await;
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
    let answer = refusal(&rig, request).await;
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
    let head = format!(
        "GET http://x/ HTTP/1.1\r\nHost: x\r\nLong: {}",
        "a".repeat(64 * 1024)
    );
    let answer = refusal(&rig, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// A head that is longer than what is read as one.
fn long_head() -> Vec<u8> {
    let value = "a".repeat(64 * 1024);
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
