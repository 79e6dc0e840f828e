//! A hub that is told to stop while it is asked: what was asked is answered, and nothing keeps it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::process::{HubPlace, Running};

/// Calls that are under way when the signal comes.
const CALLS: usize = 6;

fn ready(place: &HubPlace) -> Running {
    let hub = place.start();
    for port in [place.api_port, place.ingest_port] {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                std::time::Instant::now() < deadline,
                "the hub does not listen"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    hub
}

fn send(port: u16, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n",
        body.len()
    );
    let request = format!(
        "{request}Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Reads to the end, which is the hub's: it closes a connection when it drains.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Asks as a sidecar does; the answer ends the connection only if it says so, so it is read to the
/// end of its JSON. Gives the epoch.
fn answer_of(stream: &mut TcpStream) -> u64 {
    let mut text = String::new();
    let mut piece = [0; 1_024];
    while !text.contains("}}") && !text.ends_with("\"}") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the hub broke off: {text}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    let epoch = text.split("\"epoch\":").nth(1).unwrap();
    epoch
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn sidecar(place: &HubPlace, number: usize, epoch: u64) -> TcpStream {
    let question = format!(
        "GET /ingest/v1/control?incarnation={number:032x}&workload=w{number}&namespace=shop&pod=p&epoch={epoch}&sequence=0"
    );
    send(place.ingest_port, &question, "")
}

#[test]
fn no_answer_is_lost_when_the_hub_is_told_to_stop() {
    let place = HubPlace::new();
    let hub = ready(&place);
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"recorder_status","arguments":{}}}"#;
    let mut calls = Vec::new();
    for number in 1..=CALLS {
        // A sidecar that hears of the question and never answers it: the hub now waits for it in the
        // middle of the call.
        let epoch = answer_of(&mut sidecar(&place, number, 0));
        let mut waiting = sidecar(&place, number, epoch);
        let call = send(place.api_port, "POST /mcp", body);
        assert!(answer_of(&mut waiting) > epoch);
        calls.push(call);
    }
    hub.signal("TERM");
    for call in calls {
        let answer = rest(call);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\"id\":7"),
            "{answer}"
        );
        assert!(answer.contains("structuredContent"), "{answer}");
    }
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn connections_that_only_wait_do_not_keep_the_hub() {
    let place = HubPlace::new();
    let hub = ready(&place);
    // As an older client listens for news of the hub, a sidecar for orders, and a browser for nothing.
    let listening = send(place.api_port, "GET /mcp", "");
    let epoch = answer_of(&mut sidecar(&place, 1, 0));
    let waiting = sidecar(&place, 1, epoch);
    let idle = TcpStream::connect(("127.0.0.1", place.api_port)).unwrap();
    let half = send(place.api_port, "GET /healthz", "");
    assert_eq!(hub.stop(), Some(0));
    for stream in [listening, waiting, idle, half] {
        rest(stream);
    }
}
