//! What it costs to make a call fit to leave the pod: redaction of clean and of secret exchanges,
//! and the whole way from calls to a sealed block.
//!
//! `cargo bench -p remora-proxy --bench redact`. Prints the median and the fastest of many short
//! samples, in nanoseconds per call; short, so that most are not interrupted.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use remora_proxy::keys::RedactionKey;
use remora_proxy::redact::{Redaction, Redactor};
use remora_proxy::seal::Sealer;
use remora_store::block::{Codec, Origin};
use remora_store::call::{Call, Connection, Detail, Engine, Leg, Message, Phases, Protocol, State};

const SAMPLES: usize = 400;

fn main() {
    let key = RedactionKey::new("k-bench".to_owned(), &[7; 32]);
    let mut redactor = Redactor::new(&key, &Redaction::default());
    let plain = "GET /orders/17?page=2 HTTP/1.1\r\nHost: orders:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-Request-Id: 5f8a1c\r\n\r\n";
    let secret = "GET /orders/17?page=2 HTTP/1.1\r\nHost: orders:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nAuthorization: Bearer 8f7c3b1e9d5a4f60\r\nCookie: sid=9c1b7a2e; theme=dark\r\n\r\n";
    let json_1k = json(1024);
    let json_64k = json(64 * 1024);
    let html_64k =
        "<li class=\"row\"><a href=\"/item\">Some item of the list</a></li>\n".repeat(1024);
    let filler_64k = "x".repeat(64 * 1024);
    let form = (plain, secret);
    for (name, call) in [
        (
            "redact, 1 KB of JSON, clean",
            exchange(form.0, "", json_1k.clone()),
        ),
        (
            "redact, 1 KB of JSON, token and cookies",
            exchange(form.1, "", json_1k.clone()),
        ),
        (
            "redact, 64 KB of JSON, clean",
            exchange(form.0, "", json_64k.clone()),
        ),
        (
            "redact, 64 KB of HTML, clean",
            exchange(form.0, "", html_64k),
        ),
        (
            "redact, 64 KB of one letter, clean",
            exchange(form.0, "", filler_64k),
        ),
        (
            "redact, 64 KB of JSON in gzip, clean",
            exchange(form.0, "Content-Encoding: gzip\r\n", gzip(&json_64k)),
        ),
    ] {
        measure(
            name,
            1,
            || call.clone(),
            |mut call| {
                redactor.redact(&mut call);
                call
            },
        );
    }
    let mut sealer = Sealer::new(Origin::default(), key, &Redaction::default(), 64 * 1024);
    for (name, codec) in [("raw", Codec::Raw), ("lz4", Codec::Lz4)] {
        for (size, count, body) in [("1 KB", 100, &json_1k), ("64 KB", 4, &json_64k)] {
            let calls = vec![exchange(plain, "", body.clone()); count];
            let name = format!("seal, {count} calls of {size}, {name}");
            measure(
                &name,
                count,
                || calls.clone(),
                |calls| sealer.seal(calls, None, Vec::new(), codec),
            );
        }
    }
}

/// Runs `work` on fresh inputs, which are made beforehand, and prints what one call costs.
fn measure<I, O>(name: &str, calls: usize, input: impl Fn() -> I, mut work: impl FnMut(I) -> O) {
    let mut costs: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let inputs = [input(), input(), input(), input()];
            let runs = inputs.len();
            let start = Instant::now();
            let outputs = inputs.map(|input| work(black_box(input)));
            let took = start.elapsed();
            black_box(outputs);
            took.as_nanos() as f64 / (runs * calls) as f64
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    let (fastest, median) = (costs.first().unwrap(), costs.get(SAMPLES / 2).unwrap());
    println!("{name:45} {median:>9.0} ns  (fastest {fastest:.0})");
}

fn exchange(request: &'static str, extra: &str, body: impl Into<Bytes>) -> Call {
    let address = "10.0.0.1:8080".parse().unwrap();
    let body = body.into();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{extra}Date: Sun, 22 Nov 2026 18:44:50 GMT\r\n\r\n",
        body.len()
    );
    Call {
        time_ns: 1_795_375_886_686_890_642,
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
        request: Message {
            head: Bytes::from(request),
            ..Message::default()
        },
        response: Message {
            head: Bytes::from(head),
            body_size: body.len() as u64,
            body,
            ..Message::default()
        },
        interim: Bytes::new(),
        phases: Phases::default(),
        closed_by: None,
        error: None,
        join_digest: None,
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    }
}

/// About `size` bytes of the JSON that shops speak.
fn json(size: usize) -> String {
    let mut text = String::from("[");
    let mut number = 1;
    while text.len() < size {
        number = number * 7919 % 1_000_003;
        text.push_str(&format!(
            "{{\"id\":{number},\"name\":\"Blue kettle, large\",\"price\":{}.50,\"stock\":{},\"tags\":[\"kitchen\",\"sale\"],\"created_at\":\"2026-11-22T18:44:50Z\"}},",
            number % 97,
            number % 13
        ));
    }
    text.push_str("null]");
    text
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
