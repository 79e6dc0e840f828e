//! Start lines, fields and trailers.

use test_case::test_case;

use super::*;

#[test_case(
    "Authorization: Bearer abc.def",
    "Authorization: Bearer [redacted bearer #]"
)]
#[test_case("authorization:bearer   abc", "authorization:bearer   [redacted bearer #]"; "layout stays")]
#[test_case("AUTHORIZATION : Basic dTpw", "AUTHORIZATION : Basic [redacted basic #]"; "a space before the colon")]
#[test_case("Authorization: sk_123", "Authorization: [redacted secret #]"; "no scheme")]
#[test_case("Authorization: sk_123 rest", "Authorization: [redacted secret #]"; "an unknown scheme")]
#[test_case(
    "Proxy-Authorization: Digest username=\"a\", response=\"b\"",
    "Proxy-Authorization: Digest [redacted secret #]"
)]
#[test_case("Cookie: a=1; theme=dark", "Cookie: a=[redacted cookie #]; theme=[redacted cookie #]"; "cookies")]
#[test_case("Cookie: bare", "Cookie: [redacted cookie #]"; "a cookie without a name")]
#[test_case("Set-Cookie: sid=abc; Path=/; HttpOnly", "Set-Cookie: sid=[redacted cookie #]; Path=/; HttpOnly"; "attributes stay")]
#[test_case("Set-Cookie: a=1; Path=/, b=2; Secure", "Set-Cookie: a=[redacted cookie #]; Path=/, b=[redacted cookie #]; Secure"; "joined fields")]
#[test_case("Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie: a=[redacted cookie #]; Expires=Wed, 21 Oct 2026 07:28:00 GMT"; "a date")]
#[test_case("X-Api-Key: abc", "X-Api-Key: [redacted key #]")]
#[test_case(
    "x-amz-security-token: abc",
    "x-amz-security-token: [redacted secret #]"
)]
#[test_case("X-Weird: Bearer abcdefghij", "X-Weird: Bearer [redacted bearer #]"; "a scheme in another field")]
#[test_case("Location: https://a/b?x=1&access_token=abc#top", "Location: https://a/b?x=1&access_token=[redacted%20secret%20%23]#top"; "a location")]
#[test_case("Referer: https://me:pw@a/b", "Referer: https://%5Bredacted%20basic%20%23%5D@a/b"; "userinfo")]
#[test_case("Referer: https://me:p/w@a/b", "Referer: https://%5Bredacted%20basic%20%23%5D@a/b"; "a slash in userinfo")]
#[test_case("Referer: https://me:/p?w#@a/b", "Referer: https://%5Bredacted%20basic%20%23%5D@a/b"; "delimiters in userinfo")]
#[test_case("Referer: https://a:8080/@me/b", "Referer: https://a:8080/@me/b"; "a path with an at sign")]
#[test_case("Referer: https://[::1]/@me/b", "Referer: https://[::1]/@me/b"; "an address of IPv6")]
#[test_case("X-A: one\r\n two\r\nX-Api-Key: a\r\n b", "X-A: one\r\n two\r\nX-Api-Key: [redacted key #]"; "continued lines")]
fn a_field_is_masked(field: &str, expected: &str) {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let expected = format!("GET / HTTP/1.1\r\nHost: a\r\n{expected}\r\n\r\n");
    assert_eq!(untagged(&redacted(message(head, "")).head), expected);
}

#[test_case(
    "GET /a?x=1&api_key=abc&y=2 HTTP/1.1",
    "GET /a?x=1&api_key=[redacted%20key%20%23]&y=2 HTTP/1.1"
)]
#[test_case(
    "GET /a?pass%77ord=abc HTTP/1.1",
    "GET /a?pass%77ord=[redacted%20secret%20%23] HTTP/1.1"
)]
#[test_case(
    "GET /c/4111111111111111/x HTTP/1.1",
    "GET /c/[redacted%20card%20%23%20************1111]/x HTTP/1.1"
)]
#[test_case(
    "GET http://u:p@a/ HTTP/1.1",
    "GET http://%5Bredacted%20basic%20%23%5D@a/ HTTP/1.1"
)]
#[test_case("GET /a?token=abc", "GET /a?token=[redacted%20secret%20%23]"; "version 0.9")]
#[test_case("GET /a?card=4111+1111+1111+1111 HTTP/1.1", "GET /a?card=[redacted%20card%20%23%20****%20****%20****%201111] HTTP/1.1"; "a card with plus signs")]
fn a_start_line_is_masked_and_stays_one(line: &str, expected: &str) {
    let masked = redacted(message(format!("{line}\r\n\r\n"), "")).head;
    assert_eq!(untagged(&masked), format!("{expected}\r\n\r\n"));
}

#[test]
fn trailers_and_interim_heads_are_masked() {
    let mut call = call();
    call.response.trailers = Bytes::from("X-Auth-Token: abc\r\n\r\n");
    call.interim = Bytes::from("HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=bcd\r\n\r\n");
    redact(&mut call);
    assert_eq!(
        untagged(&call.response.trailers),
        "X-Auth-Token: [redacted secret #]\r\n\r\n"
    );
    assert_eq!(
        untagged(&call.interim),
        "HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=[redacted cookie #]\r\n\r\n"
    );
}

#[test_case("WWW-Authenticate: Basic realm=\"Restricted\"")]
#[test_case("Access-Control-Allow-Headers: Authorization, X-Api-Key")]
#[test_case("Vary: Cookie, Authorization")]
#[test_case("Idempotency-Key: 4f1c")]
#[test_case("Sec-CH-UA-Mobile: ?0")]
#[test_case("ETag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"")]
#[test_case("Content-Security-Policy: default-src https://a.example 'self'")]
fn a_clean_field_stays(field: &str) {
    let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
    assert_eq!(text(&redacted(message(head.clone(), "")).head), head);
}
