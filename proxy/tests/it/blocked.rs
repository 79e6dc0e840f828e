//! A hub that takes nothing any more while traffic goes on: the traffic does not notice, memory stays
//! within the budget, and what could not be kept is counted to the last call.

use remora_proxy::ship::ShipConfig;

use crate::hub::{Hub, Mood, eventually};
use crate::ship::hasty;
use crate::shipping::Sidecar;

const BUDGET: usize = 4 << 20;
const EXCHANGES: u64 = 300;

#[tokio::test]
async fn a_blocked_hub_costs_records_and_nothing_else() {
    let hub = Hub::start().await;
    hub.set_mood(Mood::Silent);
    let ship = ShipConfig {
        queue_limit_bytes: BUDGET / 2,
        ..hasty(&hub)
    };
    let sidecar = Sidecar::start(ship, BUDGET).await;
    let request = b"GET /report HTTP/1.1\r\nHost: shop\r\n\r\n";
    for _ in 0..EXCHANGES {
        sidecar.play(request, &response()).await;
        assert!(sidecar.budget.used_bytes() <= BUDGET);
    }
    eventually("the hub having been tried again", || hub.requests() >= 2).await;
    hub.set_mood(Mood::Store);
    // What the data plane itself has dropped is told by the next batch.
    sidecar.play(request, &response()).await;
    eventually("every call being stored or told as dropped", || {
        let ledger = hub.ledger();
        ledger.calls() + ledger.dropped(None) == EXCHANGES + 1
    })
    .await;
    assert!(hub.dropped(None) > 0, "more was recorded than memory holds");
    eventually("the budget being free again", || {
        sidecar.budget.used_bytes() == 0
    })
    .await;
    sidecar.finish().await;
}

/// A body of 60 KB that does not compress away.
fn response() -> Vec<u8> {
    let mut body = vec![0u8; 60_000];
    rand::fill(&mut body[..]);
    let mut response = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n".to_vec();
    response.extend_from_slice(&body);
    response
}
