//! What a fault did is no fault of a service, and is said.

use std::net::SocketAddr;

use remora_store::call::{CallError, Digest, EffectKind, Injected};
use serde_json::{Value, json};
use test_case::test_case;

use super::super::testing::{findings, firm, judge};
use super::super::{Kind, Verdict};
use crate::traffic::testing::{Told, get};

fn by_fault(told: Told, effect: EffectKind) -> Told {
    told.having(|call| {
        call.fault = Some(Injected {
            id: "f-1".into(),
            effect,
        });
    })
}

/// Four attempts, of which a fault answered the first three.
fn retried(delays_ms: [i64; 3]) -> Vec<Told> {
    let mut at_ms = 0;
    let mut attempts = Vec::new();
    for delay_ms in delays_ms {
        attempts.push(by_fault(get(at_ms, "/pay", 503), EffectKind::Status));
        // Each attempt takes 2 ms.
        at_ms += 2 + delay_ms;
    }
    attempts.push(get(at_ms, "/pay", 200));
    attempts
}

#[test_case([1_000, 2_000, 4_000], Verdict::Pass)]
#[test_case([1_000, 1_000, 1_000], Verdict::Fail; "constant")]
fn retries_are_judged_by_what_a_fault_made_fail(delays_ms: [i64; 3], expected: Verdict) {
    let args = json!({"expect_retries": 3, "expect_backoff": {"base_ms": 1_000, "factor": 2}});
    let judgement = judge(Kind::Retries, args, retried(delays_ms), &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
    assert_eq!(judgement.evidence.len(), 4);
}

#[test]
fn what_a_fault_answered_is_no_failure_of_the_service() {
    let answers = || (0..20).map(|i| get(i * 10, "/pay", 503));
    let injected = answers().map(|told| by_fault(told, EffectKind::Status));
    assert_eq!(findings(Kind::Status, injected.collect()), []);
    let real: Vec<Told> = answers().collect();
    assert_eq!(findings(Kind::Status, real).len(), 1);
    let judgement = judge(
        Kind::Status,
        json!({"expect": "2xx"}),
        retried([1_000, 1_000, 1_000]),
        &firm(),
    );
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
}

#[test]
fn a_reset_by_a_fault_is_no_trouble_of_a_connection() {
    let reset = |i: i64| {
        let told = get(i * 10, "/pay", 200).failing(CallError::FaultReset);
        by_fault(told, EffectKind::Reset)
    };
    assert_eq!(
        findings(Kind::Connections, (0..20).map(reset).collect()),
        []
    );
}

#[test]
fn a_delay_by_a_fault_says_nothing_of_how_fast_a_service_is() {
    let mut told: Vec<Told> = (0..20).map(|i| get(i * 10, "/pay", 200)).collect();
    let slow = get(300, "/pay", 200).taking_ms(5_000);
    told.push(by_fault(slow, EffectKind::Delay));
    let judgement = judge(Kind::Latency, json!({"max_ms": 100}), told, &firm());
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
}

#[test]
fn a_judgement_of_a_service_says_how_many_calls_it_leaves_out() {
    let judgement = judge(
        Kind::Status,
        json!({"expect": "2xx"}),
        retried([1_000, 1_000, 1_000]),
        &firm(),
    );
    assert_eq!(judgement.actual, "1 call, all so");
    assert_eq!(
        judgement.why,
        "left out: 3 calls that an injected fault met"
    );
}

#[test_case(Kind::Status, json!({"expect": "2xx"}))]
#[test_case(Kind::Latency, json!({"p95_ms": 10}))]
#[test_case(Kind::Headers, json!({"require": [{"name": "etag", "on": "response"}]}))]
#[test_case(Kind::Connections, json!({}))]
#[test_case(Kind::Cache, json!({}))]
fn nothing_can_be_said_of_a_service_whose_every_call_a_fault_met(kind: Kind, args: Value) {
    let answered = get(0, "/pay", 503);
    let told = vec![by_fault(answered, EffectKind::Status)];
    let judgement = judge(kind, args, told, &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.actual, "1 call, met by an injected fault");
    assert!(
        judgement
            .why
            .starts_with("an injected fault met every call"),
        "{judgement:?}"
    );
}

#[test_case(Kind::Count, json!({"max": 3}), Verdict::Fail)]
#[test_case(Kind::Count, json!({"min": 4}), Verdict::Pass)]
#[test_case(Kind::NoCall, json!({}), Verdict::Fail)]
fn calls_that_a_fault_met_were_made_and_are_counted(kind: Kind, args: Value, expected: Verdict) {
    let judgement = judge(kind, args, retried([1_000, 1_000, 1_000]), &firm());
    let told = (judgement.verdict, judgement.n, judgement.why.as_str());
    assert_eq!(told, (expected, 4, "an injected fault met 3 of them"));
}

#[test]
fn what_fails_above_a_fault_is_told_with_the_fault() {
    let above = |i: i64| {
        let asked = get(i * 100, "/cart", 502).taking_ms(50).received();
        let child = get(i * 100 + 10, "/pay", 503).between("orders", "payments");
        [asked, by_fault(child, EffectKind::Status)]
    };
    let told: Vec<Told> = (0..5).flat_map(above).collect();
    let found = findings(Kind::Status, told);
    let [finding] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(finding.subject, "web -> orders GET /cart");
    assert_eq!(
        finding.seen,
        "5 of 5 calls failed (100 %): 5 × 502; 5 of them while an injected fault met what they called"
    );
    assert_eq!(finding.severity.as_str(), "low");
}

#[test]
fn a_fault_beside_the_callee_is_seen_through_the_leg_of_the_caller() {
    let both = |i: u8| {
        let client = SocketAddr::from(([10, 0, 0, 1], 40_000 + u16::from(i)));
        let sent = get(i64::from(i) * 10, "/pay", 503).having(|call| {
            call.connection.forwarded_from = Some(client);
            call.join_digest = Some(Digest([i; 16]));
        });
        let received = sent.clone().received().having(|call| {
            call.connection.forwarded_from = None;
            call.src = client;
        });
        [sent, by_fault(received, EffectKind::Status)]
    };
    let told: Vec<Told> = (0..5).flat_map(both).collect();
    assert_eq!(findings(Kind::Status, told.clone()), []);
    let judgement = judge(Kind::Status, json!({"expect": "2xx"}), told, &firm());
    assert_eq!(judgement.actual, "5 calls, met by an injected fault");
}
