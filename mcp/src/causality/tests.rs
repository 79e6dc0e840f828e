use std::collections::BTreeMap;
use std::sync::Arc;

use remora_store::block::Block;
use remora_store::call::CallId;
use remora_store::head::find_field;
use remora_store::names::Party;

use super::*;

/// Recorded calls of services whose customers, and who themselves, say in `x-truth` what each belongs to; see
/// `tests/joined/corpus.rs`.
const CORPUS: &[u8] = include_bytes!("../../tests/corpus/causes.bin");

/// The calls of one service.
struct Service {
    name: String,
    calls: Vec<FoundCall>,
}

fn services() -> Vec<Service> {
    let mut services = Vec::new();
    let mut rest = CORPUS;
    while let Some((length, after)) = rest.split_first_chunk() {
        let (block, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        rest = after;
        let block = Block::open(block.to_vec().into()).unwrap();
        let origin = Arc::new(block.meta().origin.clone());
        let calls = (0..)
            .zip(block.calls().unwrap())
            .map(|(ordinal, call)| FoundCall {
                id: CallId {
                    block: services.len() as u64 + 1,
                    ordinal,
                },
                src: Party::unknown(call.src),
                dst: Party::unknown(call.dst),
                call,
                withheld: false,
                origin: Arc::clone(&origin),
                redaction_key: Arc::default(),
            });
        services.push(Service {
            name: origin.workload.clone(),
            calls: calls.collect(),
        });
    }
    services
}

fn truth(found: &FoundCall) -> &[u8] {
    find_field(&found.call.request.head, b"x-truth").unwrap()
}

/// Whether what is said of the cause of a call is right; `None` if nothing is.
fn is_right(calls: &[FoundCall], found: &FoundCall, cause: &Cause) -> Option<bool> {
    match (cause.parent, cause.how) {
        (Some(parent), _) => Some(truth(&calls[parent]) == truth(found)),
        (None, How::Background) => Some(truth(found) == b"nobody"),
        (None, _) => None,
    }
}

/// How often something was said, and how often it was right.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    said: usize,
    right: usize,
}

impl Score {
    fn add(&mut self, is_right: bool) {
        self.said += 1;
        self.right += usize::from(is_right);
    }

    fn share(self) -> f64 {
        self.right as f64 / self.said as f64
    }
}

/// How the corpus is scored, by what was stated and by service, as `docs/causality.md` shows it.
fn scores() -> (BTreeMap<(How, Confidence), Score>, String) {
    let mut stated: BTreeMap<(How, Confidence), Score> = BTreeMap::new();
    let mut text =
        String::from("| service | customers | calls | named | right |\n|---|---|---|---|---|\n");
    for service in services() {
        let causes = Causes::of(&service.calls);
        let (mut calls, mut score) = (0, Score::default());
        for (leg, found) in service.calls.iter().enumerate() {
            let Some(cause) = causes.of_leg(leg) else {
                continue;
            };
            calls += 1;
            if let Some(is_right) = is_right(&service.calls, found, cause) {
                stated
                    .entry((cause.how, cause.confidence))
                    .or_default()
                    .add(is_right);
                score.add(is_right);
            }
        }
        let (name, customers) = service.name.split_once('-').unwrap();
        let named = 100.0 * score.said as f64 / f64::from(calls);
        let right = 100.0 * score.share();
        let row = format!("| {name} | {customers} | {calls} | {named:.0} % | {right:.1} % |\n");
        text.push_str(&row);
    }
    text.push_str("\n| found by | stated | answers | right |\n|---|---|---|---|\n");
    for ((how, confidence), score) in &stated {
        let right = 100.0 * score.share();
        text.push_str(&format!(
            "| {} | {confidence} | {} | {right:.1} % |\n",
            how.as_str(),
            score.said
        ));
    }
    (stated, text)
}

#[test]
fn what_is_stated_is_how_often_it_is_right() {
    let (stated, text) = scores();
    let mut buckets: BTreeMap<Confidence, Score> = BTreeMap::new();
    for ((how, confidence), score) in stated {
        assert!(score.said >= 100, "{how:?} is too seldom to be measured");
        let apart = (score.share() - confidence.as_f64()).abs();
        assert!(apart <= 0.05, "{how:?} {confidence}: {}", score.share());
        let bucket = buckets.entry(confidence).or_default();
        bucket.said += score.said;
        bucket.right += score.right;
    }
    assert!(buckets.len() >= 6, "{buckets:?}");
    let page = include_str!("../../../docs/causality.md");
    assert!(
        page.contains(&text),
        "docs/causality.md should have these tables:\n{text}"
    );
}

#[test]
fn most_causes_are_named_where_few_calls_are_answered_at_a_time() {
    for service in services() {
        let causes = Causes::of(&service.calls);
        let calls = service
            .calls
            .iter()
            .filter(|found| is_outbound(found))
            .count();
        let named = (0..service.calls.len())
            .filter_map(|leg| causes.of_leg(leg))
            .filter(|cause| cause.parent.is_some() || cause.how == How::Background)
            .count();
        let (way, customers) = service.name.split_once('-').unwrap();
        let passes_on = way == "traced" || way == "named";
        if passes_on || matches!(customers, "1" | "4") {
            assert!(
                named * 100 >= calls * 97,
                "{}: {named} of {calls}",
                service.name
            );
        }
    }
}

/// Every cause by ids.
fn told(calls: &[FoundCall]) -> BTreeMap<CallId, (Option<CallId>, How, Confidence, Vec<CallId>)> {
    let causes = Causes::of(calls);
    let causes = &causes;
    let told = |(leg, found): (usize, &FoundCall)| {
        let cause = causes.of_leg(leg)?;
        let parent = cause.parent.map(|parent| calls[parent].id);
        let others = cause.alternatives.iter().map(|one| calls[one.leg].id);
        Some((
            found.id,
            (parent, cause.how, cause.confidence, others.collect()),
        ))
    };
    calls.iter().enumerate().filter_map(told).collect()
}

#[test]
fn neither_the_order_of_legs_nor_other_pods_matter() {
    let services = services();
    let mut together: Vec<FoundCall> = Vec::new();
    let mut apart = BTreeMap::new();
    for service in services {
        apart.extend(told(&service.calls));
        together.extend(service.calls);
    }
    // In an order that has nothing to do with time.
    together.sort_by_key(|found| {
        let id = found.id.block * 100_000 + u64::from(found.id.ordinal);
        id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    assert_eq!(told(&together), apart);
}

const MS: i64 = 1_000_000;

/// A leg of one pod, from so many milliseconds to so many, with a path and a header.
fn leg(leg: Leg, ms: std::ops::Range<i64>, path: &str, header: &str) -> FoundCall {
    let mut call = remora_store::testing::call(ms.start * MS, path, 200);
    call.leg = leg;
    call.request.head = format!("GET {path} HTTP/1.1\r\n{header}\r\n").into();
    let end = call
        .phases
        .request_first
        .map(|first| first + ((ms.end - ms.start) * MS) as u64);
    call.phases.response_first = end;
    call.phases.response_last = end;
    FoundCall {
        id: CallId {
            block: ms.start as u64 + 1,
            ordinal: ms.end as u32,
        },
        src: Party::unknown(call.src),
        dst: Party::unknown(call.dst),
        call,
        withheld: false,
        origin: Arc::default(),
        redaction_key: Arc::default(),
    }
}

fn asked(ms: std::ops::Range<i64>, path: &str, header: &str) -> FoundCall {
    leg(Leg::Inbound, ms, path, header)
}

fn asks(ms: std::ops::Range<i64>, path: &str, header: &str) -> FoundCall {
    leg(Leg::Outbound, ms, path, header)
}

const TRACE_A: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const TRACE_A_OTHER_SPAN: &str =
    "x-b3-traceid: 4bf92f3577b34da6a3ce929d0e0e4736\r\nx-b3-spanid: 1111111111111111\r\n";
const TRACE_B: &str = "traceparent: 00-00000000000000000000000000000b0b-00f067aa0ba902b7-01\r\n";

/// The cause of the last of these legs: the place of the parent, and how it was found.
fn cause(legs: &[FoundCall]) -> (Option<usize>, &'static str) {
    let causes = Causes::of(legs);
    let cause = causes.of_leg(legs.len() - 1).unwrap();
    (cause.parent, cause.how.as_str())
}

#[test]
fn a_trace_that_is_passed_on_tells_whatever_the_spelling() {
    for header in [TRACE_A, TRACE_A_OTHER_SPAN] {
        let legs = [
            asked(0..50, "/a", TRACE_B),
            asked(0..50, "/a", TRACE_A),
            asks(10..20, "/b", header),
        ];
        assert_eq!(cause(&legs), (Some(1), "trace_headers"));
    }
}

#[test]
fn a_trace_tells_even_after_the_answer() {
    let legs = [
        asked(0..50, "/a", TRACE_A),
        asked(60..99, "/a", TRACE_B),
        asks(70..80, "/b", TRACE_A),
    ];
    assert_eq!(cause(&legs), (Some(0), "trace_headers"));
}

#[test]
fn of_two_calls_of_one_trace_the_one_counts_whose_headers_were_passed_on() {
    let legs = [
        asked(0..50, "/a", TRACE_A_OTHER_SPAN),
        asked(1..50, "/a", TRACE_A),
        asks(10..20, "/b", TRACE_A),
    ];
    assert_eq!(cause(&legs), (Some(1), "trace_headers"));
}

#[test]
fn a_request_id_that_is_passed_on_tells() {
    let legs = [
        asked(0..50, "/a", "X-Request-Id: one\r\n"),
        asked(0..50, "/a", "X-Request-Id: two\r\n"),
        asks(10..20, "/b", "x-correlation-id: two\r\n"),
    ];
    assert_eq!(cause(&legs), (Some(1), "request_id"));
}

#[test]
fn an_id_in_both_paths_tells_among_those_that_are_being_answered() {
    let mut legs = vec![
        asked(0..50, "/orders/12345678", ""),
        asked(0..50, "/orders/87654321", ""),
        asks(10..20, "/items?order=87654321", ""),
    ];
    assert_eq!(cause(&legs), (Some(1), "shared_id"));
    legs[1] = asked(0..9, "/orders/87654321", "");
    assert_eq!(cause(&legs), (Some(0), "only_one_in_flight"));
}

#[test]
fn a_call_outside_of_all_answers_is_background() {
    let legs = [asked(0..50, "/a", ""), asks(60..70, "/b", "")];
    assert_eq!(cause(&legs), (None, "background"));
    assert!(Causes::of(&legs).effects(0).is_empty());
}

#[test]
fn of_candidates_that_are_alike_none_is_taken_and_all_are_listed() {
    let legs = [
        asked(0..50, "/a", ""),
        asked(0..50, "/a", ""),
        asks(10..20, "/b", ""),
    ];
    assert_eq!(cause(&legs), (None, "ambiguous"));
    let causes = Causes::of(&legs);
    let listed = &causes.of_leg(2).unwrap().alternatives;
    assert_eq!(listed.iter().map(|one| one.leg).collect::<Vec<_>>(), [0, 1]);
    assert!(
        listed
            .iter()
            .all(|one| one.confidence <= Confidence::even(2))
    );
    assert_eq!(
        (causes.effects(0), causes.possible_effects(0)),
        (&[][..], &[2][..])
    );
}

#[test]
fn in_a_crowd_only_ids_tell() {
    let mut legs: Vec<FoundCall> = (0..40).map(|_| asked(0..50, "/a", "")).collect();
    legs.push(asks(10..20, "/b", ""));
    assert_eq!(cause(&legs), (None, "ambiguous"));
    legs.push(asked(1..50, "/orders/12345678", ""));
    legs.push(asks(10..20, "/b/12345678", ""));
    assert_eq!(cause(&legs), (Some(41), "shared_id"));
}

#[test]
fn what_still_runs_can_cause_and_be_caused() {
    let mut legs = [asked(0..1, "/a", ""), asks(500..501, "/b", "")];
    for leg in &mut legs {
        leg.call.state = remora_store::call::State::Open;
        leg.call.phases.response_first = None;
        leg.call.phases.response_last = None;
    }
    assert_eq!(cause(&legs), (Some(0), "only_one_in_flight"));
}

#[test]
fn legs_of_other_recorders_are_no_candidates() {
    let mut legs = [asked(0..50, "/a", TRACE_A), asks(10..20, "/b", TRACE_A)];
    legs[0].origin = Arc::new(remora_store::block::Origin {
        incarnation: 7,
        ..Default::default()
    });
    assert_eq!(cause(&legs), (None, "background"));
}
