use std::sync::mpsc;

use remora_store::call::{Leg, Omitted, Side};

use super::*;
use crate::metrics::{Metrics, registry};

const LIMITS: Limits = Limits {
    body_bytes: 4096,
    head_bytes: 4096,
};

/// A recorder whose batches can be received until the receiver is dropped; then it has no room.
pub(crate) fn recorder(
    budget: &Budget,
    metrics: &Metrics,
) -> (Rc<Recorder>, mpsc::Receiver<Batch>) {
    let (sender, batches) = mpsc::channel();
    let sink: Sink = Box::new(move |batch| sender.send(batch).map_err(|refused| refused.0));
    let metrics = metrics.record.clone();
    (
        Recorder::new(LIMITS, budget.clone(), sink, metrics),
        batches,
    )
}

/// A recorder that has room for one batch until it is received.
fn recorder_with_room_for_one(budget: &Budget) -> (Rc<Recorder>, mpsc::Receiver<Batch>) {
    let (sender, batches) = mpsc::sync_channel(1);
    let sink: Sink = Box::new(move |batch| {
        sender.try_send(batch).map_err(|refused| match refused {
            mpsc::TrySendError::Full(batch) | mpsc::TrySendError::Disconnected(batch) => batch,
        })
    });
    let metrics = Metrics::register(&mut registry()).record;
    (
        Recorder::new(LIMITS, budget.clone(), sink, metrics),
        batches,
    )
}

fn connection(recorder: &Rc<Recorder>, id: u64) -> Rc<Tap> {
    let facts = ConnectionFacts {
        id,
        leg: Leg::Inbound,
        src: "10.0.0.1:40000".parse().unwrap(),
        dst: "10.0.0.2:80".parse().unwrap(),
        accepted_ns: 1_000,
    };
    recorder.watch(facts, Instant::now())
}

fn call(tap: &Tap) {
    tap.bytes(Side::Client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    tap.bytes(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn a_full_batch_leaves_at_once() {
    let budget = Budget::new(1 << 24);
    let (recorder, batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 1);
    call(&tap);
    recorder.flush();
    let call = batches.try_recv().unwrap().calls.remove(0).call;
    for _ in 0..BATCH_CALLS {
        assert!(batches.try_recv().is_err());
        let call = call.clone();
        recorder.collect(|out| {
            out.push(Recorded {
                call,
                cost_bytes: 0,
            });
        });
    }
    assert_eq!(batches.try_recv().unwrap().calls.len(), BATCH_CALLS);
}

#[test]
fn large_calls_fill_a_batch_sooner() {
    let budget = Budget::new(1 << 24);
    let (recorder, batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 1);
    let mut calls = 0;
    let batch = loop {
        tap.bytes(
            Side::Client,
            b"POST / HTTP/1.1\r\ncontent-length: 4000\r\n\r\n",
        );
        tap.bytes(Side::Client, &[b'x'; 4000]);
        tap.bytes(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n");
        calls += 1;
        if let Ok(batch) = batches.try_recv() {
            break batch;
        }
    };
    assert!(calls < BATCH_CALLS, "{calls}");
    let cost: usize = batch.calls.iter().map(|recorded| recorded.cost_bytes).sum();
    assert!((BATCH_BYTES..BATCH_BYTES + 8192).contains(&cost), "{cost}");
}

#[test]
fn what_the_shipper_has_no_room_for_is_counted_and_told_later() {
    let budget = Budget::new(1 << 24);
    let (recorder, batches) = recorder_with_room_for_one(&budget);
    let tap = connection(&recorder, 1);
    for _ in 0..3 {
        call(&tap);
        recorder.flush();
    }
    let first = batches.recv().unwrap();
    assert_eq!((first.calls.len(), first.drops.len()), (1, 0));
    let kept: usize = first.calls.iter().map(|recorded| recorded.cost_bytes).sum();
    assert_eq!(budget.used_bytes(), kept);
    call(&tap);
    recorder.flush();
    let second = batches.recv().unwrap();
    assert_eq!(second.calls.len(), 1);
    assert_eq!(second.drops.len(), 1);
    assert_eq!(
        (second.drops[0].reason.as_str(), second.drops[0].calls),
        ("queue", 2)
    );
}

#[test]
fn what_is_refused_at_the_end_is_told_all_the_same() {
    let (sender, batches) = mpsc::channel();
    let only_news: Sink = Box::new(move |batch| match batch.calls.is_empty() {
        true => sender.send(batch).map_err(|refused| refused.0),
        false => Err(batch),
    });
    let metrics = Metrics::register(&mut registry()).record;
    let budget = Budget::new(1 << 20);
    let recorder = Recorder::new(LIMITS, budget.clone(), only_news, metrics);
    call(&connection(&recorder, 1));
    recorder.finish();
    let told = batches.try_recv().unwrap().drops;
    assert_eq!((told[0].reason.as_str(), told[0].calls), ("queue", 1));
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn what_the_budget_has_no_room_for_is_counted() {
    let budget = Budget::new(0);
    let (recorder, batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 1);
    call(&tap);
    call(&tap);
    recorder.flush();
    let batch = batches.recv().unwrap();
    assert!(batch.calls.is_empty());
    assert_eq!(
        (batch.drops[0].reason.as_str(), batch.drops[0].calls),
        ("budget", 2)
    );
}

#[test]
fn a_connection_that_is_over_is_forgotten() {
    let budget = Budget::new(1 << 20);
    let (recorder, _batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 7);
    assert_eq!(recorder.live_taps().len(), 1);
    drop(tap);
    assert!(recorder.taps.borrow().is_empty());
}

#[test]
fn an_open_list_that_did_not_get_through_is_sent_again() {
    let budget = Budget::new(1 << 20);
    let (recorder, batches) = recorder_with_room_for_one(&budget);
    let tap = connection(&recorder, 1);
    tap.bytes(Side::Client, b"GET / HTTP/1.1\r\n\r\n");
    recorder.flush();
    tap.bytes(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n");
    // The list is empty now, but there is no room to say so.
    recorder.flush();
    let open = |batch: Batch| batch.open.map(|open| open.len());
    assert_eq!(open(batches.recv().unwrap()), Some(1));
    recorder.flush();
    assert_eq!(open(batches.recv().unwrap()), Some(0));
}

const WEBSOCKET: &str = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// Lets time pass a second at a time, as the timer would look; gives the lists that were sent, each
/// with its second.
async fn lists(
    recorder: &Recorder,
    batches: &mpsc::Receiver<Batch>,
    seconds: u64,
    mut each_second: impl FnMut(),
) -> Vec<(u64, Vec<Call>)> {
    let mut lists = Vec::new();
    for second in 0..seconds {
        recorder.tick();
        for batch in batches.try_iter() {
            lists.extend(batch.open.map(|open| (second, open)));
        }
        each_second();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    lists
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_shows_its_progress_and_a_quiet_one_is_left_alone() {
    let budget = Budget::new(1 << 24);
    let (recorder, batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 1);
    tap.bytes(Side::Client, WEBSOCKET.as_bytes());
    tap.bytes(Side::Server, ACCEPTED.as_bytes());
    let busy = lists(&recorder, &batches, 18, || {
        tap.bytes(Side::Server, b"\x81\x05hello");
    })
    .await;
    let told = |(second, open): &(u64, Vec<Call>)| {
        let stream = open[0].stream.as_ref().unwrap();
        (*second, stream.server_messages, stream.messages.len())
    };
    let progress: Vec<_> = busy.iter().map(told).collect();
    assert_eq!(progress, [(1, 1, 1), (6, 6, 6), (11, 11, 11), (16, 16, 16)]);
    // What came last is told too, and then nothing for a long while.
    let quiet = lists(&recorder, &batches, 200, || {}).await;
    let counts: Vec<_> = quiet.iter().map(|list| told(list).1).collect();
    assert_eq!(counts, [18]);
    let much_later = lists(&recorder, &batches, 500, || {}).await;
    assert_eq!(much_later.len(), 2);
    let second = recorder.open.borrow().due().unwrap() - Instant::now();
    assert!(second > Duration::from_secs(60), "nobody looks meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_messages_is_told_in_part() {
    let budget = Budget::new(1 << 24);
    let (recorder, batches) = recorder(&budget, &Metrics::register(&mut registry()));
    let tap = connection(&recorder, 1);
    tap.bytes(Side::Client, WEBSOCKET.as_bytes());
    tap.bytes(Side::Server, ACCEPTED.as_bytes());
    tap.bytes(Side::Server, &b"\x82\x05hello".repeat(3_000));
    let told = lists(&recorder, &batches, 2, || {}).await;
    let call = &told[0].1[0];
    let stream = call.stream.as_ref().unwrap();
    assert_eq!((stream.server_messages, stream.messages.len()), (3_000, 64));
    assert_eq!(call.response.omitted, Some(Omitted::Limit));
    assert_eq!(call.phases.response_last, None);
    drop(tap);
}
