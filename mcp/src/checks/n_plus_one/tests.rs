use serde_json::json;
use test_case::test_case;

use super::super::testing::{findings, firm, judge, refused_field};
use super::*;
use crate::traffic::testing::{Told, get, statement};

/// A call of `orders` from 0 to `lasting_ms`, and what `orders` asks `stock` meanwhile.
fn caused(lasting_ms: u64, children: Vec<Told>) -> Vec<Told> {
    let parent = get(0, "/cart", 200).taking_ms(lasting_ms).received();
    let children = children.into_iter().map(|it| it.between("orders", "stock"));
    std::iter::once(parent).chain(children).collect()
}

fn items(n: i64, every_ms: i64) -> Vec<Told> {
    (0..n)
        .map(|it| get(10 + it * every_ms, &format!("/items/{it}"), 200))
        .collect()
}

fn same(n: i64, status: u16) -> Vec<Told> {
    told_of("/rates", status, (0..n).map(|_| Some(7)))
}

/// The same question of HTTP, answered with what has these digests.
fn told_of(path: &str, status: u16, digests: impl IntoIterator<Item = Option<u8>>) -> Vec<Told> {
    let asked = (0..).zip(digests);
    asked
        .map(|(it, digest)| {
            let digest = digest.map(|byte| Digest([byte; 16]));
            get(10 + it * 5, path, status).having(|call| call.response.body_digest = digest)
        })
        .collect()
}

#[test_case(items(25, 5), &[("one_call_for_each", "high")]; "many, one after the other")]
#[test_case(items(5, 5), &[("one_call_for_each", "medium")]; "a few")]
#[test_case(items(5, 0), &[("one_call_for_each", "low")]; "at the same time")]
#[test_case(items(4, 5), &[]; "too few to tell")]
#[test_case(same(3, 200), &[("same_call_again", "medium")]; "the same three times")]
#[test_case(same(2, 200), &[("same_call_again", "low")]; "the same twice")]
#[test_case(told_of("/jobs/7", 200, [Some(1), Some(1), Some(2)]), &[("same_call_again", "low")]; "until it is done")]
#[test_case(told_of("/jobs/7", 200, [Some(1), Some(2), Some(3)]), &[]; "told something else each time")]
#[test_case(told_of("/jobs/7", 200, [None, None, None]), &[]; "answers of which nothing was kept")]
#[test_case(same(3, 503), &[]; "attempts are not asked again in vain")]
#[test_case(same(1, 200), &[]; "once")]
#[test_case(queries("SELECT * FROM orders WHERE id = ?", |it| it as u8), &[("one_call_for_each", "medium")]; "a query for each row")]
#[test_case(queries("SELECT * FROM orders WHERE id = ?", |_| 7), &[("same_call_again", "medium")]; "the same query again")]
#[test_case(queries("INSERT INTO orders VALUES (?)", |_| 7), &[]; "the same change again")]
#[test_case(queries("BEGIN", |_| 7), &[]; "transactions")]
#[test_case(queries("SELECT ?", |_| 7), &[]; "pings of a pool")]
#[test_case(unlike_queries(), &[]; "queries that are shown alike and are not")]
#[test_case(answered(|it| Some(it as u8)), &[]; "the same query answered otherwise each time")]
#[test_case(answered(|_| None), &[]; "answers that were not kept")]
#[test_case(queries("FETCH ? FROM c", |_| 7), &[]; "page after page of a cursor")]
fn what_one_call_causes(children: Vec<Told>, expected: &[(&str, &str)]) {
    let found = findings(Kind::NPlusOne, caused(900, children));
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.code, it.severity.as_str()))
        .collect();
    assert_eq!(found, expected);
}

fn queries(fingerprint: &str, value: fn(i64) -> u8) -> Vec<Told> {
    (0..12)
        .map(|it| statement(10 + it * 5, fingerprint, value(it)))
        .collect()
}

/// The same question, answered each time with what has this digest.
fn answered(digest: fn(i64) -> Option<u8>) -> Vec<Told> {
    let asked = queries("SELECT nextval(?)", |_| 7).into_iter().zip(0..);
    asked
        .map(|(told, it)| {
            let digest = digest(it).map(|byte| Digest([byte; 16]));
            told.having(|call| call.response.body_digest = digest)
        })
        .collect()
}

fn unlike_queries() -> Vec<Told> {
    let columns = "orders.name, ".repeat(20);
    let query = |it| format!("SELECT {columns}orders.column{it} FROM orders WHERE id = ?");
    (0..12)
        .map(|it| statement(10 + it * 5, &query(it), it as u8))
        .collect()
}

#[test]
fn the_same_query_again_and_again_is_told_in_its_own_words() {
    let children = queries("SELECT * FROM orders WHERE id = ?", |_| 7);
    let found = findings(Kind::NPlusOne, caused(900, children.clone()));
    let [finding] = found.as_slice() else {
        panic!("there is one finding: {found:?}");
    };
    assert_eq!(
        (&*finding.subject, &*finding.seen),
        (
            "web -> orders GET /cart causes orders -> stock SELECT * FROM orders WHERE id = ?",
            "one call asked the same 12 times, though the first answer was good; so do 1 of 1 call"
        )
    );
    let judgement = judge(Kind::NPlusOne, json!({}), caused(900, children), &firm());
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.actual,
        "1 of 1 call caused more; at worst one call caused 12 PostgreSQL queries, 1 of them different, one after the other, 22 ms of it waiting"
    );
}

#[test]
fn the_call_that_caused_them_is_the_first_evidence() {
    let found = findings(Kind::NPlusOne, caused(900, items(6, 10)));
    let [finding] = found.as_slice() else {
        panic!("there is one finding: {found:?}");
    };
    assert_eq!(
        finding.subject,
        "web -> orders GET /cart causes orders -> stock GET /items/{id}"
    );
    assert_eq!(
        finding.seen,
        "one call caused 6 calls, 6 of them different, one after the other, 10 ms of it waiting; so do 1 of 1 call"
    );
    let ids: Vec<_> = finding.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["c1-0", "c1-1", "c1-2", "c1-3", "c1-4"]);
}

#[test_case(2, Verdict::Pass)]
#[test_case(4, Verdict::Pass)]
#[test_case(5, Verdict::Fail)]
fn so_many_of_a_kind_may_be_caused(children: i64, expected: Verdict) {
    let told = caused(900, items(children, 5));
    let judgement = judge(Kind::NPlusOne, json!({}), told, &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test_case(3, get(2010, "/items/1", 200), Verdict::Pass; "with it they are few")]
#[test_case(4, get(2010, "/items/1", 200), Verdict::Inconclusive; "with it they are too many")]
#[test_case(4, statement(2010, "BEGIN", 7), Verdict::Pass; "what asks for no data")]
fn calls_of_unsure_cause_matter_where_they_may_be_too_many(
    children: i64,
    unsure: Told,
    expected: Verdict,
) {
    let mut told = caused(900, items(children, 5));
    told.extend([
        get(2000, "/cart", 200).taking_ms(90).received(),
        get(2001, "/cart", 200).taking_ms(90).received(),
        unsure.between("orders", "stock"),
    ]);
    let judgement = judge(Kind::NPlusOne, json!({}), told, &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test]
fn calls_without_a_cause_prove_nothing() {
    let told = items(30, 5)
        .into_iter()
        .map(|it| it.between("orders", "stock"));
    let judgement = judge(Kind::NPlusOne, json!({}), told.clone().collect(), &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    assert_eq!(findings(Kind::NPlusOne, told.collect()), []);
}

#[test]
fn none_at_all_is_said_in_another_way() {
    let field = refused_field(Kind::NPlusOne, json!({"max_calls_per_request": 0}));
    assert_eq!(field, "args.max_calls_per_request");
}
