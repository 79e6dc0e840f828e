use remora_store::call::{Call, CallError, Detail, ErrorCode, Protocol, SqlError};
use serde_json::{Value, json};
use test_case::test_case;

use super::super::testing::{findings, firm, judge, refused_field};
use super::*;
use crate::traffic::testing::{Told, command, get, refused, statement};

fn ending(statuses: &[u16]) -> Vec<Told> {
    let calls = (0..).zip(statuses);
    calls
        .map(|(at_ms, status)| get(at_ms, "/pay", *status))
        .collect()
}

#[test_case("CLIENT SETINFO", &[]; "an older server does not know what a newer client says of itself")]
#[test_case("HGETALL", &[("failing", "high")]; "a question")]
fn commands_that_redis_refuses(command_name: &str, expected: &[(&str, &str)]) {
    let refuse = |call: &mut Call| {
        if let Detail::Redis(redis) = &mut call.detail {
            redis.error = ErrorCode::read(b"ERR");
        }
    };
    let told = (0..5).map(|at_ms| command(at_ms, command_name, "k").having(refuse));
    let found = findings(Kind::Status, told.collect());
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.code, it.severity.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test_case(json!({"expect": "2xx"}), &[200, 204], Verdict::Pass)]
#[test_case(json!({"expect": "2xx"}), &[200, 404], Verdict::Fail)]
#[test_case(json!({"expect": 404}), &[404], Verdict::Pass)]
#[test_case(json!({}), &[200, 404], Verdict::Pass; "a 404 is no failure")]
#[test_case(json!({}), &[200, 500], Verdict::Fail)]
#[test_case(json!({"expect": "2xx"}), &[], Verdict::Inconclusive)]
fn every_call_ends_so(args: Value, statuses: &[u16], expected: Verdict) {
    let judgement = judge(Kind::Status, args, ending(statuses), &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}

#[test]
fn a_call_that_runs_is_neither_right_nor_wrong() {
    let running = get(1, "/pay", 200).having(|call| {
        call.state = State::Open;
        call.response = Default::default();
    });
    let told = vec![get(0, "/pay", 200), running];
    let judgement = judge(Kind::Status, json!({"expect": "2xx"}), told, &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
    assert_eq!(judgement.why, "1 call still running");
}

#[test]
fn a_connection_that_never_was_is_no_success() {
    let told = vec![get(0, "/pay", 200), refused(1)];
    let judgement = judge(Kind::Status, json!({"expect": "2xx"}), told, &firm());
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.actual,
        "1 of 2 calls did not: 1 × connect_refused"
    );
}

#[test_case(&[500; 3], Some(Severity::High); "all")]
#[test_case(&[500, 500, 500, 200, 200, 200], Some(Severity::Medium); "half")]
#[test_case(&[500, 200, 200, 200], Some(Severity::Low); "one is bad luck")]
#[test_case(&[404, 429, 200], None; "answers")]
fn failures_are_found(statuses: &[u16], expected: Option<Severity>) {
    let found = findings(Kind::Status, ending(statuses));
    assert_eq!(found.first().map(|it| it.severity), expected, "{found:?}");
}

/// A call of gRPC that ends with this status, of which HTTP says 200.
fn grpc_call(at_ms: i64, status: u16) -> Told {
    get(at_ms, "/shop.Orders/Get", 200).having(|call| {
        call.protocol = Protocol::Grpc;
        call.response.trailers = format!("grpc-status: {status}\r\n").into();
    })
}

fn cut_off(at_ms: i64) -> Told {
    get(at_ms, "/pay", 200).having(|call| call.error = Some(CallError::ServerReset))
}

#[test_case(json!("2xx"), vec![grpc_call(0, 13)], Verdict::Fail, "1 of 1 call did not: 1 × INTERNAL")]
#[test_case(json!("2xx"), vec![grpc_call(0, 5)], Verdict::Fail, "1 of 1 call did not: 1 × NOT_FOUND")]
#[test_case(json!("2xx"), vec![grpc_call(0, 0)], Verdict::Pass, "1 call, all so")]
#[test_case(json!("INTERNAL"), vec![grpc_call(0, 13)], Verdict::Pass, "1 call, all so")]
#[test_case(json!("2xx"), vec![cut_off(0)], Verdict::Fail, "1 of 1 call did not: 1 × 200 server_reset")]
#[test_case(json!(500), vec![get(0, "/pay", 500)], Verdict::Pass, "1 call, all so")]
#[test_case(json!("OK"), vec![get(0, "/pay", 200), grpc_call(1, 0)], Verdict::Pass, "1 call, all so; 1 call without a status of gRPC left out")]
#[test_case(json!(200), vec![get(0, "/pay", 200), statement(1, "SELECT ?", 7)], Verdict::Pass, "1 call, all so; 1 call without a status of HTTP left out")]
#[test_case(json!(200), vec![statement(1, "SELECT ?", 7)], Verdict::Inconclusive, "1 call without a status of HTTP left out")]
fn a_status_is_met_by_calls_that_have_one_and_did_not_fail(
    expect: Value,
    told: Vec<Told>,
    verdict: Verdict,
    actual: &str,
) {
    let judgement = judge(Kind::Status, json!({"expect": expect}), told, &firm());
    assert_eq!((judgement.verdict, &*judgement.actual), (verdict, actual));
}

/// Server-sent events, or whatever else lasts until somebody leaves.
fn events(at_ms: i64, error: CallError) -> Told {
    get(at_ms, "/events", 200).having(|call| {
        call.stream = Some(Box::default());
        call.error = Some(error);
    })
}

#[test_case(CallError::ClientClosed, None; "a tab that is closed")]
#[test_case(CallError::ClientCancelled, None; "a watch that is cancelled")]
#[test_case(CallError::ServerReset, Some("3 of 3 calls failed (100 %): 3 × 200 server_reset"); "a server that dies")]
fn streams_end_when_their_client_leaves(error: CallError, seen: Option<&str>) {
    let told: Vec<Told> = (0..3).map(|at_ms| events(at_ms, error)).collect();
    let found = findings(Kind::Status, told.clone());
    assert_eq!(found.first().map(|it| &*it.seen), seen);
    let verdict = judge(Kind::Status, json!({}), told, &firm()).verdict;
    let expected = seen.map_or(Verdict::Pass, |_| Verdict::Fail);
    assert_eq!(verdict, expected);
}

fn refusing(code: &str) -> Vec<Told> {
    let error = SqlError {
        code: ErrorCode::read(code.as_bytes()).expect("it is a code"),
        severity: remora_store::call::Severity::Error,
    };
    let refuse = |call: &mut Call| {
        if let Detail::Sql(sql) = &mut call.detail {
            sql.error = Some(error);
        }
    };
    let told = (0..3).map(|at_ms| statement(at_ms, "INSERT INTO users VALUES (?)", 7));
    told.map(|told| told.having(refuse)).collect()
}

#[test_case("23505", None, Verdict::Pass; "the user is there already")]
#[test_case("40001", None, Verdict::Pass; "later")]
#[test_case("25P02", None, Verdict::Pass; "behind an error")]
#[test_case("57014", Some(("cancelled", "3 of 3 calls cancelled, by a timeout or on demand: 3 × 57014")), Verdict::Inconclusive; "cancelled")]
#[test_case("42P01", Some(("failing", "3 of 3 calls failed (100 %): 3 × 42P01")), Verdict::Fail; "no such table")]
fn errors_that_postgresql_answers(code: &str, expected: Option<(&str, &str)>, verdict: Verdict) {
    let found = findings(Kind::Status, refusing(code));
    let found = found.first().map(|it| (it.code, &*it.seen));
    assert_eq!(found, expected);
    let judgement = judge(Kind::Status, json!({}), refusing(code), &firm());
    assert_eq!(judgement.verdict, verdict, "{judgement:?}");
}

#[test]
fn a_status_that_is_none_is_refused() {
    assert_eq!(
        refused_field(Kind::Status, json!({"expect": "2x"})),
        "args.expect"
    );
}
