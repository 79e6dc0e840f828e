//! What a client may make a session remember, and what becomes of a statement that there is no room for.

use test_case::test_case;

use super::*;

/// A session of which the server is busy, with this budget.
fn busy(budget_bytes: usize) -> Watched {
    let mut watched = Watched::new(4096, budget_bytes);
    watched.client(&[startup()]).server(&[welcome()]);
    watched.client(&[query("SELECT pg_sleep(999)")]);
    watched
}

#[test_case(&[parse("", "", &[])]; "statements to parse")]
#[test_case(&[parse("s", "", &[])]; "statements with a name")]
#[test_case(&[bind("", "", &[], &[])]; "statements that nobody knows")]
#[test_case(&[execute("")]; "portals that nobody knows")]
#[test_case(&[describe(b'S', "")]; "descriptions")]
#[test_case(&[sync()]; "ends of pipelines")]
#[test_case(&[bind("", "", &[1; 1_000], &[]), execute("")]; "formats that outlive their portal")]
fn what_a_server_is_asked_that_does_not_answer_is_followed_as_far_as_the_budget_goes(
    asked: &[Vec<u8>],
) {
    let mut watched = busy(200 * 1024);
    for _ in 0..10_000 {
        watched.client(asked);
    }
    assert_eq!(
        detail(watched.calls()[0]).fingerprint,
        "SELECT pg_sleep(?)",
        "nothing is followed any more, so that what ran is told"
    );
    let is_statement = |call: &Call| matches!(call.detail, Detail::Sql(_));
    assert!(!watched.open().iter().any(is_statement));
}

#[test]
fn a_statement_that_there_was_no_room_for_is_answered_all_the_same() {
    let mut watched = Watched::new(4096, 20 * 1024);
    watched.client(&[startup()]).server(&[welcome()]);
    let long = format!("SELECT '{}'", "x".repeat(4_000));
    let mut asked = Vec::new();
    for number in 0..4 {
        asked.push(parse(&format!("long{number}"), &long, &[]));
    }
    asked.extend([
        parse("s2", "SELECT a FROM t", &[]),
        bind("", "s2", &[], &[]),
        execute(""),
        sync(),
    ]);
    watched.client(&asked);
    let parsed = vec![message(b'1', b""); 5];
    watched.server(&parsed);
    watched.server(&[message(b'2', b""), done("SELECT 3"), ready(b'I')]);
    assert_eq!(
        watched.told(),
        [json!(["SELECT", "SELECT a FROM t", [], 3, null])]
    );
}

#[test]
fn an_error_of_a_statement_that_there_was_no_room_for_is_no_commit() {
    let mut watched = Watched::new(4096, 1024);
    watched.client(&[startup()]).server(&[welcome()]);
    watched.client(&[parse("", "SELEC 1", &[]), sync()]);
    watched.server(&[error("ERROR", "42601", "syntax error"), ready(b'I')]);
    assert_eq!(watched.told(), [] as [Value; 0]);
    assert_eq!(watched.observer.take_dropped(), 1);
}
