//! What is masked, how, and what is left alone: whole messages in, whole messages out.

mod attacks;
mod messages;
mod planted;

use std::cell::RefCell;
use std::io::Write;

use remora_store::call::{Connection, Detail, Digest, Engine, Leg, Phases, Protocol};
use test_case::test_case;

use super::*;

pub(crate) fn call() -> Call {
    let address = "10.0.0.1:80".parse().unwrap();
    Call {
        time_ns: 0,
        protocol: Protocol::Http1,
        leg: Leg::Inbound,
        engine: Engine::Splice,
        state: State::Complete,
        probe: false,
        src: address,
        dst: address,
        connection: Connection {
            id: 1,
            ordinal: 0,
            forwarded_from: None,
        },
        request: Message::default(),
        response: Message::default(),
        interim: Bytes::new(),
        phases: Phases::default(),
        closed_by: None,
        error: None,
        join_digest: Some(Digest([0; 16])),
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    }
}

/// Masks under a key that is the same in every test.
pub(super) fn redact(call: &mut Call) {
    thread_local! {
        static REDACTOR: RefCell<Redactor> = RefCell::new(Redactor::new(
            &RedactionKey::new("k-test".to_owned(), &[7; 32]),
            &Redaction::default(),
        ));
    }
    REDACTOR.with_borrow_mut(|redactor| redactor.redact(call));
}

pub(super) fn message(head: impl Into<Bytes>, body: impl Into<Bytes>) -> Message {
    let body = body.into();
    Message {
        head: head.into(),
        body_size: body.len() as u64,
        body,
        ..Message::default()
    }
}

pub(super) fn redacted(message: Message) -> Message {
    let mut call = call();
    call.request = message;
    redact(&mut call);
    call.request
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The text with each tag replaced by `#`, since tags are tested on their own.
pub(super) fn untagged(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = text(bytes);
    while let Some(at) = [rest.find('#'), rest.find("%23").map(|at| at + 2)]
        .into_iter()
        .flatten()
        .min()
    {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let tag = after
            .chars()
            .take(10)
            .filter(char::is_ascii_alphanumeric)
            .count();
        rest = if tag == 10 { &after[10..] } else { after };
    }
    out + rest
}

/// The tag of the one mask in `bytes`.
fn tag(bytes: &[u8]) -> &str {
    let text = text(bytes);
    let at = text.find("redacted").unwrap();
    let at = at
        + text[at..]
            .find('#')
            .map_or_else(|| text[at..].find("%23").unwrap() + 3, |at| at + 1);
    &text[at..at + 10]
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

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

#[test_case(
    r#"{"password":"hunter2"}"#,
    r#"{"password":"[redacted secret # 7 text]"}"#
)]
#[test_case(
    r#"{"a":{"b":[{"api_key" : "k-1"}]}}"#,
    r#"{"a":{"b":[{"api_key" : "[redacted key # 3 text]"}]}}"#
)]
#[test_case(r#"{"secret":null,"token":true,"pin":""}"#, r#"{"secret":null,"token":true,"pin":""}"#; "nothing to hide")]
#[test_case(r#"{"secret":{"a":"x","b":["y"]},"c":"z"}"#, r#"{"secret":{"a":"[redacted secret # 1 text]","b":["[redacted secret # 1 text]"]},"c":"z"}"#; "an object")]
#[test_case(r#"{"tokens":512,"max_tokens":3,"pass":9}"#, r#"{"tokens":512,"max_tokens":3,"pass":9}"#; "counts")]
#[test_case(r#"{"user":"ann","pass":"hunter2"}"#, r#"{"user":"ann","pass":"[redacted secret # 7 text]"}"#; "a short name")]
#[test_case(r#"{"tokens":["ab"]}"#, r#"{"tokens":["[redacted secret # 2 hex]"]}"#; "a list of tokens")]
#[test_case(r#"{"client_secret":"a\"b\\","x":"y"}"#, r#"{"client_secret":"[redacted secret # 4 text]","x":"y"}"#; "escapes")]
#[test_case(r#"{"body":"{\"password\":\"hunter2\",\"a\":\"b\"}"}"#, r#"{"body":"{\"password\":\"[redacted secret # 7 text]\",\"a\":\"b\"}"}"#; "json in json")]
#[test_case(r#"{"pass\u0077ord":"hunter2"}"#, r#"{"pass\u0077ord":"[redacted secret # 7 text]"}"#; "an escaped name")]
#[test_case(r#"{"headers":{"Authorization":"Bearer abc","Cookie":"a=b"}}"#, r#"{"headers":{"Authorization":"Bearer [redacted bearer # 3 hex]","Cookie":"a=[redacted cookie #]"}}"#; "headers told back")]
#[test_case(r#"{"token":"hunt"#, r#"{"token":"[redacted secret # 4 text]"#; "cut in the value")]
#[test_case(r#"[{"name":"DB_PASSWORD","value":"hunter2"}]"#, r#"[{"name":"DB_PASSWORD","value":"[redacted secret # 7 text]"}]"#; "name and value")]
#[test_case(r#"{"Client Secret": "x"}"#, r#"{"Client Secret": "[redacted secret # 1 text]"}"#; "a name of two words")]
#[test_case("<a><ns:Password type=\"x\">hunter2</ns:Password></a>", "<a><ns:Password type=\"x\">[redacted secret # 7 text]</ns:Password></a>"; "xml")]
#[test_case("<input name=\"csrf_token\" value=\"abc\">", "<input name=\"csrf_token\" value=\"[redacted secret # 3 hex]\">"; "html")]
#[test_case("--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted secret # 7 text]\r\n--b--"; "multipart")]
#[test_case(r#"{"next":"https://a/b?token=abc&x=1"}"#, r#"{"next":"https://a/b?token=[redacted%20secret%20%23]&x=1"}"#; "a url in json")]
#[test_case(r#"{"dsn":"postgres://u:p@db:5432/x"}"#, r#"{"dsn":"postgres://%5Bredacted%20basic%20%23%5D@db:5432/x"}"#; "a connection string")]
#[test_case("card 4111 1111 1111 1111.", "card [redacted card # **** **** **** 1111]."; "a card in text")]
#[test_case("curl -H 'X: Bearer abc123def456xyz'", "curl -H 'X: Bearer [redacted bearer #]'"; "a bearer token in text")]
fn a_body_is_masked(body: &str, expected: &str) {
    let masked = redacted(message("POST / HTTP/1.1\r\n\r\n", body.to_owned()));
    assert_eq!(untagged(&masked.body), expected);
}

#[test_case(r#"{"token_type":"bearer","passenger":"Ann","key":"value","keys":["a"]}"#)]
#[test_case(r#"{"nextPageToken":"abc","id":"550e8400-e29b-41d4-a716-446655440000"}"#)]
#[test_case(r#"{"at":1763837090123,"ns":1763837090123456789,"f":0.4111111111111111}"#; "clocks and fractions")]
#[test_case("the bearer of bad news knows no password: see the token bucket"; "prose")]
#[test_case("const token=e.token;if(password===n){f(key)}"; "a program")]
#[test_case("https://example.com/@user and mailto:a@b"; "an at sign in a path")]
fn a_clean_body_stays(body: &str) {
    let masked = redacted(message("POST / HTTP/1.1\r\n\r\n", body.to_owned()));
    assert_eq!(text(&masked.body), body);
}

#[test]
fn a_form_is_masked() {
    let head = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";
    let body = format!("user=ann&password=hunter%32&sid=1&note={JWT}&json=%7B%22pin%22%3A12%7D");
    let masked = redacted(message(head, body));
    let masked = untagged(&masked.body);
    assert!(masked.starts_with("user=ann&password=[redacted%20secret%20%23]&sid=[redacted"));
    assert!(masked.contains("note=[redacted%20jwt%20%23]"), "{masked}");
    assert!(!masked.contains("12%7D"), "{masked}");
}

#[test]
fn numbers_stay_numbers() {
    let body = r#"{"pin":1234,"card":4111111111111111,"id":7}"#;
    let masked = redacted(message("", body)).body;
    let value: serde_json::Value = serde_json::from_slice(&masked).unwrap();
    assert_eq!(value["pin"].to_string().len(), 4);
    let card = value["card"].to_string();
    assert!(card.len() == 16 && card.ends_with("1111") && card != "4111111111111111");
    assert_eq!(value["id"], 7);
}

#[test]
fn the_same_token_has_the_same_tag_wherever_it_stands() {
    let header = redacted(message(
        format!("GET / HTTP/1.1\r\nAuthorization: Bearer {JWT}\r\n\r\n"),
        "",
    ));
    let query = redacted(message(
        format!("GET /?access_token={JWT} HTTP/1.1\r\n\r\n"),
        "",
    ));
    let cookie = redacted(message(
        format!("GET / HTTP/1.1\r\nCookie: t={JWT}\r\n\r\n"),
        "",
    ));
    let json = redacted(message("", format!(r#"{{"refresh_token":"{JWT}"}}"#)));
    let loose = redacted(message("", format!("a token: {JWT}.")));
    let expected = tag(&header.head);
    assert_eq!(tag(&query.head), expected);
    assert_eq!(tag(&cookie.head), expected);
    assert_eq!(tag(&json.body), expected);
    assert_eq!(tag(&loose.body), expected);

    let plus = redacted(message("GET /?token=a%2Bb%2Fc%3D%3D HTTP/1.1\r\n\r\n", ""));
    let json = redacted(message("", r#"{"token":"a+b\/c=="}"#));
    assert_eq!(tag(&plus.head), tag(&json.body));

    let basic = redacted(message(
        "GET / HTTP/1.1\r\nAuthorization: Basic YW5uOnB3\r\n\r\n",
        "",
    ));
    let url = redacted(message("GET http://ann:pw@a/ HTTP/1.1\r\n\r\n", ""));
    assert_eq!(tag(&basic.head), tag(&url.head));
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn coded(coding: &str, body: Vec<u8>) -> Message {
    message(
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n"),
        body,
    )
}

#[test]
fn a_compressed_body_is_decoded_only_if_a_secret_is_inside() {
    let clean = gzip(br#"{"a":"b"}"#);
    let kept = redacted(coded("gzip", clean.clone()));
    assert_eq!((kept.body, kept.decoded), (Bytes::from(clean), false));

    let masked = redacted(coded("GZIP", gzip(br#"{"password":"hunter2"}"#)));
    assert_eq!(
        untagged(&masked.body),
        r#"{"password":"[redacted secret # 7 text]"}"#
    );
    assert!(masked.decoded && masked.omitted.is_none());
}

#[test]
fn every_usual_coding_is_undone() {
    let content = br#"{"password":"hunter2"}"#;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(content).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(content).unwrap();
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    for (coding, body) in [
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd.clone()),
        ("br", stored_brotli(content)),
        ("gzip, identity", gzip(content)),
        ("zstd, gzip", gzip(&zstd)),
        ("", gzip(content)),
    ] {
        let masked = redacted(coded(coding, body));
        assert!(masked.decoded, "{coding}");
        assert!(!text(&masked.body).contains("hunter2"), "{coding}");
    }
}

#[test_case("compress", b"abc".to_vec(); "an unknown coding")]
#[test_case("gzip", b"not gzip at all".to_vec(); "broken data")]
#[test_case("gzip", gzip(&vec![0; 8 << 20]); "a bomb")]
#[test_case("gzip, gzip, gzip, gzip", gzip(b"x"); "too many layers")]
fn what_cannot_be_looked_through_is_not_kept(coding: &str, body: Vec<u8>) {
    let size = body.len() as u64;
    let masked = redacted(coded(coding, body));
    assert!(masked.body.is_empty() && !masked.decoded);
    assert_eq!(masked.omitted, Some(Omitted::Uninspectable));
    assert_eq!(masked.body_size, size);
}

#[test]
fn what_follows_a_compressed_body_is_not_kept() {
    let content = br#"{"a":"b"}"#;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(content).unwrap();
    for (coding, mut body) in [
        ("gzip", gzip(content)),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::encode_all(&content[..], 1).unwrap()),
        ("br", stored_brotli(content)),
    ] {
        assert_eq!(
            redacted(coded(coding, body.clone())).omitted,
            None,
            "{coding}"
        );
        body.extend_from_slice(b"password=hunter2");
        let masked = redacted(coded(coding, body));
        assert_eq!(masked.omitted, Some(Omitted::Uninspectable), "{coding}");
    }
}

/// A brotli stream that stores `content` uncompressed (RFC 7932 section 9.2).
fn stored_brotli(content: &[u8]) -> Vec<u8> {
    // Window of 16 bits; not the last block; 4 nibbles of length minus one; uncompressed.
    let bits = ((content.len() as u32 - 1) << 4) | (1 << 20);
    let mut stream = bits.to_le_bytes()[..3].to_vec();
    stream.extend_from_slice(content);
    // The last block, empty.
    stream.push(0b11);
    stream
}

#[test]
fn a_cut_compressed_body_is_looked_through_as_far_as_it_goes() {
    let mut content = br#"{"password":"hunter2","a":["#.to_vec();
    for number in 0..4000 {
        write!(content, "{},", number * 7919 % 10007).unwrap();
    }
    let mut body = gzip(&content);
    let size = body.len();
    body.truncate(size / 2);
    let mut cut = coded("gzip", body);
    cut.body_size = size as u64;
    cut.omitted = Some(Omitted::Limit);
    let masked = redacted(cut);
    assert!(masked.decoded);
    assert_eq!(masked.omitted, Some(Omitted::Limit));
    assert!(masked.body.starts_with(br#"{"password":"[redacted"#));
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

#[test]
fn a_secret_told_back_elsewhere_is_masked_with_the_same_tag() {
    let mut call = call();
    call.request = message(
        "GET /a/9f86d081884c HTTP/1.1\r\nX-Echo: 9f86d081884c\r\nX-Api-Key: 9f86d081884c\r\n\r\n",
        "",
    );
    call.response = coded("gzip", gzip(b"you said\r\n9f86d081884c, and 9f86d0"));
    redact(&mut call);
    let tag = tag(&call.response.body).to_owned();
    let body = text(&call.response.body);
    assert!(body.starts_with("you said\r\n[redacted key #"), "{body}");
    assert_eq!(text(&call.request.head).matches(&tag).count(), 3);
    assert!(
        call.request
            .head
            .starts_with(b"GET /a/[redacted%20key%20%23")
    );
}

#[test]
fn the_beginning_of_a_secret_in_a_broken_call_is_masked() {
    let mut open = call();
    open.state = State::Open;
    open.response = message("HTTP/1.1 200 OK\r\n\r\n", format!("token {}", &JWT[..20]));
    redact(&mut open);
    assert_eq!(untagged(&open.response.body), "token [redacted jwt #]");
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

#[test]
fn redaction_can_be_switched_off() {
    let key = RedactionKey::local();
    let off = Redaction {
        enabled: false,
        names: Vec::new(),
    };
    let mut call = call();
    call.request = message("GET / HTTP/1.1\r\nCookie: a=b\r\n\r\n", "");
    let before = call.clone();
    Redactor::new(&key, &off).redact(&mut call);
    assert_eq!(call, before);
}

#[test]
fn the_users_own_names_are_masked_in_heads_and_bodies() {
    let options = Redaction {
        enabled: true,
        names: vec!["X-House-Ticket".to_owned(), "iban".to_owned()],
    };
    let mut call = call();
    call.request = message(
        "GET / HTTP/1.1\r\nx-house-ticket: abc\r\n\r\n",
        r#"{"IBAN":"NL12"}"#,
    );
    Redactor::new(&RedactionKey::local(), &options).redact(&mut call);
    assert!(untagged(&call.request.head).contains("x-house-ticket: [redacted secret #]\r\n"));
    assert_eq!(
        untagged(&call.request.body),
        r#"{"IBAN":"[redacted secret # 4 text]"}"#
    );
}
