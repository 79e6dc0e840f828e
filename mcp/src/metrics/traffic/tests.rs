use proptest::prelude::*;
use remora_store::block::{Block, BlockMeta, Codec, seal};
use remora_store::call::{Call, CallError, EffectKind, Injected, Stream};
use remora_store::testing::{any_call, call, grpc_call};

use super::*;

fn origin(workload: &str) -> Origin {
    Origin {
        workload: workload.to_owned(),
        namespace: "shop".to_owned(),
        ..Origin::default()
    }
}

fn count(traffic: &Traffic, origin: &Origin, calls: &[Call]) {
    let bytes = seal(&BlockMeta::default(), calls, None, Codec::Raw);
    traffic.count(origin, &Block::open(bytes).unwrap().columns().unwrap());
}

fn series(traffic: &Traffic) -> Vec<(Labels, u64, u64)> {
    let counted = traffic.0.lock().unwrap();
    let all = counted.series.iter();
    all.map(|(labels, series)| (labels.clone(), series.calls, series.errors))
        .collect()
}

fn calls_to(paths: impl Iterator<Item = String>) -> Vec<Call> {
    paths.map(|path| call(0, &path, 200)).collect()
}

#[test]
fn routes_beyond_the_bound_are_one_and_counted() {
    let traffic = Traffic::default();
    let letters = |n: usize| {
        let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
        format!("/{}{}", letter(n / 26), letter(n))
    };
    count(&traffic, &origin("orders"), &calls_to((0..80).map(letters)));
    // Those that were there stay as they are.
    count(&traffic, &origin("orders"), &calls_to((0..10).map(letters)));
    let series = series(&traffic);
    assert_eq!(series.len(), ROUTES + 1);
    let other = series
        .iter()
        .find(|(labels, ..)| labels.route == OTHER_ROUTE);
    assert_eq!(other.unwrap().1, 30);
    assert_eq!(traffic.0.lock().unwrap().beyond, 30);
}

#[test]
fn workloads_without_number_make_a_constant_number_of_series() {
    let traffic = Traffic::default();
    for n in 0..SERIES + 100 {
        count(
            &traffic,
            &origin(&format!("w{n}")),
            &[call(0, "/a", 200), call(0, "/b", 500)],
        );
    }
    let series = series(&traffic);
    assert_eq!(series.len(), SERIES + 2);
    let calls: u64 = series.iter().map(|(_, calls, _)| calls).sum();
    assert_eq!(calls, 2 * (SERIES as u64 + 100));
    assert!(traffic.0.lock().unwrap().routes.len() <= SERIES);
}

#[test]
fn names_and_routes_that_make_no_label_stand_for_others() {
    let traffic = Traffic::default();
    let long = format!("/{}", "x".repeat(ROUTE_BYTES));
    count(&traffic, &origin("a\"}\nfake 1"), &[call(0, "/", 200)]);
    count(
        &traffic,
        &origin("orders"),
        &[call(0, &long, 200), call(0, "/\u{e9}", 200)],
    );
    let told: Vec<_> = series(&traffic)
        .into_iter()
        .map(|(labels, calls, _)| (labels.workload, labels.route, calls))
        .collect();
    let expected = [(BEYOND, "/", 1), ("orders", OTHER_ROUTE, 2)];
    let expected = expected.map(|(workload, route, n)| (workload.to_owned(), route.to_owned(), n));
    assert_eq!(told, expected);
}

#[test]
fn a_failure_below_http_has_no_status_and_no_duration() {
    let traffic = Traffic::default();
    let mut refused = call(0, "/pay", 200);
    refused.response.head.clear();
    refused.error = Some(CallError::ConnectRefused);
    refused.phases.response_last = None;
    count(&traffic, &origin("web"), &[refused]);
    let counted = traffic.0.lock().unwrap();
    let (labels, series) = &counted.series[0];
    assert_eq!(labels.status_class, "none");
    assert_eq!((series.calls, series.errors), (1, 1));
    assert_eq!(series.durations.iter().sum::<u64>(), 0);
}

#[test]
fn what_a_fault_met_is_counted_and_is_no_failure_and_no_duration() {
    let traffic = Traffic::default();
    let by_fault = |effect, status| {
        let mut met = call(0, "/pay", status);
        met.fault = Some(Injected {
            id: "f-1".into(),
            effect,
        });
        met
    };
    let calls = [
        call(0, "/pay", 503),
        by_fault(EffectKind::Status, 503),
        by_fault(EffectKind::Delay, 503),
    ];
    count(&traffic, &origin("web"), &calls);
    let counted = traffic.0.lock().unwrap();
    let (_, series) = &counted.series[0];
    assert_eq!((series.calls, series.injected, series.errors), (3, 2, 1));
    assert_eq!(series.durations.iter().sum::<u64>(), 1);
}

#[test]
fn a_call_of_grpc_has_its_own_status_and_may_fail_by_it() {
    let traffic = Traffic::default();
    let ended = [Some(0), Some(5), Some(13)].map(|status| grpc_call(0, "/shop.Orders/Get", status));
    count(&traffic, &origin("orders"), &ended);
    let counted = traffic.0.lock().unwrap();
    let series = counted.series.iter();
    let told: Vec<_> = series
        .map(|(labels, series)| (labels.status_class, series.errors))
        .collect();
    assert_eq!(told, [("OK", 0), ("NOT_FOUND", 0), ("INTERNAL", 1)]);
}

#[test]
fn a_stream_is_counted_and_may_fail_and_has_no_duration() {
    let stream = |client_messages, server_messages| {
        Some(Box::new(Stream {
            client_messages,
            server_messages,
            messages: Vec::new(),
        }))
    };
    let mut chat = call(0, "/chat", 101);
    chat.protocol = Protocol::WebSocket;
    let mut events = call(0, "/events", 200);
    events.stream = stream(0, 0);
    events.error = Some(CallError::ServerClosed);
    let [mut watch, mut upload, mut plain] = ["Watch", "Upload", "Get"]
        .map(|method| grpc_call(0, &format!("/shop.Orders/{method}"), Some(0)));
    (watch.stream, upload.stream, plain.stream) = (stream(1, 2), stream(2, 1), stream(1, 1));
    let traffic = Traffic::default();
    count(
        &traffic,
        &origin("orders"),
        &[chat, events, watch, upload, plain],
    );
    let counted = traffic.0.lock().unwrap();
    let told: Vec<_> = counted
        .series
        .iter()
        .map(|(labels, series)| {
            let timed = series.durations.iter().sum::<u64>();
            (
                labels.route.as_str(),
                labels.status_class,
                series.errors,
                timed,
            )
        })
        .collect();
    let expected = [
        ("/chat", "1xx", 0, 0),
        ("/events", "2xx", 1, 0),
        ("/shop.Orders/Watch", "OK", 0, 0),
        ("/shop.Orders/Upload", "OK", 0, 0),
        ("/shop.Orders/Get", "OK", 0, 1),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_duration_on_a_bound_lies_within_it() {
    let traffic = Traffic::default();
    let mut on_it = call(0, "/", 200);
    on_it.phases.response_last = on_it.phases.request_first.map(|ns| ns + 5_000_000);
    let mut above = on_it.clone();
    above.phases.response_last = above.phases.response_last.map(|ns| ns + 1);
    count(&traffic, &origin("web"), &[on_it, above]);
    let counted = traffic.0.lock().unwrap();
    assert_eq!(counted.series[0].1.durations[2..4], [1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_http_call_that_is_over_is_counted_once(calls in proptest::collection::vec(any_call(), 0..40)) {
        let traffic = Traffic::default();
        count(&traffic, &origin("orders"), &calls);
        let is_counted = |call: &&Call| {
            call.protocol.is_http() && !call.probe && call.state != State::Open
        };
        let counted: u64 = series(&traffic).iter().map(|(_, calls, _)| calls).sum();
        prop_assert_eq!(counted, calls.iter().filter(is_counted).count() as u64);
        let is_timed = |call: &&Call| {
            !call.is_stream() && call.fault.is_none() && call.phases.latency_ns().is_some()
        };
        let timed = calls.iter().filter(is_counted).filter(is_timed).count() as u64;
        let counted = traffic.0.lock().unwrap();
        let durations = counted.series.iter().flat_map(|(_, series)| series.durations);
        prop_assert_eq!(durations.sum::<u64>(), timed);
    }
}
