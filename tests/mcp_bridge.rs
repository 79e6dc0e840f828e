//! `remora mcp` between a client and a hub: official clients, a hub that comes and goes, and messages
//! as no client should send them.

pub mod child;
pub mod clients;
mod hub;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::process::HubPlace;
use crate::support::spoken::PATIENCE;
use child::{Bridge, current, legacy};

/// Answers the tools of a hub, in both protocols.
fn list_tools(bridge: &mut Bridge) {
    for request in [
        current(json!("a"), "tools/list", json!({})),
        legacy(json!(7), "tools/list"),
    ] {
        bridge.send(&request);
        let answer = bridge.receive();
        assert_eq!(answer["id"], request["id"]);
        let tools = answer["result"]["tools"].as_array();
        assert!(tools.is_some_and(|tools| tools.len() > 3), "{answer}");
    }
}

#[test]
fn many_requests_at_once_are_each_answered_once_and_the_end_of_the_input_ends_it_well() {
    let place = HubPlace::new();
    let hub = hub::ready(&place, &[]);
    let mut bridge = Bridge::start(&place.api(), &[]);
    list_tools(&mut bridge);
    for id in 0..200 {
        bridge.send(&current(json!(id), "tools/list", json!({})));
    }
    let before: Vec<_> = (0..180).map(|_| bridge.receive()).collect();
    // What was asked before the end is answered after it.
    let (answers, status) = bridge.finish();
    let answers = [before, answers].concat();
    let mut ids: Vec<u64> = answers
        .iter()
        .map(|answer| answer["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<u64>>());
    assert!(
        answers
            .iter()
            .all(|answer| answer["result"]["tools"].is_array())
    );
    assert_eq!(status, Some(0));
    hub.stop();
}

#[test]
fn a_hub_that_comes_and_goes_needs_no_restart_of_the_bridge() {
    let place = HubPlace::new();
    let mut bridge = Bridge::start(&place.api(), &[]);
    let refused = |bridge: &mut Bridge| {
        bridge.send(&current(json!(1), "tools/list", json!({})));
        let answer = bridge.receive();
        let message = answer["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(1), &json!(-32603))
        );
        assert!(
            message.contains(&place.api()) && message.contains("ask again"),
            "{message}"
        );
    };
    refused(&mut bridge);
    let hub = hub::ready(&place, &[]);
    list_tools(&mut bridge);
    hub.kill();
    refused(&mut bridge);
    let hub = hub::ready(&place, &[]);
    list_tools(&mut bridge);
    hub.stop();
    assert_eq!(bridge.finish().1, Some(0));
}

#[test]
fn a_token_is_read_anew_for_every_message() {
    let place = HubPlace::new();
    let folder = tempfile::tempdir().unwrap();
    let (right, file) = (folder.path().join("right"), folder.path().join("token"));
    std::fs::write(&right, "0123456789abcdef0123\n").unwrap();
    std::fs::write(&file, "not-the-token-of-it\n").unwrap();
    let hub = hub::ready(&place, &["--token-file", right.to_str().unwrap()]);
    let mut bridge = Bridge::start(&place.api(), &["--token-file", file.to_str().unwrap()]);
    bridge.send(&current(json!(1), "tools/list", json!({})));
    let message = bridge.receive()["error"]["message"].to_string();
    assert!(
        message.contains("401") && message.contains("--token-file"),
        "{message}"
    );
    std::fs::copy(&right, &file).unwrap();
    list_tools(&mut bridge);
    std::fs::remove_file(&file).unwrap();
    bridge.send(&current(json!(2), "tools/list", json!({})));
    let message = bridge.receive()["error"]["message"].to_string();
    assert!(message.contains("cannot be read from"), "{message}");
    assert_eq!(bridge.finish().1, Some(0));
    hub.stop();
}

#[test]
fn what_is_no_message_is_refused_and_the_next_is_answered() {
    let place = HubPlace::new();
    let hub = hub::ready(&place, &[]);
    let mut bridge = Bridge::start(&place.api(), &[]);
    for (line, code, said) in [
        ("nonsense".to_owned(), -32700, "no JSON"),
        ("[]".to_owned(), -32600, "no batches"),
        ("[".repeat(100_000), -32700, "no JSON"),
        ("x".repeat(5 * 1024 * 1024), -32600, "longer than"),
    ] {
        bridge.send_line(&line);
        let answer = bridge.receive();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&Value::Null, &json!(code))
        );
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(said),
            "{answer}"
        );
    }
    // More than the hub takes: the request itself is told.
    let huge =
        json!({"name": "calls_search", "arguments": {"cursor": "x".repeat(2 * 1024 * 1024)}});
    bridge.send(&current(json!("huge"), "tools/call", huge));
    let answer = bridge.receive();
    assert_eq!(answer["id"], "huge");
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("413"),
        "{answer}"
    );
    list_tools(&mut bridge);
    assert_eq!(bridge.finish().1, Some(0));
    hub.stop();
}

/// Takes one request from a connection; gives its body.
fn take_request(stream: &mut TcpStream) -> Value {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn progress_comes_before_the_answer_and_every_byte_is_the_hubs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", listener.local_addr().unwrap());
    let mut bridge = Bridge::start(&hub, &[]);
    bridge.send(&current(
        json!(1),
        "tools/call",
        json!({"name": "snapshot_wait"}),
    ));
    let (mut stream, _) = listener.accept().unwrap();
    take_request(&mut stream);
    let lines = [
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1.0}}"#,
        r#"{"method":"notifications/progress",  "params":{"progress":2,"progressToken":"p"},"jsonrpc":"2.0"}"#,
        r#"{"result":{"content":[],"z":1e3,"a":"\u00e9"},"id":1,"jsonrpc":"2.0"}"#,
    ];
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\n").unwrap();
    for line in lines {
        // Each is relayed when it comes, not when the answer is whole.
        stream
            .write_all(format!("data: {line}\n\n").as_bytes())
            .unwrap();
        assert_eq!(bridge.receive_line(), line);
    }
    drop(stream);
    assert_eq!(bridge.finish(), (Vec::new(), Some(0)));
}

#[test]
fn a_hub_that_breaks_off_is_an_error_of_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", listener.local_addr().unwrap());
    let mut bridge = Bridge::start(&hub, &[]);
    for half in [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"jsonrpc\"",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n",
    ] {
        bridge.send(&current(
            json!("x"),
            "tools/call",
            json!({"name": "recorder_status"}),
        ));
        let (mut stream, _) = listener.accept().unwrap();
        take_request(&mut stream);
        stream.write_all(half.as_bytes()).unwrap();
        drop(stream);
        let mut answer = bridge.receive();
        if answer["id"].is_null() {
            assert_eq!(answer["method"], "notifications/progress");
            answer = bridge.receive();
        }
        assert_eq!(answer["id"], "x");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("broke off"),
            "{answer}"
        );
    }
    assert_eq!(bridge.finish().1, Some(0));
}

#[test]
fn a_cancelled_request_is_broken_off_at_the_hub_and_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", listener.local_addr().unwrap());
    let mut bridge = Bridge::start(&hub, &[]);
    bridge.send(&current(
        json!(5),
        "tools/call",
        json!({"name": "snapshot_wait"}),
    ));
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(take_request(&mut stream)["id"], 5);
    bridge.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}),
    );
    // The hub sees the end of the connection; a bridge that kept it would leave this waiting.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(bridge.finish(), (Vec::new(), Some(0)));
}
