//! What observing costs per exchange, without sockets: the budget is 1.5 µs for 1 KB.
//!
//! `cargo bench -p remora-proxy --bench observe`

use divan::Bencher;
use divan::counter::BytesCount;
use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, Limits, Observer, Recorded};
use remora_store::call::{Leg, Side};

fn main() {
    divan::main();
}

const REQUEST: &[u8] = b"POST /api/orders/17?full=1 HTTP/1.1\r\n\
    Host: orders.shop.svc.cluster.local:8080\r\n\
    User-Agent: Go-http-client/1.1\r\n\
    Content-Length: 65\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip\r\n\
    Content-Type: application/json\r\n\
    Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    \r\n\
    {\"item\":\"a thing that somebody ordered\",\"count\":3,\"note\":\"soon!\"}";

/// Reads of the size that the splice makes when bodies are large.
const READ_BYTES: usize = 16 * 1024;

fn observer(budget: &Budget) -> Observer {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 0,
    };
    let limits = Limits {
        body_bytes: 64 * 1024,
        head_bytes: 64 * 1024,
    };
    Observer::new(facts, limits, budget.clone())
}

fn response(body_bytes: usize) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: shop\r\n\
         Date: Sun, 22 Nov 2026 18:26:00 GMT\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'x');
    bytes
}

/// Exchanges one after the other on a connection that is kept alive.
#[divan::bench(args = [1024, 64 * 1024])]
fn exchange(bencher: Bencher<'_, '_>, body_bytes: usize) {
    let budget = Budget::new(32 << 20);
    let mut observer = observer(&budget);
    let response = response(body_bytes);
    let mut out: Vec<Recorded> = Vec::new();
    let mut now = 0;
    bencher
        .counter(BytesCount::new(REQUEST.len() + response.len()))
        .bench_local(|| {
            now += 1;
            observer.bytes(Side::Client, REQUEST, now, &mut out);
            for piece in response.chunks(READ_BYTES) {
                observer.bytes(Side::Server, piece, now, &mut out);
            }
            assert_eq!(out.len(), 1, "one exchange is one record");
            for recorded in out.drain(..) {
                budget.give_back(recorded.cost_bytes);
            }
        });
}
