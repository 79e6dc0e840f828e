//! Statements, and what is told of each.

use test_case::test_case;

use super::*;
use crate::observe::postgres::answers::rows_of;

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
        parsed(),
        bound(),
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
    watched.client(&[prepare("s1", "SELECT a FROM t WHERE id = $1"), sync()]);
    watched.server(&[prepared(&[23], &[("a", 25)]), ready(b'I')]);
    for id in [1_i32, 2] {
        watched.client(&[
            bind("", "s1", &[1], &[Some(&id.to_be_bytes())]),
            execute(""),
            sync(),
        ]);
        watched.server(&[bound(), row(&[Some(b"x")]), done("SELECT 1"), ready(b'I')]);
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
        extended("INSERT INTO t VALUES ($1)", &[Some(b"1")]),
        bind("", "", &[], &[Some(b"1")]),
        execute(""),
        bind("", "", &[], &[Some(b"2")]),
        execute(""),
    ]);
    watched.server(&[parsed(), bound(), done("INSERT 0 1"), bound()]);
    watched.server(&[error("ERROR", "23505", "it is there")]);
    // The server looks at nothing until the pipeline ends.
    watched.client(&[bind("", "", &[], &[Some(b"3")]), execute(""), sync()]);
    watched.server(&[ready(b'I')]);
    watched.client(&[bind("", "", &[], &[Some(b"4")]), execute(""), sync()]);
    watched.server(&[bound(), done("INSERT 0 1"), ready(b'I')]);
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
        parsed(),
        bound(),
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

#[test_case(b"SELECT 5", Some(5))]
#[test_case(b"INSERT 0 1", Some(1))]
#[test_case(b"BEGIN", None)]
#[test_case(b"", None)]
fn a_tag_tells_rows(tag: &[u8], expected: Option<u64>) {
    assert_eq!(rows_of(tag), expected);
}
