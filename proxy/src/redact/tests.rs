//! What is masked, how, and what is left alone: whole messages in, whole messages out.

mod attacks;
mod bodies;
mod codings;
mod heads;
mod messages;
mod planted;
mod tags;

use std::cell::RefCell;
use std::io::Write;

use remora_store::call::{Connection, Detail, Digest, Engine, Leg, Phases, Protocol};

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

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
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

fn coded(coding: &str, body: Vec<u8>) -> Message {
    message(
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n"),
        body,
    )
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

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

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
