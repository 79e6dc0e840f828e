//! What can be told of a client before it is done, and from less than all records.

use remora_store::call::State;
use serde_json::{Value, json};
use test_case::test_case;

use super::{attempts, judged};
use crate::checks::testing::{firm, judge, shaky};
use crate::checks::{Ground, Kind, Verdict};
use crate::traffic::testing::{Told, at, get};

#[test_case(json!({"expect_delays_ms": [100, 200]}), &[(0, 503), (100, 503), (302, 503)], 320; "the last one has just failed")]
#[test_case(json!({"expect_retries": 0}), &[(0, 503)], 10; "none is expected")]
#[test_case(json!({"expect_retries": 1}), &[(0, 503), (1000, 503)], 5000; "of the delays nothing is known")]
fn whoever_failed_a_moment_ago_may_still_try_again(
    args: Value,
    told: &[(i64, u16)],
    until_ms: i64,
) {
    let soon = judged(attempts(told), args.clone(), until_ms);
    assert_eq!(soon.verdict, Verdict::Inconclusive, "{soon:?}");
    let later = judged(attempts(told), args, 60_000);
    assert_eq!(later.verdict, Verdict::Pass, "{later:?}");
}

/// Attempts, the last of which runs.
fn running(told: &[(i64, u16)]) -> Vec<Told> {
    let mut told = attempts(told);
    let last = told.pop().expect("there is one");
    told.push(last.having(|call| {
        call.state = State::Open;
        call.response = Default::default();
        call.phases.response_first = None;
        call.phases.response_last = None;
    }));
    told
}

#[test_case(1, Verdict::Inconclusive; "it may be the last")]
#[test_case(3, Verdict::Inconclusive; "there may be more")]
#[test_case(0, Verdict::Inconclusive; "it may be one too many, or another request")]
fn a_call_that_runs_may_be_an_attempt(expect_retries: u32, expected: Verdict) {
    let told = running(&[(0, 503), (1000, 200)]);
    let judgement = judged(told, json!({"expect_retries": expect_retries}), 60_000);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test]
fn a_new_request_that_runs_is_not_held_against_one_that_was_given_up_as_expected() {
    let told = [
        (0, 503),
        (1000, 503),
        (3000, 503),
        (7000, 503),
        (20_000, 200),
    ];
    let args = json!({"expect_retries": 3});
    let judgement = judged(running(&told), args, 60_000);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    let again = judged(running(&told), json!({"expect_retries": 2}), 60_000);
    assert_eq!(again.verdict, Verdict::Fail, "{again:?}");
    assert_eq!(again.why, "3 retries where 2 were expected");
}

#[test]
fn it_is_said_how_long_to_wait_after_the_last_attempt() {
    let told = [(0, 503), (1000, 503), (3000, 503), (7000, 503)];
    let args = json!({"expect_retries": 3, "expect_backoff": {"base_ms": 1000, "factor": 2}});
    let soon = judged(attempts(&told), args.clone(), 16_000);
    assert_eq!(soon.verdict, Verdict::Inconclusive, "{soon:?}");
    assert_eq!(
        soon.why,
        "what was looked at ends before it is sure that there is no further retry: seal no sooner than 10 s after the last attempt"
    );
    let later = judged(attempts(&told), args, 7002 + 10_000);
    assert_eq!(later.verdict, Verdict::Pass, "{later:?}");
}

/// A call that comes later than five minutes is a request of its own: nothing is gained by waiting longer.
#[test]
fn no_more_is_waited_than_a_retry_is_looked_for() {
    let told = [
        (0, 503),
        (1000, 503),
        (6000, 503),
        (31_000, 503),
        (156_000, 503),
    ];
    let args = json!({"expect_retries": 4, "expect_backoff": {"base_ms": 1000, "factor": 5}});
    let ended_ms = 156_002;
    let soon = judged(attempts(&told), args.clone(), ended_ms + 299_000);
    assert_eq!(soon.verdict, Verdict::Inconclusive, "{soon:?}");
    assert!(soon.why.contains("no sooner than 300 s"), "{soon:?}");
    let later = judged(attempts(&told), args, ended_ms + 300_000);
    assert_eq!(later.verdict, Verdict::Pass, "{later:?}");
}

/// ... but a retry that is expected even later was not given up because it is not due yet.
#[test]
fn a_retry_that_is_due_later_than_one_is_looked_for_is_not_missed_early() {
    let told = [
        (0, 503),
        (1000, 503),
        (6000, 503),
        (31_000, 503),
        (156_000, 503),
    ];
    let args = json!({"expect_retries": 5, "expect_backoff": {"base_ms": 1000, "factor": 5}});
    let judgement = judged(attempts(&told), args, 156_002 + 400_000);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
}

#[test_case(&[(0, 503), (2004, 503), (6010, 200)], Verdict::Inconclusive; "the second may be missing")]
#[test_case(&[(0, 503), (1002, 503), (2004, 503), (3006, 200)], Verdict::Fail; "nothing that is missing makes a delay shorter")]
fn where_records_are_missing_a_delay_may_be_two(told: &[(i64, u16)], expected: Verdict) {
    let args = json!({"expect_delays_ms": [1000, 2000, 4000]});
    let gaps = shaky();
    let judgement = judge(Kind::Retries, args, attempts(told), &gaps);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test_case(&[(0, 503), (2004, 503), (6010, 200)], 900, Verdict::Inconclusive; "the first may lie before")]
#[test_case(&[(0, 503), (2004, 503), (6010, 200)], 5000, Verdict::Fail; "it would have been seen")]
#[test_case(&[(0, 503), (1002, 503), (2004, 503), (3006, 200)], 900, Verdict::Fail; "no later delays are these")]
#[test_case(&[(0, 503), (2004, 503)], 900, Verdict::Inconclusive; "given up, perhaps not so early")]
#[test_case(&[(0, 503)], 0, Verdict::Fail; "a client that never tries again")]
fn an_attempt_may_lie_before_what_was_looked_at(
    told: &[(i64, u16)],
    since_ms_before: i64,
    expected: Verdict,
) {
    let args = json!({"expect_delays_ms": [1000, 2000, 4000]});
    let ground = Ground {
        since_ns: Some(at(-since_ms_before)),
        ..firm()
    };
    let judgement = judge(Kind::Retries, args, attempts(told), &ground);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test_case(100, Verdict::Inconclusive; "the request came at once")]
#[test_case(2000, Verdict::Fail; "the snapshot began as was said")]
fn it_is_said_how_long_before_the_request_a_snapshot_begins(
    since_ms_before: i64,
    expected: Verdict,
) {
    let told = attempts(&[(0, 503), (1002, 503), (3004, 503), (7006, 200)]);
    let args = json!({"expect_backoff": {"base_ms": 500, "factor": 2}});
    let ground = Ground {
        since_ns: Some(at(-since_ms_before)),
        ..firm()
    };
    let judgement = judge(Kind::Retries, args, told, &ground);
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
    let why = match expected {
        Verdict::Fail => "delay 1 was 1.00 s instead of 500 ms",
        _ => {
            "an earlier attempt may lie before the snapshot began: begin it at least 1 s before the request"
        }
    };
    assert_eq!(judgement.why, why);
}

#[test]
fn what_cannot_be_told_of_one_request_keeps_others_from_passing() {
    let mut told = attempts(&[(0, 503), (1000, 200)]);
    told.push(get(59_000, "/pay", 503).between("admin", "orders"));
    let args = json!({"expect_retries": 1});
    let judgement = judged(told.clone(), args.clone(), 60_000);
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    told.pop();
    told.push(get(59_000, "/pay", 200).between("admin", "orders"));
    assert_eq!(judged(told, args, 60_000).verdict, Verdict::Pass);
}
