//! The traffic that the benchmarks of questions ask about: twenty sidecars of a town of services.

use bytes::Bytes;
use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::call::{Call, Connection, Detail, Engine, Leg, Message, Phases, Protocol, State};

pub(crate) const SIDECARS: usize = 20;
/// As many as a sidecar seals at most.
pub(crate) const CALLS_PER_BLOCK: usize = 512;

/// When the first call began: nanoseconds since the Unix epoch.
pub(crate) const FIRST_NS: i64 = 1_700_000_000_000_000_000;
/// From the beginning of one call to that of the next.
pub(crate) const STEP_NS: i64 = 100_000;

/// Who recorded the calls of a sidecar.
pub(crate) fn origin(sidecar: usize) -> Origin {
    Origin {
        incarnation: sidecar as u128 + 1,
        workload: format!("service-{sidecar}"),
        namespace: "shop".to_owned(),
        serves: vec![address(sidecar)],
        ..Origin::default()
    }
}

/// A block of one sidecar, as it sends it.
pub(crate) fn sealed(sidecar: usize, number: u64, first: usize) -> Bytes {
    let meta = BlockMeta {
        origin: origin(sidecar),
        sequence: number,
        ..BlockMeta::default()
    };
    let calls: Vec<Call> = (first..first + CALLS_PER_BLOCK)
        .map(|count| call(sidecar, count))
        .collect();
    seal(&meta, &calls, None, Codec::Lz4)
}

fn address(sidecar: usize) -> std::net::SocketAddr {
    ([10, 0, 1, sidecar as u8], 8080).into()
}

/// Draws numbers that look like chance and have nothing to do with each other (SplitMix64).
fn chances(seed: usize) -> impl FnMut(usize) -> usize {
    let mut state = seed as u64;
    move |among| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % among
    }
}

/// One call of many: a service calls three others, and two clients call it.
fn call(sidecar: usize, count: usize) -> Call {
    let mut chance = chances(count);
    let outbound = chance(2) == 1;
    let other = (sidecar + 1 + chance(3)) % SIDECARS;
    let client = [10, 0, 2, (2 * sidecar + chance(2)) as u8];
    let client = (client, 40_000 + chance(20) as u16).into();
    let status = match chance(10_000) {
        0 => 418,
        1..200 => 503,
        200..600 => 404,
        _ => 200,
    };
    let method = if chance(4) == 0 { "POST" } else { "GET" };
    let noun = match chance(7) {
        0 => "things",
        1 | 2 => "users",
        _ => "orders",
    };
    let path = format!("/api/{noun}/{}", chance(5_000));
    let body = format!(
        "{{\"id\": {count}, \"name\": \"{noun}\", \"note\": \"{}\"}}",
        "-".repeat(200)
    );
    let begun = 1_000_000;
    Call {
        time_ns: FIRST_NS + count as i64 * STEP_NS,
        protocol: Protocol::Http1,
        leg: if outbound { Leg::Outbound } else { Leg::Inbound },
        engine: Engine::Splice,
        state: State::Complete,
        probe: chance(50) == 0,
        src: if outbound { address(sidecar) } else { client },
        dst: address(if outbound { other } else { sidecar }),
        connection: Connection {
            id: count as u64 / 10,
            ordinal: count as u32 % 10,
            forwarded_from: None,
        },
        request: Message {
            head: format!("{method} {path} HTTP/1.1\r\nHost: service-{other}\r\nX-Request-Id: r-{count}\r\nAccept: */*\r\n\r\n").into(),
            ..Message::default()
        },
        response: Message {
            head: format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len()).into(),
            body_size: body.len() as u64,
            body: body.into(),
            ..Message::default()
        },
        interim: Bytes::new(),
        phases: Phases {
            request_first: Some(begun),
            response_last: Some(begun + 500_000 + chance(50_000) as u64 * 1_000),
            ..Phases::default()
        },
        closed_by: None,
        error: None,
        join_digest: None,
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    }
}
