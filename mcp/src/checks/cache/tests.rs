use serde_json::{Value, json};
use test_case::test_case;

use super::super::testing::{findings, firm, refused_field};
use remora_store::call::Protocol;

use super::*;
use crate::checks::Check;
use crate::traffic::testing::{Told, at, command, get, run_of, statement, traffic};

/// The same request `n` times; the first `cold` of them ask `stock`, and take 45 ms instead of 2.
fn orders(n: i64, cold: i64) -> Vec<Told> {
    let mut told = Vec::new();
    for it in 0..n {
        let is_cold = it < cold;
        let at_ms = it * 100;
        let request = get(at_ms, "/api/orders/7", 200).received();
        told.push(request.taking_ms(if is_cold { 45 } else { 2 }));
        if is_cold {
            told.push(
                get(at_ms + 5, "/rows/7", 200)
                    .taking_ms(35)
                    .between("orders", "stock"),
            );
        }
    }
    told
}

/// What the check says of the requests for orders among these calls.
fn judged(args: Value, told: Vec<Told>) -> Judgement {
    judged_on(&firm(), args, told)
}

fn judged_on(ground: &Ground, args: Value, told: Vec<Told>) -> Judgement {
    let args = args.as_object().cloned().unwrap_or_default();
    let check = Check::read(Kind::Cache, args).expect("the arguments are right");
    let traffic = traffic(told);
    let of_orders = |id| {
        traffic
            .observed()
            .iter()
            .any(|it| it.id() == id && it.path.starts_with("/api"))
    };
    let picked = traffic.pick(of_orders);
    check.judge(&[traffic.view(&picked)], ground)
}

#[test]
fn the_story_of_the_cache_is_told_before_and_after() {
    let before = judged(json!({}), orders(12, 12));
    assert_eq!(before.verdict, Verdict::Fail);
    assert_eq!(
        before.actual,
        "12 requests for 1 key: of 11 asked again 0 came from a cache; 12 calls caused, \
         11 of them the same again; \
         Cache-Control missing; no ETag; 45 ms cold, 45 ms again (p50)"
    );
    let after = judged(json!({"expect_warm_p50_ms": 5}), orders(12, 1));
    assert_eq!(after.verdict, Verdict::Pass, "{after:?}");
    assert!(
        after.actual.ends_with("45 ms cold, 2.0 ms again (p50)"),
        "{after:?}"
    );
}

/// The same, of a service that looks into Redis first and asks a database for what is not there.
fn orders_of_a_database(n: i64, cold: i64) -> Vec<Told> {
    let mut told = Vec::new();
    for it in 0..n {
        let at_ms = it * 100;
        let request = get(at_ms, "/api/orders/7", 200).received();
        told.push(request.taking_ms(if it < cold { 45 } else { 4 }));
        let lookup = command(at_ms + 1, "GET", "order:7").taking_ms(1);
        told.push(lookup.between("orders", "cache"));
        if it < cold {
            for (after_ms, text) in [(5, "BEGIN"), (10, QUERY), (20, "COMMIT")] {
                let asked = statement(at_ms + after_ms, text, 7).on_connection(2, it as u32);
                told.push(asked.between("orders", "db"));
            }
        }
    }
    told
}

const QUERY: &str = "SELECT * FROM orders WHERE id = ?";

#[test]
fn what_comes_from_redis_comes_from_a_cache() {
    let before = judged(json!({}), orders_of_a_database(12, 12));
    assert_eq!(before.verdict, Verdict::Fail);
    let says = "12 PostgreSQL queries caused, 11 of them the same again; Cache-Control missing";
    assert!(before.actual.contains(says), "{before:?}");
    let after = judged(json!({}), orders_of_a_database(12, 1));
    assert_eq!(after.verdict, Verdict::Pass, "{after:?}");
    let says = "of 11 asked again 11 came from a cache; 1 PostgreSQL query caused;";
    assert!(after.actual.contains(says), "{after:?}");
}

#[test_case(json!({"expect_hit_ratio": 0.5}), orders(12, 6), Verdict::Pass)]
#[test_case(json!({"expect_hit_ratio": 0.9}), orders(12, 6), Verdict::Fail)]
#[test_case(json!({"expect_warm_p50_ms": 1}), orders(12, 1), Verdict::Fail; "from a cache, and slow")]
#[test_case(json!({}), orders(1, 1), Verdict::Inconclusive; "asked once")]
#[test_case(json!({}), vec![], Verdict::Inconclusive; "never asked")]
#[test_case(json!({}), vec![get(0, "/api/a", 200), get(9, "/api/a", 200)], Verdict::Inconclusive; "without a sidecar beside the service")]
fn so_much_comes_from_a_cache(args: Value, told: Vec<Told>, expected: Verdict) {
    let judgement = judged(args, told);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test_case(|told| told, 12, Some(Severity::Medium); "worth keeping")]
#[test_case(|told| told, 4, None; "asked too seldom")]
#[test_case(|told| told.taking_ms(2), 12, None; "not sure to cause what outlives it")]
#[test_case(|told| told.answering("Cache-Control: no-store"), 12, None; "must not be kept")]
#[test_case(|told| told.sending("Authorization: x"), 12, None; "for one caller")]
fn answers_that_should_have_been_kept(
    change: fn(Told) -> Told,
    n: i64,
    expected: Option<Severity>,
) {
    let told = orders(n, n).into_iter().map(change).collect();
    let found = findings(Kind::Cache, told);
    assert_eq!(found.first().map(|it| it.severity), expected, "{found:?}");
}

#[test]
fn a_hit_is_none_where_it_is_not_sure_what_a_call_was_for() {
    let mut told = orders(12, 1);
    // Two are answered at a time, and one of them asks for something.
    told.push(get(500, "/api/orders/8", 200).taking_ms(40).received());
    told.push(get(501, "/api/orders/9", 200).taking_ms(40).received());
    told.push(
        get(500, "/api/orders/7", 200)
            .taking_ms(40)
            .received()
            .on_connection(900, 0),
    );
    told.push(
        get(510, "/rows/7", 200)
            .taking_ms(5)
            .between("orders", "stock"),
    );
    let judgement = judged(json!({}), told);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    assert!(judgement.why.contains("is not known"), "{judgement:?}");
    let says = ", of 1 it is not known";
    assert!(judgement.actual.contains(says), "{judgement:?}");
}

#[test]
fn a_hit_is_none_where_the_service_speaks_what_is_not_read() {
    let connection = |begins_at_ms| {
        let told = get(begins_at_ms, "/", 200).between("orders", "db");
        told.taking_ms(5000).having(|call| {
            call.protocol = Protocol::Opaque;
            call.request.head.clear();
            call.request.body_size = 100;
        })
    };
    for (begins_at_ms, expected) in [(0, Verdict::Inconclusive), (9000, Verdict::Pass)] {
        let mut told = orders(12, 1);
        told.push(connection(begins_at_ms));
        let judgement = judged(json!({}), told);
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }
}

/// One of a pod that recorded nothing else.
fn unread(run: u128, until_ms: i64) -> Ground {
    let unread = Unread {
        run,
        since_ns: at(-3_600_000),
        until_ns: at(until_ms),
    };
    Ground {
        unread: vec![unread],
        ..firm()
    }
}

fn orders_ask_a_proxy() -> Ground {
    Ground {
        effects: vec!["outbound calls of orders are seen only by a proxy".to_owned()],
        ..firm()
    }
}

#[test_case(unread(run_of("orders"), 3_600_000), Verdict::Inconclusive; "a pool to a database that was there before")]
#[test_case(unread(run_of("orders"), -1), Verdict::Pass; "one that was closed before")]
#[test_case(unread(run_of("batch"), 3_600_000), Verdict::Pass; "somebody else's")]
#[test_case(orders_ask_a_proxy(), Verdict::Inconclusive; "what a proxy is not asked for")]
fn a_hit_is_none_where_what_was_asked_would_not_have_been_seen(ground: Ground, expected: Verdict) {
    let judgement = judged_on(&ground, json!({}), orders(12, 1));
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
    let judgement = judged_on(&ground, json!({}), orders(12, 12));
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:?}");
}

#[test]
fn answers_that_may_not_be_seen_are_not_called_the_same() {
    let hidden = orders(12, 12).into_iter().map(Told::withheld);
    assert_eq!(findings(Kind::Cache, hidden.collect()), []);
}

#[test]
fn answers_that_change_are_not_missed_by_a_cache() {
    let told = orders(12, 12).into_iter().enumerate();
    let told = told.map(|(place, told)| told.having(|call| call.response.body_size = place as u64));
    assert_eq!(findings(Kind::Cache, told.collect()), []);
}

#[test]
fn answers_that_are_longer_than_their_digest_may_change_unseen() {
    for (size, found) in [(4096, 1), (4097, 0)] {
        let told = orders(12, 12).into_iter();
        let told = told.map(|told| told.having(|call| call.response.body_size = size));
        assert_eq!(findings(Kind::Cache, told.collect()).len(), found, "{size}");
    }
}

#[test_case(json!({"expect_hit_ratio": 90}), "args.expect_hit_ratio")]
#[test_case(json!({"expect_warm_p50_ms": -1}), "args.expect_warm_p50_ms")]
fn numbers_that_are_none_are_refused(args: Value, field: &str) {
    assert_eq!(refused_field(Kind::Cache, args), field);
}
