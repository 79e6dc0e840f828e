use remora_store::call::{EffectKind, Injected};
use test_case::test_case;

use super::*;
use crate::traffic::testing::{Told, get, traffic};

fn side(told: Vec<Told>) -> Side {
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    Side::of(&traffic.view(&all))
}

/// Calls of which every `fails`th fails, and that take so long.
fn calls(n: i64, fails: i64, ms: u64) -> Vec<Told> {
    let status = |it: i64| {
        if fails > 0 && it % fails == 0 {
            503
        } else {
            200
        }
    };
    (0..n)
        .map(|it| get(it * 50, "/pay", status(it)).taking_ms(ms + (it % 3) as u64))
        .collect()
}

fn compared(base: Vec<Told>, head: Vec<Told>) -> Vec<&'static str> {
    let compared = differences(&side(base), &side(head));
    compared.found.iter().map(|it| it.change.as_str()).collect()
}

#[test_case(calls(100, 0, 10), calls(100, 0, 10), &[]; "nothing")]
#[test_case(calls(100, 0, 10), calls(100, 4, 10), &["more_errors"]; "more fails")]
#[test_case(calls(100, 4, 10), calls(100, 0, 10), &["fewer_errors"]; "less fails")]
#[test_case(calls(100, 0, 10), calls(100, 90, 10), &[]; "two failures are chance")]
#[test_case(calls(100, 0, 10), calls(100, 0, 40), &["slower"]; "slower")]
#[test_case(calls(100, 0, 40), calls(100, 0, 10), &["faster"]; "faster")]
#[test_case(calls(10, 0, 10), calls(10, 0, 40), &[]; "too few to tell")]
#[test_case(calls(100, 0, 100), calls(100, 0, 104), &[]; "too little to matter")]
#[test_case(vec![], calls(3, 0, 10), &["new"]; "new")]
#[test_case(calls(3, 0, 10), vec![], &["gone"]; "gone")]
fn what_changed(base: Vec<Told>, head: Vec<Told>, expected: &[&str]) {
    assert_eq!(compared(base, head), expected);
}

#[test]
fn headers_that_came_and_went_are_named() {
    let with = |field: &str| {
        calls(10, 0, 10)
            .into_iter()
            .map(|it| it.answering(field))
            .collect()
    };
    let base = side(with("Cache-Control: max-age=60"));
    let head = side(with("X-Served-By: b"));
    let compared = differences(&base, &head);
    let told: Vec<_> = compared
        .found
        .iter()
        .map(|it| (it.change.as_str(), it.head.as_str()))
        .collect();
    let expected = [
        ("header_gone", "response has no cache-control"),
        ("header_new", "response has x-served-by"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn invented_headers_do_not_make_a_real_one_go() {
    let with = |told: Told| told.answering("Cache-Control: max-age=60");
    let base = side(calls(10, 0, 10).into_iter().map(with).collect());
    let many = |told: Told| (0..70).fold(told, |told, it| told.answering(&format!("X-A-{it}: 1")));
    let head = side(
        calls(10, 0, 10)
            .into_iter()
            .map(|it| with(many(it)))
            .collect(),
    );
    let gone = differences(&base, &head).found;
    assert!(
        gone.iter().all(|it| it.change != Change::HeaderGone),
        "{gone:?}"
    );
}

#[test]
fn both_sides_are_in_the_evidence() {
    let compared = differences(&side(calls(100, 0, 10)), &side(calls(100, 4, 10)));
    let ids: Vec<_> = compared.found[0]
        .evidence
        .iter()
        .map(ToString::to_string)
        .collect();
    // The ids of the two sides are of two stores here, and so may be the same.
    assert_eq!(ids, ["c1-0", "c1-1", "c1-4"]);
}

/// The same calls, met by a fault.
fn injected(told: Vec<Told>, effect: EffectKind) -> Vec<Told> {
    let mark = Injected {
        id: "f-1".into(),
        effect,
    };
    let one = |it: Told| it.having(|call| call.fault = Some(mark.clone()));
    told.into_iter().map(one).collect()
}

#[test_case(30, 1, EffectKind::Status; "answers")]
#[test_case(30, 0, EffectKind::Delay; "delays")]
#[test_case(2, 1, EffectKind::Reset; "a few resets")]
fn what_a_fault_did_is_no_difference(n: i64, fails: i64, effect: EffectKind) {
    let mut head = calls(100, 0, 10);
    head.extend(injected(calls(n, fails, 5_000), effect));
    assert_eq!(compared(calls(100, 0, 10), head.clone()), [""; 0]);
    assert_eq!(compared(head, calls(100, 0, 10)), [""; 0]);
}

#[test]
fn a_regression_beside_a_fault_is_told_by_the_calls_that_it_did_not_meet() {
    let mut head = calls(100, 4, 10);
    head.extend(injected(calls(900, 1, 10), EffectKind::Status));
    let (base, head) = (side(calls(100, 0, 10)), side(head));
    let compared = differences(&base, &head);
    let told = compared
        .found
        .first()
        .map(|it| (it.change, it.head.as_str()));
    let expected = (Change::MoreErrors, "25 of 100 calls failed (25 %)");
    assert_eq!(told, Some(expected));
    assert_eq!((head.calls(), head.injected()), (1_000, 900));
}

#[test]
fn a_kind_whose_every_call_a_fault_met_is_there_and_cannot_be_compared() {
    let failing = calls(100, 1, 10);
    let met = injected(calls(3, 1, 10), EffectKind::Status);
    let compared = differences(&side(failing), &side(met.clone()));
    assert_eq!(compared.found, []);
    assert_eq!((compared.unchanged, compared.unknown), (0, 1));
    let gone = differences(&side(met), &side(vec![])).found;
    let told: Vec<_> = gone
        .iter()
        .map(|it| (it.change, it.base.as_str()))
        .collect();
    assert_eq!(told, [(Change::Gone, "3 calls")]);
}

#[test]
fn what_is_slower_and_fails_above_a_fault_is_told_with_the_fault() {
    let asked = |i: i64, status, ms| get(i * 200, "/cart", status).taking_ms(ms).received();
    let child = |i: i64| get(i * 200 + 5, "/pay", 200).between("orders", "payments");
    let base = (0..30)
        .flat_map(|i| [asked(i, 200, 20), child(i)])
        .collect();
    let met = |i: i64| {
        let met = injected(vec![child(i)], EffectKind::Status);
        std::iter::once(asked(i, 502, 90)).chain(met)
    };
    let head = (0..30).flat_map(met).collect();
    let found = differences(&side(base), &side(head)).found;
    let told: Vec<_> = found
        .iter()
        .map(|it| (it.change, it.head.as_str()))
        .collect();
    let fails =
        "30 of 30 calls failed (100 %), 30 of them while an injected fault met what they called";
    let slower = "p50 90 ms, p95 90 ms, an injected fault met what 30 of them called";
    assert_eq!(
        told,
        [(Change::MoreErrors, fails), (Change::Slower, slower)]
    );
}
