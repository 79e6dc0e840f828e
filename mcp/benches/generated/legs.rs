//! Legs of calls between pods in a row.

use std::sync::Arc;

use remora_store::block::Origin;
use remora_store::call::{CallId, Digest, Leg};
use remora_store::names::Party;
use remora_store::query::FoundCall;
use remora_store::testing::call;

/// How many there are.
pub(crate) const LEGS: usize = 100_000;
const MS: i64 = 1_000_000;

/// How the legs came about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Calls that each of ten pods answers at a time.
    pub(crate) in_flight: i64,
    /// Whether client addresses are translated on the way.
    pub(crate) translated: bool,
    /// Whether every call is the same poll.
    pub(crate) polls: bool,
}

/// Each of ten pods is called by the one before it, and calls the one behind it while it answers.
pub(crate) fn legs(traffic: Traffic) -> Vec<FoundCall> {
    let origins: Vec<Arc<Origin>> = (0..11)
        .map(|pod| {
            Arc::new(Origin {
                incarnation: pod + 1,
                workload: format!("pod-{pod}"),
                ..Origin::default()
            })
        })
        .collect();
    let key: Arc<str> = "k-1".into();
    let mut legs = Vec::with_capacity(LEGS);
    let mut number = 0_u64;
    while legs.len() < LEGS {
        let visit = number as i64;
        let began = visit * 40 * MS / traffic.in_flight;
        for (pod, pair) in origins.windows(2).enumerate() {
            let [caller, callee] = pair else { continue };
            let depth = pod as i64;
            // A connection carries ten calls.
            let connection = number / 10;
            let port = 20_000 + (connection % 30_000) as u16;
            for (leg, origin) in [(Leg::Outbound, caller), (Leg::Inbound, callee)] {
                let inside = i64::from(leg == Leg::Inbound);
                let path = match traffic.polls {
                    true => "/poll".to_owned(),
                    false => format!("/api/orders/{visit}/items?page={depth}"),
                };
                let mut call = call(began + depth * 2 * MS + inside * MS / 2, &path, 200);
                let latency = (40 * MS - depth * 4 * MS - inside * MS) as u64;
                call.leg = leg;
                call.src = ([10, 0, 0, pod as u8], port).into();
                call.dst = ([10, 0, 0, pod as u8 + 1], 8080).into();
                call.connection.id = connection * 16 + pod as u64;
                call.connection.ordinal = (number % 10) as u32;
                call.connection.forwarded_from = (leg == Leg::Outbound).then_some(call.src);
                if leg == Leg::Inbound && traffic.translated {
                    call.src = ([10, 9, 9, 9], port).into();
                }
                let since = call.phases.request_first.unwrap() + (number % 10) * 40_000_000;
                call.phases.request_first = Some(since);
                call.phases.response_first = Some(since + latency);
                call.phases.response_last = Some(since + latency);
                let sent = if traffic.polls {
                    7
                } else {
                    number * 16 + pod as u64
                };
                call.join_digest = Some(Digest(u128::from(sent).to_le_bytes()));
                legs.push(FoundCall {
                    id: CallId {
                        block: number + 1,
                        ordinal: pod as u32 * 2 + inside as u32,
                    },
                    src: Party::unknown(call.src),
                    dst: Party::unknown(call.dst),
                    call,
                    withheld: false,
                    origin: Arc::clone(origin),
                    redaction_key: Arc::clone(&key),
                });
            }
        }
        number += 1;
    }
    legs
}
