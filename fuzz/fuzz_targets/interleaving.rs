//! What both ends of a connection do, and what has to hold for the calls that are told of it.

use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, End, Limits, Observer};
use remora_store::call::{
    Call, DATABASE_DIGEST_PREFIX_BYTES, Leg, MAX_KEPT_MESSAGES, MessageKind, Protocol, Side, State, StreamMessage,
};

/// What one side does.
pub enum Step {
    Send(Side, Vec<u8>),
    End(Side, End),
}

const LIMITS: Limits = Limits {
    body_bytes: 512,
    head_bytes: 512,
};

/// Ample: nothing is dropped.
const AMPLE_BYTES: usize = 16 << 20;

/// So little that records and bodies are dropped now and then.
const SCARCE_BYTES: usize = 3_000;

/// Plays the steps in every way, and checks what has to hold.
pub fn check(steps: &[Step]) {
    let whole = observe(steps, AMPLE_BYTES, usize::MAX);
    let single = observe(steps, AMPLE_BYTES, 1);
    assert_eq!(whole, single, "the calls depend on how the bytes were cut");
    observe(steps, SCARCE_BYTES, usize::MAX);
    observe(steps, SCARCE_BYTES, 7);
}

fn observe(steps: &[Step], budget_bytes: usize, piece_bytes: usize) -> Vec<Call> {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 0,
    };
    let budget = Budget::new(budget_bytes);
    let mut observer = Observer::new(facts, LIMITS, budget.clone());
    let mut out = Vec::new();
    let mut sent = (0, 0);
    for (step, at) in steps.iter().zip(1..) {
        match step {
            Step::Send(side, bytes) => {
                for piece in bytes.chunks(piece_bytes) {
                    observer.bytes(*side, piece, at, &mut out);
                }
                match side {
                    Side::Server => sent.1 += bytes.len() as u64,
                    _ => sent.0 += bytes.len() as u64,
                }
            }
            Step::End(side, how) => observer.end(*side, *how, at, &mut out),
        }
        assert!(budget.used_bytes() <= budget_bytes);
        let mut open = Vec::new();
        observer.open_calls(at, &mut open);
        assert!(open.iter().all(|call| call.state == State::Open));
    }
    observer.closed(Side::Sidecar, 1_000_000, &mut out);
    drop(observer);
    let cost: usize = out.iter().map(|recorded| recorded.cost_bytes).sum();
    assert_eq!(cost, budget.used_bytes(), "what was taken has an owner");
    let calls: Vec<Call> = out.into_iter().map(|recorded| recorded.call).collect();
    check_calls(&calls, sent, cost);
    calls
}

fn check_calls(calls: &[Call], (client, server): (u64, u64), cost: usize) {
    let mut ordinals: Vec<u32> = calls.iter().map(|call| call.connection.ordinal).collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    assert_eq!(ordinals.len(), calls.len(), "an ordinal was given twice");
    let mut kept = 0;
    for call in calls {
        assert_eq!(call.state, State::Complete);
        for message in [&call.request, &call.response] {
            assert!(message.head.len() <= LIMITS.head_bytes);
            kept += message.head.len() + message.body.len() + message.trailers.len();
            if call.protocol.is_database() {
                // What is written of values has another size than they had.
                assert!(message.body.len() <= DATABASE_DIGEST_PREFIX_BYTES);
                continue;
            }
            assert!(message.body.len() <= LIMITS.body_bytes);
            assert!(message.body.len() as u64 <= message.body_size);
            let whole = message.body.len() as u64 == message.body_size;
            let in_messages = matches!(call.protocol, Protocol::WebSocket | Protocol::Grpc);
            assert!(whole || message.omitted.is_some() || in_messages);
        }
        kept += call.interim.len() + check_messages(call);
    }
    assert!(kept <= cost, "{kept} bytes were kept, {cost} were paid for");
    // A statement that was prepared is part of every call that executes it.
    let others = || calls.iter().filter(|call| !call.protocol.is_database());
    let requests: u64 = others().map(|call| call.request.body_size).sum();
    let responses: u64 = calls.iter().map(|call| call.response.body_size).sum();
    assert!(requests <= client && responses <= server);
}

/// Gives the bytes that the messages take.
fn check_messages(call: &Call) -> usize {
    let Some(stream) = &call.stream else {
        return 0;
    };
    assert!(stream.messages.len() <= MAX_KEPT_MESSAGES);
    let mut kept = stream.messages.len() * size_of::<StreamMessage>();
    for (side, count, direction) in [
        (Side::Client, stream.client_messages, &call.request),
        (Side::Server, stream.server_messages, &call.response),
    ] {
        let of_side = || {
            stream
                .messages
                .iter()
                .filter(|message| message.from == side)
        };
        let counted = of_side().filter(|message| !is_control(message));
        assert!(counted.clone().count() as u64 <= count);
        let payloads: usize = counted.map(|message| message.payload.len()).sum();
        assert!(payloads <= LIMITS.body_bytes);
        kept += of_side()
            .map(|message| message.payload.len())
            .sum::<usize>();
        let sizes: u64 = of_side().map(|message| message.size).sum();
        assert!(sizes <= direction.body_size);
        let elsewhere = |message: &StreamMessage| {
            matches!(message.kind, MessageKind::Event | MessageKind::Push)
        };
        let whole = of_side()
            .all(|message| elsewhere(message) || message.payload.len() as u64 == message.size);
        assert!(whole || direction.omitted.is_some());
    }
    kept
}

fn is_control(message: &StreamMessage) -> bool {
    use MessageKind::{Close, Ping, Pong};
    matches!(message.kind, Close | Ping | Pong)
}
