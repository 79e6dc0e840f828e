//! The traffic on which the confidence of causes is measured: services that pass on what a call belongs to, and
//! services that do not, with 1, 4, 16 and 64 customers at a time.
//!
//! With `REMORA_CORPUS=FILE` it is kept, for `mcp/src/causality/tests.rs`.

use std::collections::HashMap;

use remora_mcp::causality::{Causes, How};
use remora_store::block::{BlockMeta, Codec, seal};
use remora_store::call::{Call, Leg, Message};
use remora_store::query::FoundCall;

use super::street::Street;
use super::truth;

const CUSTOMERS: [usize; 4] = [1, 4, 16, 64];
const ROUTES: &str = "list,orders,page,lookup,maybe";
/// Calls of customers at each service, at each number of them.
const CALLS: usize = 360;

#[tokio::test(flavor = "multi_thread")]
async fn who_passes_ids_on_is_known_to_have_caused_what_it_caused() {
    let Some(mut street) = Street::open().await else {
        return;
    };
    let stock = street.node("stock", "plain", 12, None);
    for customers in CUSTOMERS {
        for way in ["plain", "traced", "named", "threads"] {
            let name = format!("{way}-{customers}");
            let service = match way {
                "threads" => street.python(&name, stock),
                way => street.node(&name, way, 4, Some((stock, true))),
            };
            street.visit(service, CALLS, customers, ROUTES, &name);
            street.close_last();
        }
    }
    let mut calls = street.recorded().await;
    calls.retain(|found| {
        let name = &found.origin.workload;
        found.call.protocol.is_http() && name != "stock" && name != "customers"
    });
    if let Some(path) = std::env::var_os("REMORA_CORPUS") {
        std::fs::write(path, corpus(&calls)).unwrap();
    }

    let causes = Causes::of(&calls);
    let mut passed_on = 0;
    for (leg, found) in calls.iter().enumerate() {
        let Some(cause) = causes.of_leg(leg) else {
            continue;
        };
        let ways = [("traced-", How::TraceHeaders), ("named-", How::RequestId)];
        let way = ways
            .into_iter()
            .find(|(name, _)| found.origin.workload.starts_with(name));
        let Some((_, how)) = way.filter(|_| truth(found, b"x-truth") != "nobody") else {
            continue;
        };
        let parent = &calls[cause.parent.expect("a call with an id has a cause")];
        assert_eq!(cause.how, how);
        assert_eq!(truth(parent, b"x-truth"), truth(found, b"x-truth"));
        passed_on += 1;
    }
    assert!(passed_on > 2 * CUSTOMERS.len() * CALLS, "{passed_on}");
}

/// The calls of each service in a block of its own, each behind its length in four bytes.
fn corpus(calls: &[FoundCall]) -> Vec<u8> {
    let mut services: HashMap<u128, Vec<&FoundCall>> = HashMap::new();
    for found in calls {
        services
            .entry(found.origin.incarnation)
            .or_default()
            .push(found);
    }
    let mut services: Vec<Vec<&FoundCall>> = services.into_values().collect();
    services.sort_by_key(|calls| calls[0].call.time_ns);
    let mut bytes = Vec::new();
    for calls in services {
        let meta = BlockMeta {
            origin: (*calls[0].origin).clone(),
            sequence: 1,
            ..BlockMeta::default()
        };
        let calls: Vec<Call> = calls.into_iter().map(bare).collect();
        let block = seal(&meta, &calls, None, Codec::Zstd);
        bytes.extend((block.len() as u32).to_le_bytes());
        bytes.extend(block);
    }
    bytes
}

/// A call without what says nothing of its cause, and would only take room.
fn bare(found: &FoundCall) -> Call {
    let mut call = found.call.clone();
    call.join_digest = None;
    call.request.body_digest = None;
    call.response = Message::default();
    if call.leg == Leg::Inbound {
        call.connection.forwarded_from = None;
    }
    call
}
