//! Which answer belongs to which question, where that is not plain.

use super::*;
use crate::observe::postgres::pending::{Asked, Pending};

/// A session whose server waits for the data of a COPY, behind the client's end of its pipeline.
pub(super) fn copying() -> Watched {
    let mut watched = Watched::session();
    watched.client(&[extended("COPY t FROM STDIN", &[]), sync()]);
    watched.server(&[parsed(), bound(), message(b'G', &[0; 3])]);
    watched
}

#[test]
fn the_end_of_a_pipeline_that_a_copying_server_passes_over_waits_for_nothing() {
    let mut watched = copying();
    watched.client(&[
        message(b'd', b"1\ta\n"),
        sync(),
        message(b'd', b"2\tb\n"),
        message(b'c', b""),
        sync(),
    ]);
    watched.server(&[done("COPY 2"), ready(b'I')]);
    for number in ["1", "2"] {
        let text = format!("SELECT {number} FROM t{number}");
        watched.answered(&text, &format!("SELECT {number}"));
    }
    assert_eq!(
        watched.told(),
        [
            json!(["COPY", "COPY t FROM stdin", [], 2, null]),
            json!(["SELECT", "SELECT ? FROM t1", [], 1, null]),
            json!(["SELECT", "SELECT ? FROM t2", [], 2, null]),
        ]
    );
    assert!(watched.open().is_empty());
    assert_eq!(watched.calls()[0].request.body_size, 17 + 8);
}

#[test]
fn a_copy_with_its_data_in_one_write_leaves_the_statement_behind_it() {
    let mut watched = Watched::session();
    watched.client(&[
        extended("COPY t FROM STDIN", &[]),
        message(b'd', b"1\ta\n"),
        message(b'c', b""),
        sync(),
        extended("SELECT 1", &[]),
        sync(),
    ]);
    watched.server(&[parsed(), bound(), message(b'G', &[0; 3])]);
    watched.server(&[done("COPY 1"), ready(b'I')]);
    watched.server(&[parsed(), bound(), done("SELECT 1"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [
            json!(["COPY", "COPY t FROM stdin", [], 1, null]),
            json!(["SELECT", "SELECT ?", [], 1, null]),
        ]
    );
}

#[test]
fn a_copy_that_the_server_stops_ends_with_the_next_end_of_a_pipeline() {
    let mut watched = copying();
    watched.client(&[message(b'd', b"x\n")]);
    watched.server(&[error("ERROR", "22P02", "no number")]);
    watched.client(&[message(b'd', b"y\n"), message(b'c', b""), sync()]);
    watched.server(&[ready(b'I')]);
    watched.answered("SELECT 1", "SELECT 1");
    assert_eq!(
        watched.told(),
        [
            json!(["COPY", "COPY t FROM stdin", [], null, "22P02"]),
            json!(["SELECT", "SELECT ?", [], 1, null]),
        ]
    );
}

#[test]
fn what_describes_one_statement_leaves_the_questions_about_the_next() {
    let mut watched = Watched::session();
    watched.client(&[
        prepare("s1", "SELECT a FROM t"),
        prepare("s2", "SELECT b FROM u WHERE id = $1"),
        sync(),
    ]);
    watched.server(&[
        prepared(&[], &[("a", 25)]),
        prepared(&[23], &[("b", 25)]),
        ready(b'I'),
    ]);
    watched.client(&[
        bind("", "s2", &[1], &[Some(&7_i32.to_be_bytes())]),
        execute(""),
        sync(),
    ]);
    watched.server(&[bound(), row(&[Some(b"x")]), done("SELECT 1"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!([
            "SELECT",
            "SELECT b FROM u WHERE id = ?",
            [7],
            1,
            null
        ])]
    );
    assert_eq!(body(watched.calls()[0]), "{\"b\":\"x\"}");
}

#[test]
fn a_statement_that_cannot_be_parsed_behind_one_that_was_described_is_a_call() {
    let mut watched = Watched::session();
    watched.client(&[
        prepare("s1", "SELECT a FROM t"),
        prepare("s2", "SELEC b"),
        sync(),
    ]);
    watched.server(&[
        prepared(&[], &[("a", 25)]),
        error("ERROR", "42601", "syntax error"),
        ready(b'I'),
    ]);
    assert_eq!(
        watched.told(),
        [json!(["SELEC", "selec b", [], null, "42601"])]
    );
}

#[test]
fn an_error_at_the_end_of_a_pipeline_is_a_commit_that_failed() {
    let mut watched = Watched::session();
    watched.client(&[extended("INSERT INTO t VALUES ($1)", &[Some(b"1")]), sync()]);
    watched.server(&[
        parsed(),
        bound(),
        done("INSERT 0 1"),
        error("ERROR", "40001", "could not serialize access"),
        ready(b'I'),
    ]);
    assert_eq!(
        watched.told(),
        [
            json!(["INSERT", "INSERT INTO t VALUES (?)", ["1"], 1, null]),
            json!(["COMMIT", "COMMIT", [], null, "40001"]),
        ]
    );
    assert_eq!(detail(watched.calls()[1]).sent.as_str(), "session");
}

#[test]
fn an_error_that_answers_a_question_about_a_statement_is_no_commit() {
    let mut watched = Watched::session();
    watched.client(&[describe(b'S', "gone"), sync()]);
    watched.server(&[error("ERROR", "26000", "no such statement"), ready(b'I')]);
    assert_eq!(watched.told(), [] as [Value; 0]);
}

#[test]
fn statements_are_numbered_alike_by_who_saw_an_error_before_them_and_who_did_not() {
    let asked = |watched: &mut Watched| {
        watched.client(&[extended("INSERT INTO t VALUES ($1)", &[Some(b"1")])]);
    };
    let more = |watched: &mut Watched| {
        watched.client(&[bind("", "", &[], &[Some(b"2")]), execute("")]);
        watched.client(&[bind("", "", &[], &[Some(b"3")]), execute("")]);
    };
    let failed = |watched: &mut Watched| {
        watched.server(&[parsed(), bound(), error("ERROR", "23505", "it is there")]);
    };
    let ordinal = |watched: &mut Watched| {
        watched.client(&[sync()]).server(&[ready(b'I')]);
        watched.answered("SELECT 1", "SELECT 1");
        watched.calls().last().expect("a call").connection.ordinal
    };
    let (mut caller, mut callee) = (Watched::session(), Watched::session());
    asked(&mut caller);
    more(&mut caller);
    failed(&mut caller);
    asked(&mut callee);
    failed(&mut callee);
    more(&mut callee);
    assert_eq!(ordinal(&mut caller), ordinal(&mut callee));
}

#[test]
fn an_answer_to_what_stands_far_behind_in_the_queue_is_none() {
    let waiting = |before: usize| {
        let mut pending = Pending::new(&Budget::new(1 << 20));
        (0..before).for_each(|_| pending.push(Asked::Bind));
        pending.push(Asked::Close);
        let taken = pending.take(|asked| matches!(asked, Asked::Close));
        (taken.is_some(), pending.iter().count())
    };
    assert_eq!(waiting(200), (true, 0));
    assert_eq!(waiting(300), (false, 301));
}
