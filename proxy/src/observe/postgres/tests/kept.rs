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
    watched.client(&[extended("SELECT password FROM users", &[]), sync()]);
    watched.server(&[
        parsed(),
        bound(),
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

#[test]
fn types_and_names_of_a_statement_are_paid_for() {
    // Room for a few statements with this many types, told by the client and by the server.
    let types = vec![23_u32; 4000];
    let described = [
        &4000_u16.to_be_bytes()[..],
        &23_u32.to_be_bytes().repeat(4000),
    ];
    let described = message(b't', &described.concat());
    let mut watched = Watched::new(4096, 168 * 1024);
    watched.client(&[startup()]).server(&[welcome()]);
    for number in 0..20 {
        let name = format!("s{number}");
        watched.client(&[
            parse(&name, "SELECT 1", &types),
            describe(b'S', &name),
            sync(),
        ]);
        watched.server(&[
            parsed(),
            described.clone(),
            columns(&[("a", 23)]),
            ready(b'I'),
        ]);
    }
    for name in ["s0", "s19"] {
        watched
            .client(&[bind("", name, &[], &[]), execute(""), sync()])
            .server(&[bound(), done("SELECT 0"), ready(b'I')]);
    }
    let fingerprints: Vec<_> = watched
        .calls()
        .iter()
        .map(|it| detail(it).fingerprint.clone())
        .collect();
    assert_eq!(fingerprints, ["SELECT ?", "EXECUTE s19"]);
}

#[test]
fn names_are_the_same_where_they_are_to_the_server() {
    let long = |end: &str| format!("{}{end}", "n".repeat(63));
    let mut watched = Watched::session();
    watched.client(&[
        parse(&long("one"), "SELECT 1", &[]),
        bind("", &long("other"), &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.server(&[parsed(), bound(), done("SELECT 1"), ready(b'I')]);
    assert_eq!(watched.told(), [json!(["SELECT", "SELECT ?", [], 1, null])]);
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
    watched.answered("SELECT 1", "SELECT 1");
    assert_eq!(
        (watched.calls().len(), watched.observer.take_dropped()),
        (0, 1)
    );
}
