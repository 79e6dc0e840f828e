//! How a session begins and ends, and what comes beside its statements.

use super::*;
use crate::observe::postgres::{CANCEL_REQUEST, GSS_REQUEST, SSL_REQUEST};

#[test]
fn notices_and_notifications_come_at_any_time_and_are_no_answers() {
    let mut watched = Watched::session();
    watched.server(&[message(b'A', b"\0\0\0\x01channel\0secret\0")]);
    watched.client(&[query("LISTEN channel")]);
    watched.server(&[
        message(b'N', b"SNOTICE\0Mhello\0\0"),
        done("LISTEN"),
        ready(b'I'),
    ]);
    assert_eq!(
        watched.told(),
        [json!(["LISTEN", "LISTEN channel", [], null, null])]
    );
}

#[test]
fn passwords_are_not_kept() {
    let mut watched = Watched::new(4096, 1 << 20);
    watched.client(&[startup()]);
    watched.server(&[message(b'R', &[0, 0, 0, 3])]);
    let password = message(b'p', b"hunter2-hunter2\0");
    for piece in password.chunks(3) {
        watched.say(Side::Client, piece);
    }
    watched.server(&[error("FATAL", "28P01", "password authentication failed")]);
    watched
        .observer
        .end(Side::Server, End::Closed, 99, &mut watched.out);
    watched.observer.closed(Side::Client, 100, &mut watched.out);
    assert_eq!(
        watched.told(),
        [json!(["CONNECT", "CONNECT", [], null, "28P01"])]
    );
    assert!(!format!("{:?}", watched.observer).contains("hunter2"));
    assert!(!format!("{:?}", watched.out).contains("hunter2"));
    assert_eq!(
        detail(watched.calls()[0]).error.unwrap().severity.as_str(),
        "FATAL"
    );
}

#[test]
fn where_the_server_encrypts_it_is_tls_from_there_on() {
    let mut watched = Watched::new(4096, 1 << 20);
    watched
        .client(&[untyped(SSL_REQUEST, b"")])
        .say(Side::Server, b"S");
    watched.say(Side::Client, b"\x16\x03\x01\x00\x05hello");
    watched.observer.closed(Side::Client, 100, &mut watched.out);
    let [call] = watched.calls()[..] else {
        panic!("one call");
    };
    assert_eq!((call.protocol, call.request.body_size), (Protocol::Tls, 10));
}

#[test]
fn where_it_does_not_the_session_is_read() {
    let mut watched = Watched::new(4096, 1 << 20);
    watched
        .client(&[untyped(GSS_REQUEST, b"")])
        .say(Side::Server, b"N");
    watched
        .client(&[untyped(SSL_REQUEST, b"")])
        .say(Side::Server, b"N");
    watched.client(&[startup()]).server(&[welcome()]);
    watched.answered("SELECT 1", "SELECT 1");
    assert_eq!(watched.told(), [json!(["SELECT", "SELECT ?", [], 1, null])]);
}

#[test]
fn a_request_to_cancel_is_a_call_without_its_key() {
    let mut watched = Watched::new(4096, 1 << 20);
    watched.client(&[untyped(CANCEL_REQUEST, b"\0\0\0\x07keyX")]);
    watched.observer.closed(Side::Server, 50, &mut watched.out);
    assert_eq!(
        watched.told(),
        [json!(["CANCEL", "CANCEL", null, null, null])]
    );
    assert_eq!(watched.calls()[0].error, None);
    assert!(!format!("{:?}", watched.out).contains("keyX"));
}

#[test]
fn a_connection_that_breaks_breaks_what_runs() {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT pg_sleep(9)")]);
    assert_eq!(watched.open().len(), 1);
    watched
        .observer
        .end(Side::Server, End::Reset, 50, &mut watched.out);
    assert_eq!(watched.calls()[0].error, Some(CallError::ServerReset));
}

#[test]
fn where_a_client_stops_making_sense_does_not_depend_on_how_its_bytes_were_cut() {
    for cut in [1, 9] {
        let mut watched = Watched::session();
        for piece in b"!nonsense".chunks(cut) {
            watched.say(Side::Client, piece);
        }
        watched.observer.closed(Side::Client, 50, &mut watched.out);
        let Detail::Opaque(opaque) = &watched.calls()[0].detail else {
            panic!("the rest is opaque: {:?}", watched.calls());
        };
        assert_eq!(opaque.from_byte, startup().len() as u64 + 1);
    }
}

#[test]
fn what_is_no_message_is_counted_from_there_on() {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT 1")]);
    watched.say(Side::Server, b"!nonsense");
    watched.observer.closed(Side::Client, 50, &mut watched.out);
    let [statement, rest] = watched.calls()[..] else {
        panic!("two calls");
    };
    assert_eq!(statement.protocol, Protocol::Postgresql);
    let Detail::Opaque(opaque) = &rest.detail else {
        panic!("the rest is opaque: {rest:?}");
    };
    let sent = startup().len() + query("SELECT 1").len();
    assert_eq!(opaque.from_byte, sent as u64);
    assert_eq!(opaque.recognised.as_deref(), Some("postgres"));
}
