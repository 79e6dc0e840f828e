//! The traffic that the benchmarks of blocks and stores record.

use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use remora_store::call::{Call, Connection, Detail, Engine, Leg, Message, Phases, Protocol, State};

/// Calls of a shop: a few routes, many orders, JSON of about 600 bytes, heads as browsers and
/// services send them.
pub(crate) fn calls(range: Range<usize>) -> Vec<Call> {
    range.map(call).collect()
}

/// Bytes of heads and bodies as they were on the wire.
pub(crate) fn raw_bytes(call: &Call) -> usize {
    [&call.request, &call.response]
        .iter()
        .map(|message| message.head.len() + message.body.len())
        .sum()
}

fn call(number: usize) -> Call {
    // A fixed scatter, so that sizes are the same on every run.
    let scatter = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let order = scatter % 5_000;
    let path = match scatter % 4 {
        0 => format!("/api/orders/{order}"),
        1 => format!("/api/orders/{order}/items?page={}", scatter % 9),
        2 => "/api/orders".to_owned(),
        _ => format!("/api/customers/{}", order / 3),
    };
    let body = body(order, scatter);
    let at = 5_000_000 * number as u64;
    Call {
        time_ns: 1_790_000_000_000_000_000 + at.cast_signed(),
        protocol: Protocol::Http1,
        leg: Leg::Inbound,
        engine: Engine::Splice,
        state: State::Complete,
        probe: false,
        src: SocketAddr::from(([10, 0, 3, 7], 40_000 + (number / 50) as u16)),
        dst: SocketAddr::from(([10, 0, 2, 2], 8080)),
        connection: Connection {
            id: 1 + number as u64 / 50,
            ordinal: number as u32 % 50,
            forwarded_from: Some(SocketAddr::from(([10, 0, 2, 2], 50_000))),
        },
        request: Message {
            head: request_head(&path, scatter).into(),
            ..Message::default()
        },
        response: Message {
            head: response_head(body.len(), scatter).into(),
            body_size: body.len() as u64,
            body,
            ..Message::default()
        },
        interim: Bytes::new(),
        phases: Phases {
            connected: Some(300_000),
            request_first: Some(at),
            request_last: Some(at + 20_000),
            response_first: Some(at + 1_000_000 + scatter % 900_000),
            response_last: Some(at + 2_000_000 + scatter % 900_000),
            closed: None,
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

fn request_head(path: &str, scatter: u64) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: orders.shop.svc\r\nUser-Agent: shop-web/2.4.1\r\n\
         Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\
         traceparent: 00-{scatter:032x}-{:016x}-01\r\n\r\n",
        scatter ^ 0x5555
    )
}

fn response_head(length: usize, scatter: u64) -> String {
    let status = if scatter.is_multiple_of(50) {
        "503 Service Unavailable"
    } else {
        "200 OK"
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Date: Sun, 22 Nov 2026 19:00:00 GMT\r\nServer: orders/1.9\r\n\
         X-Request-Id: {scatter:016x}\r\n\r\n"
    )
}

fn body(order: u64, scatter: u64) -> Bytes {
    let items: Vec<String> = (0..6)
        .map(|item| {
            format!(
                "{{\"sku\":\"SKU-{:05}\",\"quantity\":{},\"price\":{}.99,\"currency\":\"EUR\"}}",
                (scatter >> item) % 40_000,
                item + 1,
                (scatter >> item) % 300
            )
        })
        .collect();
    format!(
        "{{\"id\":{order},\"customer\":{},\"state\":\"packed\",\"items\":[{}]}}",
        order / 3,
        items.join(",")
    )
    .into()
}
