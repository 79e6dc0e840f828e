//! A request that failed and was sent again.

use std::net::SocketAddr;

use remora_store::call::{Call, Leg};
use remora_store::testing::call;

use crate::shop::BEGAN_NS;

/// What the sidecar of `web` saw of a request to `payments` that was sent again after each of `delays_ms`:
/// it failed each time but the last.
pub(crate) fn retried(delays_ms: &[i64]) -> Vec<Call> {
    let mut at_ms = 0;
    let starts = std::iter::once(0).chain(delays_ms.iter().map(|delay_ms| {
        // An attempt takes 2 ms.
        at_ms += delay_ms + 2;
        at_ms
    }));
    let attempt = |(place, at_ms): (usize, i64)| {
        let status = if place == delays_ms.len() { 200 } else { 503 };
        let mut call = call(*BEGAN_NS + at_ms * 1_000_000, "/pay/4711", status);
        call.request.head = "POST /pay/4711 HTTP/1.1\r\nHost: payments\r\n\r\n".into();
        call.leg = Leg::Outbound;
        call.src = SocketAddr::from(([10, 0, 0, 1], 40_000 + place as u16));
        call.dst = SocketAddr::from(([10, 0, 0, 3], 8080));
        call.connection.id = 100 + place as u64;
        call
    };
    starts.enumerate().map(attempt).collect()
}
