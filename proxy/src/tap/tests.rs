use remora_store::call::{Detail, Leg, Protocol};

use super::*;
use crate::metrics::{Metrics, registry};
use crate::record::tests::recorder;

fn tap() -> (
    Rc<Tap>,
    Rc<Recorder>,
    std::sync::mpsc::Receiver<crate::record::Batch>,
) {
    let metrics = Metrics::register(&mut registry());
    let (recorder, batches) = recorder(&Budget::new(1 << 20), &metrics);
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: "10.0.0.1:40000".parse().unwrap(),
        dst: "10.0.0.2:80".parse().unwrap(),
        accepted_ns: 1_000,
    };
    (recorder.watch(facts, Instant::now()), recorder, batches)
}

#[test]
fn an_observer_that_panics_leaves_an_opaque_record() {
    let (tap, recorder, batches) = tap();
    tap.bytes(Side::Client, b"GET / HTTP/1.1\r\n");
    tap.observe(|_, _, _| panic!("a parser's mistake"));
    tap.bytes(Side::Client, b"more");
    tap.bytes(Side::Server, b"still more");
    tap.end(Side::Client, End::Closed);
    tap.closed(Side::Client);
    recorder.flush();
    let batch = batches.recv().unwrap();
    let calls = batch.calls;
    assert_eq!(calls.len(), 1);
    let drops = batch
        .drops
        .first()
        .map(|drop| (drop.reason.as_str(), drop.calls));
    assert_eq!(drops, Some(("crash", 1)), "the request that was under way");
    let call = &calls[0].call;
    assert_eq!(call.protocol, Protocol::Opaque);
    assert_eq!((call.request.body_size, call.response.body_size), (4, 10));
    let Detail::Opaque(opaque) = &call.detail else {
        panic!("{:?}", call.detail);
    };
    assert_eq!(opaque.reason.as_deref(), Some("the observer failed"));
    assert_eq!(recorder.metrics().observer_panics.get(), 1);
}

#[test]
fn an_observer_that_panics_gives_its_memory_back() {
    let metrics = Metrics::register(&mut registry());
    let budget = Budget::new(1 << 20);
    let (recorder, _batches) = recorder(&budget, &metrics);
    let (other, _, _) = tap();
    let facts = ConnectionFacts {
        id: 2,
        leg: Leg::Inbound,
        src: "10.0.0.1:40000".parse().unwrap(),
        dst: "10.0.0.2:80".parse().unwrap(),
        accepted_ns: 1_000,
    };
    drop(other);
    let tap = recorder.watch(facts, Instant::now());
    tap.bytes(
        Side::Client,
        b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf",
    );
    assert!(budget.used_bytes() > 0);
    tap.observe(|_, _, _| panic!("a parser's mistake"));
    assert_eq!(budget.used_bytes(), 0);
}
