mod expected;

use proptest::prelude::*;
use remora_store::call::{Call, CallError, Detail, Digest, ErrorCode, SqlError};
use serde_json::json;
use test_case::test_case;

use super::*;
use crate::checks::{Check, Verdict};
use crate::traffic::testing::{Told, at, get, refused, statement, traffic};

/// Attempts at `/pay` that begin at these times and end 2 ms later with these statuses.
fn attempts(told: &[(i64, u16)]) -> Vec<Told> {
    let attempt = |(at_ms, status): &(i64, u16)| get(*at_ms, "/pay", *status);
    told.iter().map(attempt).collect()
}

fn found(told: Vec<Told>) -> Vec<(&'static str, &'static str)> {
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    let findings = find(&traffic.view(&all));
    findings
        .iter()
        .map(|it| (it.code, it.severity.as_str()))
        .collect()
}

fn judged(told: Vec<Told>, args: serde_json::Value, until_ms: i64) -> Judgement {
    let serde_json::Value::Object(args) = args else {
        panic!("arguments are an object");
    };
    let check = Check::read(Kind::Retries, args).expect("the arguments are right");
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    let ground = Ground {
        until_ns: at(until_ms),
        ..Ground::default()
    };
    check.judge(&[traffic.view(&all)], &ground)
}

#[test]
fn the_delays_of_the_story_are_constant_and_not_exponential() {
    let told = attempts(&[(0, 503), (1012, 503), (2014, 503), (3016, 200)]);
    let args = json!({"expect_retries": 3, "expect_delays_ms": [1000, 2000, 4000]});
    let judgement = judged(told, args, 10_000);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.expected,
        "3 retries after 1.00 s, 2.00 s, 4.00 s (±15 %)"
    );
    assert_eq!(
        judgement.actual,
        "3 retries after 1.01 s, 1.00 s, 1.00 s: constant, factor 1.0, succeeded in the end"
    );
    assert_eq!(
        judgement.why,
        "delay 2 was 1.00 s instead of 2.00 s: the delays are constant, the multiplier is not applied"
    );
    let evidence: Vec<_> = judgement.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(evidence, ["c1-0", "c1-1", "c1-2", "c1-3"]);
}

/// A sidecar that has not heard of its hub yet makes digests with a key of its own.
#[test]
fn attempts_without_a_body_are_the_same_under_another_key() {
    let told = attempts(&[(0, 503), (1000, 503), (3000, 503), (7000, 200)]);
    let under_keys = told.into_iter().enumerate().map(|(place, attempt)| {
        attempt.having(|call| {
            call.request.body_size = 0;
            call.request.body_digest = Some(Digest([u8::from(place > 0); 16]));
        })
    });
    let args = json!({"expect_retries": 3, "expect_backoff": {"base_ms": 1000, "factor": 2}});
    let judgement = judged(under_keys.collect(), args, 60_000);
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
}

#[test_case(&[(0, 503), (1000, 503), (3010, 503), (7000, 200)], Verdict::Pass; "as it should be")]
#[test_case(&[(0, 503), (1100, 503), (3000, 503), (6700, 200)], Verdict::Pass; "within the tolerance")]
#[test_case(&[(0, 503), (1000, 503), (3000, 503), (5000, 200)], Verdict::Fail; "the last one too soon")]
#[test_case(&[(0, 503), (1000, 503), (3000, 503)], Verdict::Fail; "given up too early")]
#[test_case(&[(0, 503), (1000, 503), (3000, 503), (7000, 503), (15000, 200)], Verdict::Fail; "once too often")]
#[test_case(&[(0, 503), (1000, 200)], Verdict::Inconclusive; "the server was well too soon")]
#[test_case(&[(0, 503), (1000, 503), (3000, 503), (17_500, 200)], Verdict::Fail; "the last one too late")]
#[test_case(&[(0, 200), (1000, 200)], Verdict::Inconclusive; "nothing failed")]
#[test_case(&[], Verdict::Inconclusive; "nothing was there")]
fn three_retries_that_wait_twice_as_long_each_time(told: &[(i64, u16)], expected: Verdict) {
    let args = json!({"expect_retries": 3, "expect_backoff": {"base_ms": 1000, "factor": 2}});
    let judgement = judged(attempts(told), args, 60_000);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test_case(&[240_000]; "once")]
#[test_case(&[240_000, 300_000, 360_000]; "three times in a row")]
fn a_poll_that_failed_is_not_tried_again_by_the_next_one(failed: &[i64]) {
    let polls = (0..10).map(|turn| turn * 60_000);
    let told = polls.map(|at_ms| match failed.contains(&at_ms) {
        true => get(at_ms, "/feed", 0).failing(CallError::ServerReset),
        false => get(at_ms, "/feed", 200),
    });
    assert_eq!(found(told.collect()), []);
}

#[test]
fn a_poll_that_is_tried_again_before_its_turn_is_a_retry() {
    let mut told: Vec<Told> = (0..5)
        .map(|turn| get(turn * 60_000, "/feed", 200))
        .collect();
    told.push(get(300_000, "/feed", 0).failing(CallError::ServerReset));
    told.push(get(301_000, "/feed", 200));
    assert_eq!(found(told), [("hides_fault", "medium")]);
}

#[test]
fn a_retry_that_was_not_due_yet_is_not_missed() {
    let told = attempts(&[(0, 503), (1000, 503)]);
    let args = json!({"expect_delays_ms": [1000, 2000]});
    let judgement = judged(told.clone(), args.clone(), 2_500);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    let later = judged(told, args, 60_000);
    assert_eq!(later.verdict, Verdict::Fail, "{later:?}");
}

#[test]
fn nobody_has_given_up_who_may_still_try_again() {
    let told = attempts(&[(0, 503), (1000, 503), (3000, 503)]);
    let args = json!({"expect_retries": 3});
    let soon = judged(told.clone(), args.clone(), 5_000);
    assert_eq!(soon.verdict, Verdict::Inconclusive, "{soon:?}");
    assert_eq!(
        judged(told.clone(), args.clone(), 60_000).verdict,
        Verdict::Fail
    );
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    let check = Check::read(Kind::Retries, args.as_object().cloned().unwrap_or_default());
    let gaps = crate::checks::testing::shaky();
    let judgement = check
        .expect("the arguments are right")
        .judge(&[traffic.view(&all)], &gaps);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
}

/// Requests for `/home`, one after the other, each of which asks `stock` once and is told 503.
fn asked_once_each(n: i64) -> Vec<Told> {
    let mut told = Vec::new();
    for at_ms in (0..n).map(|it| it * 200) {
        told.push(get(at_ms, "/home", 200).taking_ms(50).received());
        told.push(get(at_ms + 10, "/items/1", 503).between("orders", "stock"));
    }
    told
}

#[test]
fn what_different_requests_cause_is_not_tried_again() {
    assert_eq!(found(asked_once_each(10)), []);
    let judgement = judged(asked_once_each(10), json!({"expect_retries": 0}), 60_000);
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
}

#[test]
fn who_is_asked_twice_tries_each_again_by_itself() {
    let mut told = Vec::new();
    for asked_ms in [0, 10_000] {
        told.push(get(asked_ms, "/home", 502).taking_ms(8000).received());
        let tries = [0, 1000, 3000, 7000].map(|at_ms| get(asked_ms + 10 + at_ms, "/items/1", 503));
        told.extend(tries.map(|it| it.between("orders", "stock")));
    }
    let traffic = traffic(told);
    let to_stock = traffic.pick(|id| id.ordinal % 5 > 0);
    let retries: Vec<_> = chains(&traffic.view(&to_stock))
        .iter()
        .map(Chain::retries)
        .collect();
    assert_eq!(retries, [3, 3]);
}

#[test_case("23505", 0; "the key is there already")]
#[test_case("40001", 2; "later")]
#[test_case("57014", 2; "cancelled")]
#[test_case("25P02", 0; "behind an error")]
#[test_case("08006", 2; "a failure")]
fn statements_are_tried_again_where_there_is_reason_to(code: &str, retries: usize) {
    let refuse = |call: &mut Call| {
        if let Detail::Sql(sql) = &mut call.detail {
            sql.error = Some(SqlError {
                code: ErrorCode::read(code.as_bytes()).expect("it is a code"),
                severity: remora_store::call::Severity::Error,
            });
        }
    };
    let tries = (0..3).map(|it| statement(it * 100, "INSERT INTO users VALUES (?)", 7));
    let traffic = traffic(tries.map(|told| told.having(refuse)));
    let all = traffic.pick(|_| true);
    let chains = chains(&traffic.view(&all));
    assert_eq!(chains.iter().map(Chain::retries).sum::<usize>(), retries);
}

#[test]
fn without_expectations_it_is_asked_whether_anything_is_wrong() {
    let well = attempts(&[(0, 503), (100, 503), (310, 503), (715, 200)]);
    assert_eq!(judged(well, json!({}), 9_000).verdict, Verdict::Pass);
    let badly = attempts(&[(0, 503), (100, 503), (200, 503), (300, 200)]);
    let judgement = judged(badly, json!({}), 9_000);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(judgement.actual.contains("no backoff"), "{judgement:?}");
}

#[test_case(&[(0, 503), (100, 503), (200, 503), (300, 503)], &[("no_backoff", "medium")]; "constant")]
#[test_case(&[(0, 503), (5, 503), (10, 503), (15, 503)], &[("no_backoff", "high")]; "at once")]
#[test_case(&[(0, 503), (1000, 503), (2000, 200)], &[("no_backoff", "low")]; "two delays are a guess")]
#[test_case(&[(0, 503), (1000, 200)], &[]; "one delay is none")]
#[test_case(&[(0, 503), (100, 503), (300, 503), (700, 200)], &[]; "exponential")]
#[test_case(&[(0, 503), (2, 503), (1000, 503), (3000, 200)], &[]; "the first at once, then longer")]
#[test_case(&[(0, 404), (100, 404), (200, 404), (300, 404)], &[]; "a 404 is an answer")]
#[test_case(&[(0, 200), (100, 200), (200, 200), (300, 200)], &[]; "nothing failed")]
#[test_case(&[(0, 503), (10_000, 503), (20_000, 503), (30_000, 503)], &[]; "a slow poll harms nobody")]
#[test_case(&[(0, 503), (400_000, 503), (800_000, 503), (1_200_000, 503)], &[]; "too far apart to be attempts")]
#[test_case(&[(0, 429), (100, 429), (200, 429), (300, 200)], &[("no_backoff", "medium")]; "told to slow down")]
fn findings_in_the_times_of_attempts(told: &[(i64, u16)], expected: &[(&str, &str)]) {
    assert_eq!(found(attempts(told)), expected);
}

#[test]
fn more_attempts_than_any_outage_takes_are_found() {
    let delays = [100, 300, 700, 1500, 3100, 6300, 12_700, 25_500];
    let mut told = vec![(0, 503)];
    told.extend(delays.map(|at_ms| (at_ms, 503)));
    assert_eq!(found(attempts(&told)), [("many_retries", "medium")]);
}

#[test_case("Retry-After: 2", 1000, &[("retry_after_ignored", "high")]; "too soon")]
#[test_case("Retry-After: 2", 2100, &[]; "as asked")]
#[test_case("Retry-After: Tue, 14 Nov 2023 22:13:30 GMT", 1000, &[("retry_after_ignored", "high")]; "too soon for a date")]
#[test_case("Retry-After: Tue, 14 Nov 2023 22:13:30 GMT", 9500, &[]; "a date has no parts of a second")]
#[test_case("Retry-After: soon", 1, &[]; "what cannot be read asks nothing")]
#[test_case("Retry-After: 99999999999999999999", 1, &[]; "nor what is too large")]
fn a_server_says_when_to_come_again(field: &str, next_ms: i64, expected: &[(&str, &str)]) {
    let told = vec![
        get(0, "/pay", 503).answering(field),
        get(next_ms, "/pay", 200),
    ];
    assert_eq!(found(told), expected);
}

#[test]
fn retries_that_hide_a_refused_connection_are_found() {
    let told = vec![
        refused(0),
        refused(100),
        refused(300),
        get(700, "/pay", 200),
    ];
    assert_eq!(found(told), [("hides_fault", "medium")]);
}

#[test]
fn a_call_on_a_connection_that_was_there_before_is_no_retry_of_one_that_was_refused() {
    let told = vec![refused(0), get(700, "/pay", 200).on_connection(1, 1)];
    assert_eq!(found(told), []);
}

#[test]
fn one_retry_after_an_idle_connection_was_closed_matters_little() {
    let reset = get(5000, "/pay", 200)
        .on_connection(1, 3)
        .failing(CallError::ServerClosed);
    let told = vec![reset, get(5004, "/pay", 200)];
    assert_eq!(found(told), [("hides_fault", "low")]);
}

#[test]
fn other_requests_are_no_attempts() {
    let other_body = get(100, "/pay", 503).having(|call| call.request.body_size = 7);
    let other_key = get(200, "/pay", 503).sending("Idempotency-Key: 2");
    let told = vec![
        get(0, "/pay", 503),
        other_body,
        other_key,
        get(300, "/pay?x=1", 503),
        get(400, "/pay", 503).between("admin", "orders"),
        get(500, "/pay", 503).between("web", "payments"),
    ];
    assert_eq!(found(told), []);
}

#[test]
fn requests_in_parallel_each_have_their_attempts() {
    let told = vec![
        get(0, "/pay", 503),
        get(1, "/pay", 503),
        get(100, "/pay", 503),
        get(101, "/pay", 503),
        get(200, "/pay", 503),
        get(201, "/pay", 503),
        get(300, "/pay", 200),
        get(301, "/pay", 200),
    ];
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    let chains = chains(&traffic.view(&all));
    let retries: Vec<_> = chains.iter().map(Chain::retries).collect();
    assert_eq!(retries, [3, 3]);
}

#[test_case(json!({"expect_retries": 3, "expect_delays_ms": [1]}), "args.expect_retries")]
#[test_case(json!({"expect_delays_ms": []}), "args.expect_delays_ms")]
#[test_case(json!({"expect_delays_ms": [-1]}), "args.expect_delays_ms")]
#[test_case(json!({"expect_backoff": {"base_ms": 1, "factor": 0.5}}), "args.expect_backoff.factor")]
#[test_case(json!({"expect_backoff": {"base_ms": 1}}), "args.expect_backoff")]
#[test_case(json!({"tolerance": 15}), "args.tolerance")]
#[test_case(json!({"expect_retrys": 3}), "args.expect_retrys")]
#[test_case(json!({"expect_retries": "three"}), "args.expect_retries")]
fn a_wrong_argument_is_named(args: serde_json::Value, field: &str) {
    let serde_json::Value::Object(args) = args else {
        panic!("arguments are an object");
    };
    let error = Check::read(Kind::Retries, args).expect_err("the arguments are wrong");
    assert_eq!(error.field_name(), Some(field), "{}", error.message());
}

proptest! {
    #[test]
    fn unrelated_traffic_changes_no_finding(
        others in proptest::collection::vec((0_i64..4000, 0_usize..3, 200_u16..600), 0..60)
    ) {
        let own = attempts(&[(0, 503), (1000, 503), (2000, 503), (3000, 503)]);
        let alone = found(own.clone());
        let paths = ["/a", "/b", "/c"];
        let unrelated = others.into_iter().map(|(at_ms, path, status)| {
            get(at_ms, paths[path], status).between("cart", "stock")
        });
        let traffic = traffic(own.into_iter().chain(unrelated));
        let all = traffic.pick(|_| true);
        let findings = find(&traffic.view(&all));
        let of_own: Vec<_> = findings
            .iter()
            .filter(|it| it.subject.starts_with("web"))
            .map(|it| (it.code, it.severity.as_str()))
            .collect();
        prop_assert_eq!(of_own, alone);
    }

    #[test]
    fn the_order_in_which_calls_are_read_changes_nothing(seed in any::<u64>()) {
        let told = attempts(&[(0, 503), (1000, 503), (2000, 503), (3000, 503), (9000, 503)]);
        let mut shuffled = told.clone();
        let places = shuffled.len();
        for place in 0..places {
            shuffled.swap(place, (seed as usize).wrapping_mul(place + 7) % places);
        }
        prop_assert_eq!(found(shuffled), found(told));
    }
}
