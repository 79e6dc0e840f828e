//! Sessions told message by message. What real servers and clients say is tested end to end.

use proptest::prelude::*;
use remora_store::call::{CallError, Detail, Omitted, Sql};
use remora_store::sql;
use serde_json::{Value, json};
use test_case::test_case;

use super::super::{ConnectionFacts, End, Limits, Observer};
use crate::budget::Budget;
use crate::observe::Recorded;
use remora_store::call::{Call, Leg, Protocol, Side};

mod answers;
mod budget;
mod kept;
mod order;

/// A message: type, length, body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn untyped(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

fn startup() -> Vec<u8> {
    untyped(3 << 16, b"user\0orders\0database\0shop\0\0")
}

/// What a server says to a client that it lets in.
fn welcome() -> Vec<u8> {
    [
        message(b'R', &[0, 0, 0, 3]),
        message(b'R', &[0; 4]),
        message(b'S', b"standard_conforming_strings\0on\0"),
        message(b'K', &[7; 8]),
        ready(b'I'),
    ]
    .concat()
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn done(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0");
    message(b'E', body.as_bytes())
}

fn columns(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, oid) in columns {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0; 8]);
    }
    message(b'T', &body)
}

fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend_from_slice(&[0xff; 4]),
            Some(value) => {
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(value);
            }
        }
    }
    body
}

fn row(row: &[Option<&[u8]>]) -> Vec<u8> {
    message(b'D', &values(row))
}

fn parse(name: &str, text: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{text}\0").into_bytes();
    body.extend_from_slice(&(types.len() as u16).to_be_bytes());
    types
        .iter()
        .for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
    message(b'P', &body)
}

fn bind(portal: &str, statement: &str, formats: &[u16], given: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    body.extend_from_slice(&(formats.len() as u16).to_be_bytes());
    formats
        .iter()
        .for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
    body.extend_from_slice(&values(given));
    body.extend_from_slice(&[0, 0]);
    message(b'B', &body)
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn describe(what: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[what], name.as_bytes(), b"\0"].concat())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

struct Watched {
    observer: Observer,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn new(body_bytes: usize, budget_bytes: usize) -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Outbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 5432).into(),
            accepted_ns: 1_000_000,
        };
        let limits = Limits {
            body_bytes,
            head_bytes: 64 * 1024,
        };
        Self {
            observer: Observer::new(facts, limits, Budget::new(budget_bytes)),
            now: 0,
            out: Vec::new(),
        }
    }

    /// A session that stands.
    fn session() -> Self {
        let mut watched = Self::new(4096, 1 << 20);
        watched.client(&[startup()]);
        watched.server(&[welcome()]);
        watched
    }

    fn client(&mut self, messages: &[Vec<u8>]) -> &mut Self {
        self.say(Side::Client, &messages.concat())
    }

    fn server(&mut self, messages: &[Vec<u8>]) -> &mut Self {
        self.say(Side::Server, &messages.concat())
    }

    fn say(&mut self, from: Side, bytes: &[u8]) -> &mut Self {
        self.now += 10;
        self.observer.bytes(from, bytes, self.now, &mut self.out);
        self
    }

    fn calls(&self) -> Vec<&Call> {
        self.out.iter().map(|recorded| &recorded.call).collect()
    }

    /// Command, fingerprint, values, rows and code of the error of each call.
    fn told(&self) -> Vec<Value> {
        self.calls().into_iter().map(told).collect()
    }
}

fn told(call: &Call) -> Value {
    let sql = detail(call);
    let statement = sql::statement(call);
    json!([
        sql.command,
        sql.fingerprint,
        statement.and_then(|it| it.params),
        sql.rows,
        sql.error.map(|error| error.code.to_string()),
    ])
}

fn detail(call: &Call) -> &Sql {
    match &call.detail {
        Detail::Sql(sql) => sql,
        other => panic!("it is no statement: {other:?}"),
    }
}

fn body(call: &Call) -> &str {
    str::from_utf8(&call.response.body).unwrap()
}

#[test]
fn a_query_is_a_call_with_its_rows() {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT id, name FROM t WHERE id = 7")]);
    let described = columns(&[("id", 23), ("name", 25)]);
    watched.server(&[described, row(&[Some(b"7"), Some(b"a\"b")])]);
    watched.server(&[row(&[Some(b"8"), None]), done("SELECT 2"), ready(b'I')]);
    let [call] = watched.calls()[..] else {
        panic!("one call: {:?}", watched.told());
    };
    assert_eq!(
        told(call),
        json!(["SELECT", "SELECT id, name FROM t WHERE id = ?", [], 2, null])
    );
    assert_eq!(
        body(call),
        "{\"id\":7,\"name\":\"a\\\"b\"}\n{\"id\":8,\"name\":null}"
    );
    assert_eq!((call.request.body_size, call.response.body_size), (35, 5));
    let sql = detail(call);
    assert_eq!(sql.user.as_deref(), Some("orders"));
    assert_eq!(sql.database.as_deref(), Some("shop"));
    let phases = &call.phases;
    let times = [
        phases.request_first,
        phases.request_last,
        phases.response_first,
        phases.response_last,
    ];
    assert_eq!(times, [Some(30), Some(30), Some(40), Some(50)]);
    assert_eq!((call.protocol, call.error), (Protocol::Postgresql, None));
}

#[test]
fn each_statement_of_a_text_is_a_call() {
    let mut watched = Watched::session();
    watched.client(&[query("BEGIN; UPDATE t SET a = 1; SELECT 1/0; COMMIT")]);
    watched.server(&[
        done("BEGIN"),
        done("UPDATE 3"),
        error("ERROR", "22012", "division by zero"),
        ready(b'E'),
    ]);
    watched.client(&[query("SELECT 2")]);
    watched.server(&[error("ERROR", "25P02", "aborted"), ready(b'E')]);
    assert_eq!(
        watched.told(),
        [
            json!(["BEGIN", "BEGIN", [], null, null]),
            json!(["UPDATE", "UPDATE t SET a = ?", [], 3, null]),
            json!(["SELECT", "SELECT ? / ?", [], null, "22012"]),
            json!(["SELECT", "SELECT ?", [], null, "25P02"]),
        ]
    );
    let refused = watched.calls()[2];
    assert_eq!(
        sql::error_message(refused),
        Some(Some("division by zero".into()))
    );
    let transactions: Vec<_> = watched
        .calls()
        .iter()
        .map(|it| detail(it).in_transaction)
        .collect();
    assert_eq!(transactions, [false, false, false, true]);
}

#[test]
fn an_empty_text_is_a_call_without_rows() {
    let mut watched = Watched::session();
    watched.client(&[query(" ; -- nothing")]);
    watched.server(&[message(b'I', b""), ready(b'I')]);
    assert_eq!(watched.told(), [json!(["EMPTY", "", [], null, null])]);
}

#[test]
fn values_are_told_by_their_types_and_formats() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "SELECT $1, $2, $3, $4", &[23, 0, 20]),
        bind(
            "",
            "",
            &[0, 0, 1, 1],
            &[Some(b"7"), Some(b"x"), Some(&9_i64.to_be_bytes()), None],
        ),
        describe(b'P', ""),
        execute(""),
        sync(),
    ]);
    let described = columns(&[("a", 23)]);
    watched.server(&[
        message(b'1', b""),
        message(b'2', b""),
        described,
        row(&[Some(b"7")]),
        done("SELECT 1"),
        ready(b'I'),
    ]);
    assert_eq!(
        watched.told(),
        [json!(["SELECT", "SELECT ?", [7, "x", 9, null], 1, null])]
    );
    assert_eq!(body(watched.calls()[0]), "{\"a\":7}");
    assert_eq!(detail(watched.calls()[0]).sent.as_str(), "extended");
}

#[test]
fn a_prepared_statement_is_executed_again_and_again() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("s1", "SELECT a FROM t WHERE id = $1", &[]),
        describe(b'S', "s1"),
        sync(),
    ]);
    watched.server(&[
        message(b'1', b""),
        message(b't', &[0, 1, 0, 0, 0, 23]),
        columns(&[("a", 25)]),
        ready(b'I'),
    ]);
    for id in [1_i32, 2] {
        watched.client(&[
            bind("", "s1", &[1], &[Some(&id.to_be_bytes())]),
            execute(""),
            sync(),
        ]);
        watched.server(&[
            message(b'2', b""),
            row(&[Some(b"x")]),
            done("SELECT 1"),
            ready(b'I'),
        ]);
    }
    let expected = |id| json!(["SELECT", "SELECT a FROM t WHERE id = ?", [id], 1, null]);
    assert_eq!(watched.told(), [expected(1), expected(2)]);
    assert_eq!(body(watched.calls()[1]), "{\"a\":\"x\"}");
    assert_eq!(detail(watched.calls()[1]).sent.as_str(), "prepared");
}

#[test]
fn of_a_pipeline_only_what_failed_and_what_came_before_is_told() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "INSERT INTO t VALUES ($1)", &[]),
        bind("", "", &[], &[Some(b"1")]),
        execute(""),
        bind("", "", &[], &[Some(b"1")]),
        execute(""),
        bind("", "", &[], &[Some(b"2")]),
        execute(""),
    ]);
    watched.server(&[
        message(b'1', b""),
        message(b'2', b""),
        done("INSERT 0 1"),
        message(b'2', b""),
    ]);
    watched.server(&[error("ERROR", "23505", "it is there")]);
    // The server looks at nothing until the pipeline ends.
    watched.client(&[bind("", "", &[], &[Some(b"3")]), execute(""), sync()]);
    watched.server(&[ready(b'I')]);
    watched.client(&[bind("", "", &[], &[Some(b"4")]), execute(""), sync()]);
    watched.server(&[message(b'2', b""), done("INSERT 0 1"), ready(b'I')]);
    let told = |id, rows: Option<u64>, error: Option<&str>| {
        json!(["INSERT", "INSERT INTO t VALUES (?)", [id], rows, error])
    };
    assert_eq!(
        watched.told(),
        [
            told("1", Some(1), None),
            told("1", None, Some("23505")),
            told("4", Some(1), None),
        ]
    );
    assert!(watched.open().is_empty());
}

#[test]
fn what_cannot_be_parsed_is_a_call_that_failed() {
    let mut watched = Watched::session();
    watched.client(&[parse("s", "SELEC 1", &[]), sync()]);
    watched.server(&[error("ERROR", "42601", "syntax error"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["SELEC", "selec ?", [], null, "42601"])]
    );
}

#[test]
fn a_portal_that_is_read_in_parts_is_fetched_from() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "SELECT a FROM t", &[]),
        bind("p", "", &[], &[]),
        execute("p"),
        sync(),
    ]);
    watched.server(&[
        message(b'1', b""),
        message(b'2', b""),
        row(&[Some(b"1")]),
        message(b's', b""),
        ready(b'T'),
    ]);
    watched.client(&[execute("p"), sync()]);
    watched.server(&[row(&[Some(b"2")]), done("SELECT 1"), ready(b'T')]);
    assert_eq!(
        watched.told(),
        [
            json!(["SELECT", "SELECT a FROM t", [], 1, null]),
            json!(["FETCH", "SELECT a FROM t", [], 1, null]),
        ]
    );
    assert_eq!(watched.calls()[1].response.body_size, 1);
}

#[test]
fn a_copy_is_one_call_with_its_sizes() {
    let mut watched = Watched::session();
    watched.client(&[query("COPY t FROM STDIN")]);
    watched.server(&[message(b'G', &[0; 3])]);
    watched.client(&[
        message(b'd', b"1\ta\n"),
        message(b'd', b"2\tb\n"),
        message(b'c', b""),
    ]);
    watched.server(&[done("COPY 2"), ready(b'I')]);
    watched.client(&[query("COPY t TO STDOUT")]);
    watched.server(&[
        message(b'H', &[0; 3]),
        message(b'd', b"1\ta\n"),
        message(b'c', b""),
        done("COPY 1"),
        ready(b'I'),
    ]);
    let [to, from] = watched.calls()[..] else {
        panic!("two calls: {:?}", watched.told());
    };
    assert_eq!(told(to), json!(["COPY", "COPY t FROM stdin", [], 2, null]));
    assert_eq!(
        (to.request.body_size, to.request.omitted),
        (17 + 8, Some(Omitted::Opaque))
    );
    assert_eq!(&to.request.body[..], b"COPY t FROM STDIN");
    assert_eq!((body(from), from.response.body_size), ("", 4));
}

#[test]
fn a_function_that_is_called_by_its_number_is_a_call() {
    let mut watched = Watched::session();
    let called = [
        &2_u32.to_be_bytes()[..],
        &[0, 1, 0, 1],
        &values(&[Some(b"\x01")]),
        &[0, 1],
    ]
    .concat();
    watched.client(&[message(b'F', &called)]);
    watched.server(&[message(b'V', &[0, 0, 0, 1, 5]), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["FUNCTION", "FUNCTION 2", [{"bytes": 1}], null, null])]
    );
}

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
        .client(&[untyped(super::SSL_REQUEST, b"")])
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
        .client(&[untyped(super::GSS_REQUEST, b"")])
        .say(Side::Server, b"N");
    watched
        .client(&[untyped(super::SSL_REQUEST, b"")])
        .say(Side::Server, b"N");
    watched.client(&[startup()]).server(&[welcome()]);
    watched
        .client(&[query("SELECT 1")])
        .server(&[done("SELECT 1"), ready(b'I')]);
    assert_eq!(watched.told(), [json!(["SELECT", "SELECT ?", [], 1, null])]);
}

#[test]
fn a_request_to_cancel_is_a_call_without_its_key() {
    let mut watched = Watched::new(4096, 1 << 20);
    watched.client(&[untyped(super::CANCEL_REQUEST, b"\0\0\0\x07keyX")]);
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

#[test]
fn rows_beyond_the_limit_are_counted() {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT a FROM t")]);
    let long = vec![b'x'; 3000];
    watched.server(&[
        columns(&[("a", 25)]),
        row(&[Some(&long)]),
        row(&[Some(&long)]),
        row(&[Some(&long)]),
    ]);
    watched.server(&[done("SELECT 3"), ready(b'I')]);
    let call = watched.calls()[0];
    assert_eq!(
        (call.response.body.len(), call.response.body_size),
        (4096, 9000)
    );
    assert_eq!(call.response.omitted, Some(Omitted::Limit));
}

#[test]
fn without_room_statements_are_dropped_and_counted() {
    let mut watched = Watched::new(4096, 10);
    watched.client(&[startup()]).server(&[welcome()]);
    watched
        .client(&[query("SELECT 1")])
        .server(&[done("SELECT 1"), ready(b'I')]);
    assert_eq!(
        (watched.calls().len(), watched.observer.take_dropped()),
        (0, 1)
    );
}

impl Watched {
    fn open(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        self.observer.open_calls(self.now, &mut calls);
        calls
    }
}

/// A session with a bit of everything, as both sides send it: who, and what.
fn conversation() -> Vec<(Side, Vec<u8>)> {
    let client = |messages: &[Vec<u8>]| (Side::Client, messages.concat());
    let server = |messages: &[Vec<u8>]| (Side::Server, messages.concat());
    vec![
        client(&[startup()]),
        server(&[welcome()]),
        client(&[query("SELECT a FROM t; SELECT 'x'")]),
        server(&[
            columns(&[("a", 23)]),
            row(&[Some(b"7")]),
            done("SELECT 1"),
            done("SELECT 0"),
            ready(b'I'),
        ]),
        client(&[
            parse("s", "SELECT $1", &[23]),
            bind("", "s", &[1], &[Some(&[0, 0, 0, 9])]),
            describe(b'P', ""),
            execute(""),
            sync(),
        ]),
        server(&[
            message(b'1', b""),
            message(b'2', b""),
            columns(&[("b", 23)]),
            row(&[Some(b"9")]),
            done("SELECT 1"),
            ready(b'I'),
        ]),
        client(&[query("COPY t FROM STDIN")]),
        server(&[message(b'G', &[0; 3])]),
        client(&[message(b'd', b"1\n"), message(b'f', b"no\0")]),
        server(&[error("ERROR", "57014", "stopped"), ready(b'I')]),
        client(&[message(b'X', b"")]),
    ]
}

proptest! {
    #[test]
    fn it_does_not_matter_how_the_bytes_were_cut(cuts in proptest::collection::vec(1_usize..40, 1..20)) {
        let whole = {
            let mut watched = Watched::new(4096, 1 << 20);
            for (from, bytes) in conversation() {
                watched.say(from, &bytes);
            }
            watched.out.iter().map(|it| (told(&it.call), it.call.request.clone(), it.call.response.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(whole.len(), 4);
        let mut watched = Watched::new(4096, 1 << 20);
        let mut cuts = cuts.iter().cycle();
        for (from, bytes) in conversation() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                watched.say(from, piece);
                rest = behind;
            }
        }
        let pieces: Vec<_> = watched.out.iter().map(|it| (told(&it.call), it.call.request.clone(), it.call.response.clone())).collect();
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn whatever_both_sides_say_it_is_read_within_bounds(
        pieces in proptest::collection::vec((any::<bool>(), prop_oneof![
            proptest::sample::select(conversation()).prop_map(|(_, bytes)| bytes),
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| message(kind, &body)),
            (proptest::sample::select(&b"QPBDECSFdcfTDCEZtnsI123GHVA"[..]), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| message(kind, &body)),
            proptest::collection::vec(any::<u8>(), 1..20),
        ]), 0..30),
    ) {
        let budget = Budget::new(1 << 20);
        let mut watched = Watched::session();
        for (is_client, bytes) in pieces {
            watched.say(if is_client { Side::Client } else { Side::Server }, &bytes);
            watched.open();
        }
        watched.observer.closed(Side::Client, 1_000_000, &mut watched.out);
        drop(budget);
    }
}

#[test_case(b"SELECT 5", Some(5))]
#[test_case(b"INSERT 0 1", Some(1))]
#[test_case(b"BEGIN", None)]
#[test_case(b"", None)]
fn a_tag_tells_rows(tag: &[u8], expected: Option<u64>) {
    assert_eq!(super::answers::rows_of(tag), expected);
}
