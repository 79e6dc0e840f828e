use axum::http::HeaderValue;
use futures_util::FutureExt as _;
use test_case::test_case;

use super::*;

fn gate(token: Option<&str>) -> Gate {
    Gate {
        hosts: AllowedHosts::new(&["hub.obs.svc".to_owned()]).unwrap(),
        asked: token.map_or(Asked::Nothing, |token| Asked::Token(Token::new(token))),
    }
}

fn code(gate: &Gate, headers: &[(&'static str, &'static str)]) -> &'static str {
    let mut map = HeaderMap::new();
    for &(name, value) in headers {
        map.append(name, HeaderValue::from_static(value));
    }
    // Nobody else is asked about one token.
    gate.identify(&map, &Uri::from_static("/api/v1/status"))
        .now_or_never()
        .unwrap()
        .map_or_else(|error| error.code(), |_| "admitted")
}

#[test_case("127.0.0.1:8899", "admitted"; "loopback")]
#[test_case("localhost", "admitted"; "by name")]
#[test_case("LOCALHOST:1", "admitted"; "whatever the case")]
#[test_case("[::1]:8899", "admitted"; "over ipv6")]
#[test_case("10.1.2.3:8899", "admitted"; "by any address, which no rebinding can forge")]
#[test_case("hub.obs.svc:8899", "admitted"; "by the name it was given")]
#[test_case("evil.example", "host_not_allowed"; "a rebound name")]
#[test_case("localhost.evil.example", "host_not_allowed"; "a name that begins well")]
#[test_case("", "host_not_allowed"; "an empty name")]
#[test_case("user@localhost", "admitted"; "the user part is not the host")]
#[test_case("localhost@evil.example", "host_not_allowed"; "nor is the host the user part")]
fn host(host: &'static str, expected: &str) {
    assert_eq!(code(&gate(None), &[("host", host)]), expected);
}

#[test]
fn a_request_without_a_host_or_with_two_is_refused() {
    assert_eq!(code(&gate(None), &[]), "host_not_allowed");
    assert_eq!(
        code(
            &gate(None),
            &[("host", "localhost"), ("host", "evil.example")]
        ),
        "host_not_allowed"
    );
}

#[test_case("http://localhost:3000", "admitted"; "a page of this machine")]
#[test_case("http://127.0.0.1:3000", "admitted"; "by address")]
#[test_case("https://hub.obs.svc", "admitted"; "a page of the hub's name")]
#[test_case("http://evil.example", "origin_not_allowed"; "a page of somebody else")]
#[test_case("http://10.9.9.9", "origin_not_allowed"; "a page of another machine")]
#[test_case("null", "origin_not_allowed"; "a page that hides where it is from")]
#[test_case("file://", "origin_not_allowed"; "a file")]
fn origin(origin: &'static str, expected: &str) {
    assert_eq!(
        code(&gate(None), &[("host", "localhost"), ("origin", origin)]),
        expected
    );
}

#[test_case("Bearer right-token-right", "admitted"; "the right one")]
#[test_case("bearer right-token-right", "admitted"; "the scheme in any case")]
#[test_case("Bearer wrong-token-wrong", "unauthorized"; "another of the same length")]
#[test_case("Bearer right", "unauthorized"; "the beginning of it")]
#[test_case("Basic right-token-right", "unauthorized"; "another scheme")]
#[test_case("right-token-right", "unauthorized"; "no scheme")]
fn token(shown: &'static str, expected: &str) {
    let gate = gate(Some("right-token-right"));
    assert_eq!(
        code(&gate, &[("host", "localhost"), ("authorization", shown)]),
        expected
    );
}

#[test]
fn a_token_is_asked_for_on_loopback_too_once_there_is_one() {
    assert_eq!(
        code(&gate(Some("right-token-right")), &[("host", "localhost")]),
        "unauthorized"
    );
}
