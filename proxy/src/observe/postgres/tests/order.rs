//! Which answer belongs to which question, where that is not plain.

use super::*;

#[test]
fn the_end_of_a_pipeline_that_a_copying_server_passes_over_waits_for_nothing() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "COPY t FROM STDIN", &[]),
        bind("", "", &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.server(&[message(b'1', b""), message(b'2', b"")]);
    watched.server(&[message(b'G', &[0; 3])]);
    watched.client(&[
        message(b'd', b"1\ta\n"),
        sync(),
        message(b'd', b"2\tb\n"),
        message(b'c', b""),
        sync(),
    ]);
    watched.server(&[done("COPY 2"), ready(b'I')]);
    for number in ["1", "2"] {
        watched.client(&[query(&format!("SELECT {number} FROM t{number}"))]);
        watched.server(&[done(&format!("SELECT {number}")), ready(b'I')]);
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
fn a_copy_that_the_server_stops_ends_with_the_next_end_of_a_pipeline() {
    let mut watched = Watched::session();
    watched.client(&[
        parse("", "COPY t FROM STDIN", &[]),
        bind("", "", &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.server(&[message(b'1', b""), message(b'2', b"")]);
    watched.server(&[message(b'G', &[0; 3])]);
    watched.client(&[message(b'd', b"x\n")]);
    watched.server(&[error("ERROR", "22P02", "no number")]);
    watched.client(&[message(b'd', b"y\n"), message(b'c', b""), sync()]);
    watched.server(&[ready(b'I')]);
    watched
        .client(&[query("SELECT 1")])
        .server(&[done("SELECT 1"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [
            json!(["COPY", "COPY t FROM stdin", [], null, "22P02"]),
            json!(["SELECT", "SELECT ?", [], 1, null]),
        ]
    );
}
