use serde_json::{Value, json};
use test_case::test_case;

use super::super::testing::{firm, judge, refused_field, shaky};
use super::*;
use crate::checks::Ground;
use crate::checks::Kind;
use crate::traffic::testing::{Told, get, refused};

fn cached(value: &str) -> Told {
    get(0, "/api/orders/7", 200).answering(&format!("Cache-Control: {value}"))
}

#[test_case("max-age=60", Verdict::Pass)]
#[test_case("no-store", Verdict::Fail; "of another pattern")]
#[test_case("[redacted bearer #7k2m9x4p1q]", Verdict::Inconclusive; "what was redacted cannot be told")]
fn a_value_matches_its_pattern(value: &str, expected: Verdict) {
    let args = json!({"require": [{"name": "cache-control", "pattern": "^max-age=[0-9]+$"}]});
    let judgement = judge(Kind::Headers, args, vec![cached(value)], &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test]
fn a_header_that_is_missing_is_counted_and_proved() {
    let told = vec![
        cached("max-age=60"),
        get(1, "/api/orders/7", 200),
        get(2, "/api/orders/7", 200),
    ];
    let args = json!({"require": [{"name": "Cache-Control"}]});
    let judgement = judge(Kind::Headers, args, told, &firm());
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.actual,
        "response has cache-control: 2 of 3 calls without it"
    );
    let ids: Vec<_> = judgement.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["c1-1", "c1-2"]);
}

#[test]
fn a_header_that_is_forbidden_fails_and_its_absence_needs_firm_ground() {
    let args = json!({"forbid": [{"name": "authorization", "on": "request"}]});
    let with = vec![get(0, "/", 200).sending("Authorization: Bearer x")];
    let without = vec![get(0, "/", 200)];
    let verdict = |told: &Vec<Told>, ground: &Ground| {
        judge(Kind::Headers, args.clone(), told.clone(), ground).verdict
    };
    assert_eq!(verdict(&with, &shaky()), Verdict::Fail);
    assert_eq!(verdict(&without, &firm()), Verdict::Pass);
    assert_eq!(verdict(&without, &shaky()), Verdict::Inconclusive);
}

#[test]
fn a_head_that_was_cut_or_never_came_proves_nothing() {
    let args = json!({"require": [{"name": "etag"}]});
    let cut = get(0, "/", 200).having(|call| call.response.omitted = Some(Omitted::Head));
    let judgement = judge(Kind::Headers, args.clone(), vec![cut], &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    let judgement = judge(Kind::Headers, args, vec![refused(0)], &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
}

#[test_case(json!({}), "args.require")]
#[test_case(json!({"require": [{"name": "a b"}]}), "args.require[0].name")]
#[test_case(json!({"require": [{"name": "a", "pattern": "("}]}), "args.require[0].pattern")]
#[test_case(json!({"require": [{"name": "a", "pattern": "(a{1000}){1000}"}]}), "args.require[0].pattern"; "a pattern that grows")]
#[test_case(json!({"forbid": [{"name": "a", "on": "trailer"}]}), "args.forbid[0].on")]
fn a_rule_that_is_none_is_refused(args: Value, field: &str) {
    assert_eq!(refused_field(Kind::Headers, args), field);
}

/// A call of `orders` with an id, and what it asks of `stock` while it answers.
fn passed_on(sent: &str, onward: &[&str]) -> Vec<Told> {
    let parent = get(0, "/cart", 200).taking_ms(90).received().sending(sent);
    let onward = (1..).zip(onward).map(|(place, field)| {
        let told = get(place * 10, "/items", 200).between("orders", "stock");
        match *field {
            "" => told,
            field => told.sending(field),
        }
    });
    std::iter::once(parent).chain(onward).collect()
}

#[test_case("x-request-id", passed_on("X-Request-Id: 7", &["x-request-id: 7"]), Verdict::Pass; "passed on")]
#[test_case("x-request-id", passed_on("X-Request-Id: 7", &["x-request-id: 7", ""]), Verdict::Fail; "lost once")]
#[test_case("x-request-id", passed_on("X-Request-Id: 7", &["x-request-id: 8"]), Verdict::Fail; "made anew")]
#[test_case("x-request-id", passed_on("X-Request-Id: 7", &[]), Verdict::Inconclusive; "nothing was caused")]
#[test_case("traceparent", passed_on("traceparent: 00-aa-01-01", &["traceparent: 00-aa-02-01"]), Verdict::Pass; "the same trace, another span")]
#[test_case("traceparent", passed_on("traceparent: 00-aa-01-01", &["traceparent: 00-bb-02-01"]), Verdict::Fail; "another trace")]
fn a_header_goes_on_with_what_is_caused(name: &str, told: Vec<Told>, expected: Verdict) {
    let traffic = crate::traffic::testing::traffic(told);
    let of_carts = |id| {
        traffic
            .observed()
            .iter()
            .any(|it| it.id() == id && it.path == "/cart")
    };
    let picked = traffic.pick(of_carts);
    let args = json!({"require": [{"name": name, "propagate": true}]});
    let check = crate::checks::Check::read(Kind::Headers, args.as_object().cloned().unwrap());
    let judgement = check.unwrap().judge(&[traffic.view(&picked)], &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
    if expected == Verdict::Fail {
        assert!(
            judgement
                .actual
                .contains("first at orders -> stock GET /items"),
            "{judgement:?}"
        );
    }
}

#[test]
fn a_response_does_not_go_on() {
    let args = json!({"require": [{"name": "etag", "on": "response", "propagate": true}]});
    assert_eq!(
        refused_field(Kind::Headers, args),
        "args.require[0].propagate"
    );
}

#[test]
fn a_rule_of_which_no_head_tells_does_not_hold() {
    let args = json!({"require": [{"name": "host", "on": "request"}, {"name": "etag"}]});
    let unanswered = get(0, "/", 200).failing(remora_store::call::CallError::ServerClosed);
    let judgement = judge(Kind::Headers, args, vec![unanswered], &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    assert_eq!(judgement.why, "there was no such head: response has etag");
}
