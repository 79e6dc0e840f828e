use std::net::SocketAddr;
use std::sync::Arc;

use remora_store::call::{
    Call, CallId, EffectKind, Injected, Message, MessageKind, Omitted, Protocol, Side, Stream,
    StreamMessage,
};
use remora_store::names::Party;
use remora_store::testing::{any_call, call};
use serde_json::{Value, json};
use test_case::test_case;

use super::*;

fn entry(call: Call) -> Option<Value> {
    let found = FoundCall {
        withheld: false,
        id: CallId {
            block: 12,
            ordinal: 7,
        },
        origin: Arc::default(),
        redaction_key: Arc::default(),
        src: Party::unknown(call.src),
        dst: Party::unknown(call.dst),
        call,
    };
    Entry::new(&found).map(|entry| serde_json::to_value(&entry).unwrap())
}

fn url_of(head: &str) -> String {
    let mut call = call(0, "/", 200);
    call.request.head = head.to_owned().into();
    entry(call).unwrap()["request"]["url"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn answered(head: &str, body: &[u8], size: u64) -> Message {
    Message {
        head: head.to_owned().into(),
        body: body.to_vec().into(),
        body_size: size,
        ..Message::default()
    }
}

#[test_case("GET /a?b=c HTTP/1.1\r\nHost: shop:80\r\n\r\n", "http://shop:80/a?b=c"; "origin form")]
#[test_case("GET http://shop/a HTTP/1.1\r\nHost: x\r\n\r\n", "http://shop/a"; "absolute form")]
#[test_case("OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", "http://shop/"; "asterisk form")]
#[test_case("CONNECT db:5432 HTTP/1.1\r\n\r\n", "http://db:5432/"; "authority form")]
#[test_case("GET /%41%zz?a=[1] HTTP/1.1\r\nHost: shop\r\n\r\n", "http://shop/%41%zz?a=[1]"; "escapes that were sent")]
#[test_case("GET /<\u{202e}> HTTP/1.1\r\nHost: shop\r\n\r\n", "http://shop/%3C%E2%80%AE%3E"; "what a browser escapes")]
#[test_case("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "http://10.0.0.2:8080/"; "a host that is none")]
#[test_case("GET / HTTP/1.0\r\n\r\n", "http://10.0.0.2:8080/"; "no host")]
#[test_case(":method: GET\r\n:scheme: https\r\n:authority: shop\r\n:path: /a\r\n\r\n", "https://shop/a"; "of HTTP/2")]
fn a_request_has_an_absolute_url(head: &str, expected: &str) {
    assert_eq!(url_of(head), expected);
}

#[test]
fn timings_add_up_to_the_time_and_what_is_not_known_is_minus_one() {
    let found = entry(call(0, "/", 200)).unwrap();
    let timings = json!({"blocked": -1.0, "dns": -1.0, "connect": -1.0, "send": 0.01, "wait": 1.89, "receive": 0.1, "ssl": -1.0});
    assert_eq!(found["timings"], timings);
    assert!((found["time"].as_f64().unwrap() - 2.0).abs() < 1e-9);
    let mut open = call(0, "/", 200);
    open.phases.response_last = None;
    let found = entry(open).unwrap();
    assert_eq!(found["timings"]["receive"], -1.0);
    assert!((found["time"].as_f64().unwrap() - 1.9).abs() < 1e-9);
}

#[test]
fn a_response_that_begins_before_its_request_ends_has_no_negative_wait() {
    let mut early = call(0, "/", 200);
    early.phases.request_last = early.phases.response_first.map(|ns| ns + 50_000);
    let found = entry(early).unwrap();
    assert_eq!(found["timings"]["wait"], 0.0);
    assert!((found["time"].as_f64().unwrap() - 2.0).abs() < 1e-9);
}

#[test]
fn a_coded_body_is_shown_without_its_coding() {
    use std::io::Write as _;
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(&b"tea ".repeat(100)).unwrap();
    let coded = coder.finish().unwrap();
    let mut call = call(0, "/", 200);
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\n\r\n";
    call.response = answered(head, &coded, coded.len() as u64);
    let content = entry(call.clone()).unwrap()["response"]["content"].clone();
    assert_eq!(content["text"], "tea ".repeat(100));
    assert_eq!(content["size"], 400);
    assert_eq!(content["compression"], 400 - coded.len());
    // The same bytes as a file of their own are what was sent, and stay so.
    call.response.head = "HTTP/1.1 200 OK\r\n\r\n".into();
    let content = entry(call.clone()).unwrap()["response"]["content"].clone();
    assert_eq!(content["encoding"], "base64");
    assert_eq!(content["size"], coded.len());
    // A coding that nobody knows is said.
    call.response.head = "HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\n\r\n".into();
    let content = entry(call).unwrap()["response"]["content"].clone();
    assert_eq!(content["comment"], "the content coding could not be undone");
}

#[test]
fn what_is_missing_of_a_body_or_was_replaced_in_it_is_said() {
    let mut call = call(0, "/", 200);
    call.response = answered("HTTP/1.1 200 OK\r\n\r\n", b"[redacted jwt #7k2] abc", 5_000);
    call.response.omitted = Some(Omitted::Limit);
    let content = entry(call.clone()).unwrap()["response"]["content"].clone();
    let comment = "truncated (limit): 23 of 5000 bytes were kept; secrets were replaced by tags";
    assert_eq!(content["comment"], comment);
    assert_eq!(content["size"], 5_000);
    call.response.body.clear();
    call.response.omitted = Some(Omitted::Budget);
    let content = entry(call).unwrap()["response"]["content"].clone();
    assert_eq!(content.get("text"), None);
}

#[test]
fn cookies_query_and_form_come_apart() {
    let mut call = call(0, "/", 200);
    call.request = answered(
        "POST /a?q=a%20b+c&flag HTTP/1.1\r\nHost: shop\r\nCookie: a=1; b=2\r\nContent-Type: text/plain\r\n\r\n",
        b"\xff\x00",
        2,
    );
    call.response.head =
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: s=x=y; Path=/; HttpOnly; Secure\r\nSet-Cookie: broken\r\n\r\n".into();
    let found = entry(call).unwrap();
    let request = &found["request"];
    let pair = |name: &str, value: &str| json!({"name": name, "value": value});
    assert_eq!(
        request["queryString"],
        json!([pair("q", "a b c"), pair("flag", "")])
    );
    assert_eq!(request["cookies"], json!([pair("a", "1"), pair("b", "2")]));
    assert_eq!(
        request["postData"],
        json!({"mimeType": "text/plain", "text": "/wA=", "_encoding": "base64"})
    );
    let response = &found["response"];
    assert_eq!(
        response["cookies"],
        json!([{"name": "s", "value": "x=y", "path": "/", "httpOnly": true, "secure": true}])
    );
    assert_eq!(
        (&response["redirectURL"], &response["statusText"]),
        (&json!("/b"), &json!("Found"))
    );
}

#[test]
fn a_websocket_has_its_messages_where_chrome_has_them() {
    let message = |from, kind, ms: u64, payload: &[u8]| StreamMessage {
        from,
        kind,
        at: 1_000_000 + ms * 1_000_000,
        size: payload.len() as u64,
        compressed: false,
        payload: payload.to_vec().into(),
        decoded: false,
        omitted: None,
    };
    let mut cut = message(Side::Server, MessageKind::Binary, 500, b"\x00\xff");
    (cut.size, cut.omitted) = (9, Some(Omitted::Limit));
    let mut deflated = message(Side::Client, MessageKind::Text, 750, b"\xf2H");
    deflated.compressed = true;
    let mut chat = call(1_700_000_000_000_000_000, "/chat", 101);
    chat.protocol = Protocol::WebSocket;
    chat.stream = Some(Box::new(Stream {
        client_messages: 5,
        server_messages: 1,
        messages: vec![
            message(Side::Client, MessageKind::Text, 250, "caf\u{e9}".as_bytes()),
            cut,
            deflated,
            message(Side::Client, MessageKind::Close, 1_000, &[0x03, 0xe8]),
        ],
    }));
    let found = entry(chat).unwrap();
    assert_eq!(found["request"]["url"], "ws://shop/chat");
    assert_eq!(found["_resourceType"], "websocket");
    let counts = json!({"client": 5, "server": 1});
    assert_eq!(found["_remora"]["message_counts"], counts);
    let messages = json!([
        {"type": "send", "time": 1_700_000_000.25, "opcode": 1, "data": "caf\u{e9}"},
        {"type": "receive", "time": 1_700_000_000.5, "opcode": 2, "data": "AP8=",
         "comment": "truncated (limit): 2 bytes were kept of 9 on the wire"},
        {"type": "send", "time": 1_700_000_000.75, "opcode": 1, "data": "8kg=",
         "comment": "the compression could not be undone"},
        {"type": "send", "time": 1_700_000_001.0, "opcode": 8, "data": "A+g="},
    ]);
    assert_eq!(found["_webSocketMessages"], messages);
    let plain = entry(call(0, "/", 200)).unwrap();
    assert_eq!(plain.get("_webSocketMessages"), None);
}

#[test]
fn only_http_has_an_entry() {
    for &protocol in Protocol::ALL {
        let mut call = call(0, "/", 200);
        call.protocol = protocol;
        assert_eq!(entry(call).is_some(), protocol.is_http(), "{protocol}");
    }
}

#[test]
fn a_response_that_a_fault_made_up_says_so() {
    let mut met = call(0, "/pay", 503);
    met.fault = Some(Injected {
        id: "f-1".into(),
        effect: EffectKind::Status,
    });
    let fault = json!({"id": "f-1", "effect": "status"});
    assert_eq!(entry(met).unwrap()["_remora"]["fault"], fault);
    let plain = entry(call(0, "/pay", 503)).unwrap();
    assert_eq!(plain["_remora"].get("fault"), None);
}

#[test]
fn addresses_are_written_without_their_port() {
    let mut call = call(0, "/", 200);
    call.dst = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x0a00, 7], 80));
    assert_eq!(entry(call).unwrap()["serverIPAddress"], "10.0.0.7");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_call_can_be_written(call in any_call()) {
        if let Some(found) = entry(call) {
            let url = found["request"]["url"].as_str().unwrap();
            proptest::prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", url);
            proptest::prop_assert!(found["time"].as_f64().unwrap() >= 0.0);
        }
    }
}
