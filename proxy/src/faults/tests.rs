use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Waker};

use remora_store::call::Leg;
use serde_json::json;
use test_case::test_case;

use super::*;

const HEAD: &[u8] = b"GET /api/orders/1 HTTP/1.1\r\nHost: orders\r\n\r\n";

fn order(id: &str, more: serde_json::Value) -> FaultOrder {
    let mut fault = json!({"id": id, "leg": "outbound", "effect": {"status": 503}});
    for (key, value) in more.as_object().unwrap() {
        fault[key] = value.clone();
    }
    FaultOrder {
        id: id.to_owned(),
        fault,
        left_ms: 60_000,
    }
}

fn target() -> Target {
    Target {
        leg: Leg::Outbound,
        address: "10.0.0.7:8080".parse().unwrap(),
        called: None,
    }
}

fn with(orders: Vec<FaultOrder>) -> Arc<Faults> {
    let faults = Arc::new(Faults::new(&Redaction::default()));
    faults.follow(FaultOrders {
        start: orders,
        stop: Vec::new(),
    });
    faults
}

fn stopping(id: &str) -> FaultOrders {
    FaultOrders {
        start: Vec::new(),
        stop: vec![id.to_owned()],
    }
}

fn strikes(faults: &Faults) -> bool {
    faults.strike(&target(), || HEAD.to_vec()).is_some()
}

#[tokio::test(start_paused = true)]
async fn the_first_so_many_are_met_and_no_more() {
    let faults = with(vec![order("f-1", json!({"first": 3}))]);
    let met = (0..10).filter(|_| strikes(&faults)).count();
    assert_eq!(met, 3);
    let report = faults.report();
    assert_eq!(
        (report.held[0].touched, report.held[0].state),
        (3, FaultState::Spent)
    );
    assert!(!faults.concerns(&target()), "nothing is left to be done");
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_by_itself() {
    let faults = with(vec![order("f-1", json!({}))]);
    assert!(strikes(&faults));
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert!(strikes(&faults));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!strikes(&faults) && !faults.concerns(&target()));
    assert_eq!(faults.report().held[0].state, FaultState::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_stopped_is_told_of_until_the_hub_has_heard_it() {
    let faults = with(vec![order("f-1", json!({}))]);
    faults.follow(stopping("f-1"));
    assert!(!strikes(&faults));
    let report = faults.report();
    assert_eq!(report.held[0].state, FaultState::Stopped);
    faults.forget_told(&report);
    assert_eq!(faults.report().held, []);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_again_changes_nothing() {
    let faults = with(vec![order("f-1", json!({"first": 1}))]);
    assert!(strikes(&faults));
    faults.follow(FaultOrders {
        start: vec![order("f-1", json!({"first": 1}))],
        stop: Vec::new(),
    });
    assert!(!strikes(&faults));
}

#[tokio::test(start_paused = true)]
async fn of_several_the_first_that_means_a_request_meets_it() {
    let faults = with(vec![
        order("f-1", json!({"filter": {"path_prefix": "/other"}})),
        order("f-2", json!({"first": 1})),
        order("f-3", json!({})),
    ]);
    let met = |_| faults.strike(&target(), || HEAD.to_vec()).unwrap().id;
    let ids: Vec<Box<str>> = (0..2).map(met).collect();
    assert_eq!(ids, ["f-2".into(), "f-3".into()]);
}

#[test_case(json!({"effect": {"jitter": 1}}), "jitter"; "an effect of a newer hub")]
#[test_case(json!({"effect": {"status": 99}}), "99"; "an effect that cannot be")]
#[tokio::test]
async fn what_cannot_be_carried_out_is_refused_with_a_reason(fault: serde_json::Value, word: &str) {
    let faults = with(vec![order("f-1", fault)]);
    let report = faults.report();
    assert_eq!(report.held, []);
    assert!(report.refused[0].why.contains(word), "{report:?}");
    assert!(!faults.concerns(&target()));
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_holds_no_more_than_it_can() {
    let many = (0..=MOST_FAULTS).map(|number| order(&format!("f-{number}"), json!({})));
    let faults = with(many.collect());
    let report = faults.report();
    assert_eq!((report.held.len(), report.refused.len()), (MOST_FAULTS, 1));
    faults.follow(stopping("f-0"));
    faults.follow(stopping("f-8"));
    faults.follow(FaultOrders {
        start: vec![order("f-8", json!({}))],
        stop: Vec::new(),
    });
    assert_eq!(faults.report().refused, []);
}

#[test_case(json!({"where": "request.headers['authorization'].startsWith('Bearer s3cr')"}), false; "the beginning of a secret")]
#[test_case(json!({"where": "request.headers['x-echo'].contains('s3cr')"}), false; "a secret where it is told again")]
#[test_case(json!({"where": "request.cookies['session'].matches('^a')"}), false; "a cookie")]
#[test_case(json!({"where": "query_string['token'].contains('0ff1ce')"}), false; "a parameter")]
#[test_case(json!({"header": "x-api-key: k3y-of-the-shop"}), false; "a key")]
#[test_case(json!({"where": "request.headers['authorization'].startsWith('Bearer [redacted bearer #')"}), true; "its mask")]
#[test_case(json!({"where": "request.headers['x-user'] == '7' && query_string['dry'] == '1'"}), true; "what is no secret")]
#[tokio::test]
async fn a_filter_sees_of_a_request_what_its_record_shows(
    filter: serde_json::Value,
    expected: bool,
) {
    let head = b"GET /orders?dry=1&token=0ff1ce0ff1ce HTTP/1.1\r\nHost: orders\r\nX-User: 7\r\n\
        Authorization: Bearer s3cret-of-a-user\r\nX-Echo: for s3cret-of-a-user\r\n\
        Cookie: session=abcdef0123456789\r\nX-Api-Key: k3y-of-the-shop\r\n\r\n";
    let faults = with(vec![order("f-1", json!({"filter": filter}))]);
    let is_met = faults.strike(&target(), || head.to_vec()).is_some();
    assert_eq!(is_met, expected);
}

#[tokio::test]
async fn a_filter_tells_a_secret_by_the_tag_that_the_hub_has_of_it() {
    let key = RedactionKey::new("k-1".to_owned(), &[7; 32]);
    let head = b"GET / HTTP/1.1\r\nAuthorization: Bearer s3cret-of-a-user\r\n\r\n";
    let recorded = Redactor::new(&key, &Redaction::default()).request_head(head.to_vec());
    let recorded = String::from_utf8(recorded.to_vec()).unwrap();
    let (_, value) = recorded.trim().split_once("Authorization: ").unwrap();
    let filter = json!({"header": format!("authorization: {value}")});
    let faults = with(vec![order("f-1", json!({"filter": filter}))]);
    let is_met = || faults.strike(&target(), || head.to_vec()).is_some();
    assert!(!is_met(), "under a key of this sidecar's own");
    faults.set_key(&key);
    assert!(is_met());
}

#[tokio::test(start_paused = true)]
async fn a_share_is_met_by_chance() {
    let faults = with(vec![order("f-1", json!({"share": 0.1}))]);
    let met = (0..10_000).filter(|_| strikes(&faults)).count();
    // Ten standard deviations.
    assert!((700..1_300).contains(&met), "{met}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_told_apart_by_how_they_are_carried() {
    let faults = with(vec![order("f-1", json!({"filter": {"dst": "10.0.0.7"}}))]);
    let elsewhere = Target {
        address: "10.0.0.8:80".parse().unwrap(),
        ..target()
    };
    let inbound = Target {
        leg: Leg::Inbound,
        ..target()
    };
    let targets = [target(), target(), target(), elsewhere, inbound];
    let subjects: Vec<Subject> = targets
        .into_iter()
        .map(|target| Subject::new(&faults, target, true))
        .collect();
    assert_eq!(
        subjects
            .iter()
            .map(Subject::is_concerned)
            .collect::<Vec<_>>(),
        [true, true, true, false, false]
    );
    let told = || {
        let report = faults.report();
        (report.held[0].covered, report.held[0].not_covered)
    };
    // What is not decided yet will be by the faults that there are then.
    assert_eq!(told(), (0, 0));
    subjects[0].carried_by(Carrier::Terminate);
    subjects[1].carried_by(Carrier::Foreign);
    for spliced in &subjects[2..] {
        spliced.carried_by(Carrier::Splice);
    }
    assert_eq!(told(), (1, 1));
    drop(subjects);
    assert_eq!(told(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_spent_covers_no_connection_and_misses_none() {
    let faults = with(vec![order("f-1", json!({"first": 1}))]);
    let carried = Subject::new(&faults, target(), true);
    carried.carried_by(Carrier::Terminate);
    assert!(strikes(&faults));
    let later = Subject::new(&faults, target(), true);
    later.carried_by(Carrier::Splice);
    let report = faults.report();
    let held = &report.held[0];
    assert_eq!(held.state, FaultState::Spent);
    assert_eq!((held.covered, held.not_covered), (0, 0));
}

#[test_case(false, 1; "that nobody looks at")]
#[test_case(true, 3; "that has told nothing yet")]
#[tokio::test(start_paused = true)]
async fn what_a_connection_speaks_is_asked_on(is_watched: bool, expected: usize) {
    let faults = with(vec![order("f-1", json!({}))]);
    let subject = Subject::new(&faults, target(), true);
    let cx = Context::from_waker(Waker::noop());
    let asked = Cell::new(0);
    for _ in 0..3 {
        let family = || {
            asked.set(asked.get() + 1);
            None
        };
        assert!(subject.is_to_change(&cx, is_watched, family));
    }
    assert_eq!(asked.get(), expected);
}
