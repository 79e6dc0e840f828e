//! What of a session is not kept, and what is paid for.

use super::*;

#[test]
fn data_that_is_copied_out_is_told_by_its_size() {
    let mut watched = Watched::session();
    watched.client(&[query("COPY users TO STDOUT")]);
    watched.server(&[
        message(b'H', &[0; 3]),
        message(b'd', b"1\thunter2\n"),
        message(b'd', b"2\thunter3\n"),
        message(b'c', b""),
        done("COPY 2"),
        ready(b'I'),
    ]);
    let response = &watched.calls()[0].response;
    assert_eq!(
        (response.body_size, response.omitted),
        (20, Some(Omitted::Opaque))
    );
    assert!(!format!("{:?}", watched.out).contains("hunter"));
}

#[test]
fn rows_whose_columns_nobody_named_are_told_by_their_size() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "SELECT password FROM users", &[]),
        bind("", "", &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.server(&[
        message(b'1', b""),
        message(b'2', b""),
        row(&[Some(b"hunter2")]),
        done("SELECT 1"),
        ready(b'I'),
    ]);
    let response = &watched.calls()[0].response;
    assert_eq!(
        (response.body_size, response.omitted),
        (7, Some(Omitted::Opaque))
    );
    assert_eq!(detail(watched.calls()[0]).rows, Some(1));
    assert!(!format!("{:?}", watched.out).contains("hunter"));
}

#[test]
fn of_a_row_with_more_columns_than_were_named_the_rest_is_left_out() {
    let mut watched = Watched::session();
    watched.client(&[query("SELECT *, password FROM users")]);
    watched.server(&[
        columns(&[("a", 23)]),
        row(&[Some(b"7"), Some(b"hunter2")]),
        done("SELECT 1"),
        ready(b'I'),
    ]);
    let call = watched.calls()[0];
    assert_eq!(body(call), "{\"a\":7}");
    assert_eq!(call.response.omitted, Some(Omitted::Limit));
}
