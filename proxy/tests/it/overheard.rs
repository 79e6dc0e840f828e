//! What passes between two ends that a test plays: relayed as the splice does, noted, and shown to an
//! observer afterwards; and a message as somebody got it, to be compared with what the observer tells.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, End, Limits, Observer};
use remora_store::call::{Call, Leg, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(crate) type Fields = Vec<(String, String)>;

/// A message as somebody got it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    /// Method and target, or status.
    pub(crate) start: String,
    pub(crate) fields: Fields,
    pub(crate) body: Bytes,
    pub(crate) trailers: Fields,
}

/// Sorted by name, in the order sent where a name comes several times.
pub(crate) fn pairs(headers: &HeaderMap) -> Fields {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    sorted(headers.iter().map(pair).collect())
}

pub(crate) fn sorted(mut fields: Fields) -> Fields {
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// What passed, in the order in which it did; an empty piece is the end of a side.
pub(crate) type Log = Vec<(Side, Vec<u8>)>;

/// Passes bytes on as the splice does, and notes them.
pub(crate) async fn relay(
    mut client: DuplexStream,
    mut server: DuplexStream,
    reads: &[usize],
) -> Log {
    let mut log = Log::new();
    let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
    let mut open = (true, true);
    for size in reads.iter().cycle() {
        let (side, bytes) = tokio::select! {
            read = client.read(&mut from_client[..*size]), if open.0 => {
                (Side::Client, &from_client[..read.unwrap()])
            }
            read = server.read(&mut from_server[..*size]), if open.1 => {
                (Side::Server, &from_server[..read.unwrap()])
            }
            else => break,
        };
        log.push((side, bytes.to_vec()));
        let to = match side {
            Side::Client => &mut server,
            _ => &mut client,
        };
        // The other end may have gone by itself.
        if !bytes.is_empty() {
            let _ = to.write_all(bytes).await;
            continue;
        }
        let _ = to.shutdown().await;
        match side {
            Side::Client => open.0 = false,
            _ => open.1 = false,
        }
    }
    log
}

/// Shows what passed to an observer; gives the calls, and how many records were dropped. While a piece
/// passes for which `starve` says so, there is no budget at all.
pub(crate) fn observe(log: &Log, starve: impl Fn(usize) -> bool) -> (Vec<Call>, u64) {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Outbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 0,
    };
    let limits = Limits {
        body_bytes: 64 * 1024,
        head_bytes: 64 * 1024,
    };
    let budget = Budget::new(32 << 20);
    let mut observer = Observer::new(facts, limits, budget.clone());
    let mut out = Vec::new();
    for (place, (side, bytes)) in log.iter().enumerate() {
        let at = place as u64;
        let held = match starve(place) {
            true => budget.limit_bytes() - budget.used_bytes(),
            false => 0,
        };
        assert!(budget.try_take(held));
        match bytes.as_slice() {
            [] => observer.end(*side, End::Closed, at, &mut out),
            bytes => observer.bytes(*side, bytes, at, &mut out),
        }
        budget.give_back(held);
    }
    let dropped = observer.take_dropped();
    (
        out.into_iter().map(|recorded| recorded.call).collect(),
        dropped,
    )
}
