//! Legs joined and causes found, of calls between real programs, each of which says to the test alone what it
//! belongs to.

mod corpus;
mod street;

use std::collections::HashMap;

use remora_mcp::join::Joined;
use remora_store::head::find_field;
use remora_store::query::FoundCall;
use street::Street;

/// Calls of customers; each makes the services behind call each other twice more.
const CALLS: usize = 3_400;
const CUSTOMERS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_over_three_services_are_all_joined_and_none_wrongly() {
    let Some(mut street) = Street::open().await else {
        return;
    };
    let stock = street.node("stock", "plain", 8, None);
    let orders = street.node("orders", "plain", 4, Some((stock, false)));
    let web = street.node("web", "plain", 4, Some((orders, false)));
    street.visit(web, CALLS, CUSTOMERS, "chain", "chain");
    let mut calls = street.recorded().await;
    // Somebody also knocked to see whether the sidecars listen.
    calls.retain(|found| !truth(found, b"x-call").is_empty());

    let mut legs: HashMap<String, usize> = HashMap::new();
    for found in &calls {
        *legs.entry(truth(found, b"x-call")).or_default() += 1;
    }
    assert_eq!(legs.len(), 3 * CALLS, "calls that were recorded");
    assert!(legs.values().all(|&legs| legs == 2), "each of them twice");

    let joined = Joined::of(&calls);
    let mut protocols: HashMap<&str, usize> = HashMap::new();
    let (mut both, mut certain) = (0, 0);
    for exchange in joined.exchanges() {
        let Some((outbound, inbound)) = exchange.outbound.zip(exchange.inbound) else {
            continue;
        };
        let (outbound, inbound) = (&calls[outbound], &calls[inbound]);
        assert_eq!(truth(outbound, b"x-call"), truth(inbound, b"x-call"));
        *protocols
            .entry(outbound.call.protocol.as_str())
            .or_default() += 1;
        both += 1;
        certain += usize::from(exchange.bond.unwrap().confidence.as_f64() == 1.0);
    }
    assert_eq!(both, 3 * CALLS, "calls that were joined");
    eprintln!("{both} calls joined, {certain} for certain, {protocols:?}");
    assert!(
        protocols["http1"] > CALLS && protocols["http2"] > CALLS,
        "{protocols:?}"
    );
}

/// What a call says of itself to the test.
fn truth(found: &FoundCall, name: &[u8]) -> String {
    let value = find_field(&found.call.request.head, name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}
