use proptest::prelude::*;

use super::*;
use crate::observe::head::{HeadReader, Progress};

/// Reads a head as the proxy does.
fn take(head: &[u8]) -> Result<Request, Refusal> {
    match HeadReader::request().read(head) {
        (used, Progress::Done(facts)) if used == head.len() => read(head, &facts),
        other => panic!("no whole head: {other:?}"),
    }
}

fn passed_on(head: &str) -> String {
    String::from_utf8(take(head.as_bytes()).unwrap().head).unwrap()
}

#[test]
fn an_origin_sees_what_it_would_without_the_proxy() {
    let head = "GET http://shop:8080/a?b HTTP/1.1\r\nuser-AGENT:  x\r\nHost: shop:8080\r\n\
                Proxy-Connection: Keep-Alive\r\nAccept: a\r\nConnection: keep-alive, TE\r\nAccept: b\r\n\
                Proxy-Authorization: Basic\r\n eDp5\r\nTE: trailers\r\n\r\n";
    assert_eq!(
        passed_on(head),
        "GET /a?b HTTP/1.1\r\nuser-AGENT:  x\r\nHost: shop:8080\r\nAccept: a\r\n\
         Connection: keep-alive, TE\r\nAccept: b\r\nTE: trailers\r\n\r\n"
    );
}

#[test]
fn the_host_is_that_of_the_target() {
    let other = "GET http://shop/ HTTP/1.1\r\nA: 1\r\nhost: elsewhere\r\nB: 2\r\n\r\n";
    assert_eq!(
        passed_on(other),
        "GET / HTTP/1.1\r\nA: 1\r\nHost: shop\r\nB: 2\r\n\r\n"
    );
    let missing = "GET http://shop/ HTTP/1.0\r\nA: 1\r\n\r\n";
    assert_eq!(
        passed_on(missing),
        "GET / HTTP/1.0\r\nHost: shop\r\nA: 1\r\n\r\n"
    );
    let same = "GET http://shop/ HTTP/1.1\r\nhOST:SHOP\r\n\r\n";
    assert_eq!(passed_on(same), "GET / HTTP/1.1\r\nhOST:SHOP\r\n\r\n");
}

#[test]
fn line_ends_without_a_return_stay() {
    assert_eq!(
        passed_on("GET http://shop/ HTTP/1.1\nHost: shop\nA: b\n\n"),
        "GET / HTTP/1.1\nHost: shop\nA: b\n\n"
    );
}

#[test]
fn two_hosts_are_refused() {
    let head = b"GET http://shop/ HTTP/1.1\r\nHost: shop\r\nHost: shop\r\n\r\n";
    assert!(take(head).unwrap_err().text().contains("two Host"));
}

#[test]
fn a_request_that_ends_nobody_knows_where_is_refused() {
    let head = b"POST http://shop/ HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    assert!(
        take(head)
            .unwrap_err()
            .text()
            .contains("where the request ends")
    );
}

#[test]
fn a_tunnel_is_recorded_without_the_proxys_own_credentials() {
    let head =
        "CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\nProxy-Authorization: Basic eDp5\r\n\r\n";
    let request = take(head.as_bytes()).unwrap();
    assert_eq!(request.kind, Kind::Tunnel);
    assert_eq!(
        String::from_utf8(request.head).unwrap(),
        "CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\n\r\n"
    );
}

#[test]
fn messages_say_whether_they_are_the_last() {
    let says = |head: &str| is_last(head.as_bytes());
    assert!(!says("HTTP/1.1 200 OK\r\nA: close\r\n\r\n"));
    assert!(says("HTTP/1.1 200 OK\r\nConnection: TE, Close\r\n\r\n"));
    assert!(says("HTTP/1.0 200 OK\r\n\r\n"));
    assert!(!says("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n"));
    assert!(says("GET / HTTP/1.0\r\n\r\n"));
}

/// A field line that is neither Host's nor framing's.
fn field() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        "X-[A-Za-z0-9!#$&'*+.^_|~-]{1,12}",
        Just("Connection".to_owned()),
        Just("proxy-CONNECTION".to_owned()),
        Just("Proxy-Authorization".to_owned()),
        Just("Proxy-Other".to_owned()),
    ];
    (name, "[!-~]([ -~]{0,20}[!-~])?")
}

proptest! {
    #[test]
    fn only_what_is_for_the_proxy_is_taken_out(
        method in "[A-Z]{1,8}",
        host in "[a-z]{1,8}(:[1-9][0-9]{0,3})?",
        path in "(/[!-\"$->@-~]{0,20})?",
        fields in proptest::collection::vec(field(), 0..12),
        host_at in 0..12usize,
    ) {
        prop_assume!(method != "CONNECT");
        let mut sent = fields.clone();
        sent.insert(host_at.min(sent.len()), ("Host".to_owned(), host.clone()));
        let lines: String = sent.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} http://{host}{path} HTTP/1.1\r\n{lines}\r\n");
        let request = take(head.as_bytes()).unwrap();

        let mut room = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut room);
        let status = parsed.parse(&request.head).unwrap();
        prop_assert_eq!(status, httparse::Status::Complete(request.head.len()));
        let path = match path.as_str() {
            "" if method == "OPTIONS" => "*",
            "" => "/",
            path => path,
        };
        prop_assert_eq!(parsed.path, Some(path));
        let seen: Vec<_> = parsed.headers.iter()
            .map(|field| (field.name.to_owned(), String::from_utf8(field.value.to_vec()).unwrap()))
            .collect();
        let expected: Vec<_> = sent.into_iter()
            .filter(|(name, _)| !["proxy-connection", "proxy-authorization"].contains(&name.to_lowercase().as_str()))
            .collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn no_bytes_break_it(start in "(GET|POST|CONNECT|OPTIONS) [ -~]{0,40} HTTP/1\\.1", rest in "([ -~\\t]{0,30}\r?\n){0,6}") {
        let head = format!("{start}\r\n{rest}\r\n");
        if let (used, Progress::Done(facts)) = HeadReader::request().read(head.as_bytes()) {
            let head = &head.as_bytes()[..used];
            if let Ok(request) = read(head, &facts) {
                prop_assert!(request.head.ends_with(b"\n"));
                prop_assert!(request.head.len() <= head.len() + 300);
            }
        }
    }
}
