//! What the observer makes of the corpus: reviewed, and the same however the bytes are cut.

use std::fmt::Write;

use proptest::prelude::*;
use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, End, Limits, Observer, Recorded};
use remora_store::call::{Call, Detail, Leg, Message, Phases, Side, Stream, StreamMessage};

use crate::corpus::{Action, Exchange, exchanges};

const BUDGET_BYTES: usize = 8 << 20;

/// Feeds an exchange, each step cut into pieces by `cut`. The clock shows the number of the step.
fn observe(exchange: &Exchange, mut cut: impl FnMut(&[u8]) -> Vec<Vec<u8>>) -> Vec<Call> {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 0,
    };
    let limits = Limits {
        body_bytes: 64 * 1024,
        head_bytes: 64 * 1024,
    };
    let budget = Budget::new(BUDGET_BYTES);
    let mut observer = Observer::new(facts, limits, budget.clone());
    let mut out = Vec::new();
    observer.connected(
        0,
        ([10, 0, 0, 2], 50_000).into(),
        ([10, 0, 0, 3], 80).into(),
    );
    for (step, at) in exchange.steps.iter().zip(1..) {
        match &step.action {
            Action::Send(bytes) => {
                for piece in cut(bytes) {
                    observer.bytes(step.side, &piece, at, &mut out);
                }
            }
            Action::Fin => observer.end(step.side, End::Closed, at, &mut out),
            Action::Rst => observer.end(step.side, End::Reset, at, &mut out),
        }
    }
    observer.closed(Side::Sidecar, 1_000, &mut out);
    assert_eq!(observer.take_dropped(), 0, "nothing exceeds the budget");
    let cost: usize = out.iter().map(|recorded| recorded.cost_bytes).sum();
    assert_eq!(cost, budget.used_bytes(), "what was taken has an owner");
    out.into_iter().map(|Recorded { call, .. }| call).collect()
}

fn whole(bytes: &[u8]) -> Vec<Vec<u8>> {
    vec![bytes.to_vec()]
}

fn single(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.iter().map(|byte| vec![*byte]).collect()
}

#[test]
fn what_is_made_of_the_corpus_is_reviewed() {
    let mut groups: Vec<(&str, String)> = Vec::new();
    for exchange in exchanges() {
        if groups
            .last()
            .is_none_or(|(group, _)| *group != exchange.group)
        {
            groups.push((exchange.group, String::new()));
        }
        let (_, text) = groups.last_mut().expect("it was just pushed");
        writeln!(text, "== {}", exchange.name).unwrap();
        let calls = observe(&exchange, whole);
        if calls.is_empty() {
            text.push_str("no call\n");
        }
        for call in &calls {
            write_call(text, call);
        }
        text.push('\n');
    }
    for (group, text) in groups {
        insta::assert_snapshot!(group, text);
    }
}

#[test]
fn single_bytes_give_the_same_calls() {
    for exchange in exchanges() {
        assert_same(&exchange, &observe(&exchange, single));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_pieces_give_the_same_calls(sizes in prop::collection::vec(1usize..200, 1..50)) {
        for exchange in exchanges() {
            let mut sizes = sizes.iter().cycle();
            let calls = observe(&exchange, |mut bytes| {
                let mut pieces = Vec::new();
                while !bytes.is_empty() {
                    let size = sizes.next().map_or(1, |size| (*size).min(bytes.len()));
                    let (piece, rest) = bytes.split_at(size);
                    pieces.push(piece.to_vec());
                    bytes = rest;
                }
                pieces
            });
            assert_same(&exchange, &calls);
        }
    }
}

fn assert_same(exchange: &Exchange, calls: &[Call]) {
    let expected = observe(exchange, whole);
    assert!(
        expected == calls,
        "{:?} differs:\n{}\nbut whole:\n{}",
        exchange.name,
        rendered(calls),
        rendered(&expected)
    );
}

fn rendered(calls: &[Call]) -> String {
    let mut text = String::new();
    calls.iter().for_each(|call| write_call(&mut text, call));
    text
}

fn write_call(text: &mut String, call: &Call) {
    let Phases {
        request_first,
        request_last,
        response_first,
        response_last,
        closed,
        ..
    } = call.phases;
    let probe = if call.probe { ", probe" } else { "" };
    let (ordinal, protocol) = (call.connection.ordinal, call.protocol);
    writeln!(text, "call {ordinal}, {protocol}{probe}").unwrap();
    write_detail(text, &call.detail);
    write_message(
        text,
        "request",
        &call.request,
        (request_first, request_last),
    );
    write_lines(text, "interim", &call.interim);
    let response = (response_first, response_last);
    write_message(text, "response", &call.response, response);
    write_stream(text, call.stream.as_deref());
    if let Some(closed) = closed {
        // A stream of HTTP/2 is given up while its connection goes on.
        let end = call
            .closed_by
            .map_or("given up".to_owned(), |by| format!("closed by {by}"));
        writeln!(text, "  {end} in step {closed}").unwrap();
    }
    if let Some(error) = call.error {
        writeln!(text, "  error {error}").unwrap();
    }
}

fn write_detail(text: &mut String, detail: &Detail) {
    match detail {
        Detail::None => {}
        Detail::Sql(sql) => writeln!(text, "  sql {sql:?}").unwrap(),
        Detail::Http2(http2) => writeln!(text, "  http2 {http2:?}").unwrap(),
        Detail::Redis(redis) => writeln!(
            text,
            "  {:?} of {:?}, {} keys, error {:?}, in database {:?}, version {}, transaction {}",
            redis.command,
            redis.key,
            redis.keys,
            redis.error,
            redis.database,
            redis.version,
            redis.in_transaction
        )
        .unwrap(),
        Detail::Tls(hello) => writeln!(
            text,
            "  hello for {:?}, offers {:?}, versions {:04x?}, random {:02x?}…",
            hello.sni.as_deref().unwrap_or("nobody"),
            hello.alpn,
            hello.versions,
            &hello.random[..4]
        )
        .unwrap(),
        Detail::Opaque(opaque) => writeln!(
            text,
            "  {} spoke first, recognised as {}, from the client's byte {}{}",
            opaque.first_speaker.map_or("nobody", Side::as_str),
            opaque.recognised.as_deref().unwrap_or("nothing"),
            opaque.from_byte,
            opaque
                .reason
                .as_ref()
                .map_or(String::new(), |reason| format!(": {reason}"))
        )
        .unwrap(),
    }
}

fn write_stream(text: &mut String, stream: Option<&Stream>) {
    let Some(stream) = stream else {
        return;
    };
    let (client, server) = (stream.client_messages, stream.server_messages);
    writeln!(
        text,
        "  messages: {client} of the client, {server} of the server"
    )
    .unwrap();
    let last = stream.messages.len().saturating_sub(2);
    for (place, message) in stream.messages.iter().enumerate() {
        match place {
            12.. if place < last => {}
            _ => write_stream_message(text, message),
        }
    }
    if stream.messages.len() > 14 {
        writeln!(text, "    {} in all", stream.messages.len()).unwrap();
    }
}

fn write_stream_message(text: &mut String, message: &StreamMessage) {
    let compressed = if message.compressed {
        ", compressed"
    } else {
        ""
    };
    let omitted = message
        .omitted
        .map_or(String::new(), |why| format!(", omitted: {why}"));
    let (from, kind) = (message.from, message.kind);
    let (at, size) = (message.at, message.size);
    writeln!(
        text,
        "    {kind} of the {from} in step {at}, {size} bytes{compressed}{omitted}"
    )
    .unwrap();
    write_lines(text, "payload", &message.payload);
}

type Times = (Option<u64>, Option<u64>);

fn write_message(text: &mut String, title: &str, message: &Message, (first, last): Times) {
    if *message == Message::default() && (first, last) == (None, None) {
        return;
    }
    let step = |step: Option<u64>| step.map_or("never".to_owned(), |step| step.to_string());
    let omitted = message
        .omitted
        .map_or(String::new(), |why| format!(", omitted: {why}"));
    writeln!(
        text,
        "  {title} in steps {} to {}, body of {} bytes{omitted}",
        step(first),
        step(last),
        message.body_size
    )
    .unwrap();
    write_lines(text, "head", &message.head);
    write_lines(text, "body", &message.body);
    write_lines(text, "trailers", &message.trailers);
}

/// Line by line, long ones shortened.
fn write_lines(text: &mut String, title: &str, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    writeln!(text, "    {title}:").unwrap();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (start, rest) = line.split_at(line.len().min(80));
        let more = match rest.len() {
            0 => String::new(),
            more => format!(" … and {more} bytes"),
        };
        writeln!(text, "      {}{more}", start.escape_ascii()).unwrap();
    }
}
