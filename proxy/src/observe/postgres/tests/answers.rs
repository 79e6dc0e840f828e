//! Whose an answer is where several are due, when it was asked for, and what an error tells.

use test_case::test_case;

use super::order::copying;
use super::*;

#[test]
fn a_text_that_cannot_be_parsed_fails_where_it_cannot() {
    let mut watched = Watched::session();
    watched.client(&[query("INSERT INTO ä VALUES (1); SELEC 2; SELECT 3")]);
    let refused = b"SERROR\0C42601\0Msyntax error\0P28\0\0";
    watched.server(&[message(b'E', refused), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["SELEC", "selec ?", [], null, "42601"])]
    );
}

#[test]
fn an_error_of_what_is_parsed_is_not_that_of_what_is_executed_behind_it() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("a", "SELEC 1", &[]),
        describe(b'S', "a"),
        parse("b", "SELECT 2", &[]),
        bind("", "b", &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.server(&[error("ERROR", "42601", "syntax error"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["SELEC", "selec ?", [], null, "42601"])]
    );
}

#[test]
fn an_error_of_what_is_parsed_is_that_of_its_own_execution() {
    let mut watched = Watched::session();
    watched.client(&[extended("SELEC $1", &[Some(b"7")]), sync()]);
    watched.server(&[error("ERROR", "42601", "syntax error"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["SELEC", "selec ?", ["7"], null, "42601"])]
    );
}

#[test]
fn the_end_of_a_pipeline_before_a_copy_that_gets_no_data_is_passed_over() {
    let mut watched = copying();
    watched.server(&[error("ERROR", "57014", "canceled")]);
    watched.client(&[message(b'c', b""), sync()]);
    watched.server(&[ready(b'I')]);
    for number in ["1", "2"] {
        let text = format!("SELECT {number} FROM t{number}");
        watched.answered(&text, &format!("SELECT {number}"));
    }
    assert_eq!(
        watched.told(),
        [
            json!(["COPY", "COPY t FROM stdin", [], null, "57014"]),
            json!(["SELECT", "SELECT ? FROM t1", [], 1, null]),
            json!(["SELECT", "SELECT ? FROM t2", [], 2, null]),
        ]
    );
}

#[test]
fn what_was_prepared_long_before_is_no_part_of_a_statement() {
    let mut watched = Watched::session();
    let flush = || message(b'H', b"");
    watched.client(&[prepare("s", "SELECT 1"), flush()]);
    watched.server(&[prepared(&[], &[("a", 23)])]);
    watched.now = 5_000;
    watched.client(&[bind("", "s", &[], &[]), execute(""), flush()]);
    watched.server(&[bound(), done("SELECT 1")]);
    watched.now = 9_000;
    watched.client(&[bind("", "s", &[], &[]), execute(""), sync()]);
    watched.server(&[bound(), done("SELECT 1"), ready(b'I')]);
    let begun: Vec<_> = watched
        .calls()
        .iter()
        .map(|call| call.phases.request_first)
        .collect();
    assert_eq!(begun, [Some(5_010), Some(9_010)]);
}

#[test_case("23502", "Failing row contains (7, null, $2b$12$x).", "Failing row contains (…)."; "a row")]
#[test_case("23505", "Key (id)=(7) already exists.", "Key (id)=(7) already exists."; "a key")]
#[test_case("22P02", "Token \"hunter2\" is invalid.", "Token \"…\" is invalid."; "a piece of a document")]
#[test_case("42703", "There is a column (a).", "There is a column (a)."; "a name")]
fn the_detail_of_an_error_tells_no_row(code: &str, detail: &str, expected: &str) {
    let line = refused(code, "refused", detail, "");
    assert_eq!(line["detail"], expected);
}

#[test]
fn of_a_copy_an_error_tells_the_place_alone() {
    let place = "COPY users, line 3, column id: \"hunter2\"\n\
                 PL/pgSQL function f(text[]) line 3 at RAISE\n\
                 SQL statement \"SELECT 'hunter2'\"";
    let line = refused("22P02", "no integer: \"hunter2\"", "", place);
    assert_eq!(line["message"], "no integer: \"…\"");
    assert_eq!(
        line["where"],
        "COPY users, line 3, column id…\nPL/pgSQL function f(text[]) line 3 at RAISE\nSQL statement…"
    );
    let line = refused("22P02", "no integer: \"x\"", "", "JSON data, line 1: {\"x");
    assert_eq!(line["message"], "no integer: \"x\"");
}

/// The line that tells of an error.
fn refused(code: &str, text: &str, detail: &str, place: &str) -> Value {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT 1")]);
    let body = format!("SERROR\0C{code}\0M{text}\0D{detail}\0W{place}\0\0");
    watched.server(&[message(b'E', body.as_bytes()), ready(b'I')]);
    serde_json::from_str(super::body(watched.calls()[0])).unwrap()
}
