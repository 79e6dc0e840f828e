//! What observing costs per exchange, without sockets: the budget is 1.5 µs for 1 KB.
//!
//! `cargo bench -p remora-proxy --bench observe`

use divan::Bencher;
use divan::counter::BytesCount;
use remora_proxy::budget::Budget;
use remora_proxy::observe::Recorded;
use remora_store::call::Side;

#[path = "setup/connection.rs"]
mod connection;

use connection::observer;

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

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&header, payload].concat()
}

/// Fields as they stand in a block: `enter` puts them into the table, else they are in it already.
fn block(fields: &[(&str, &str)], enter: bool) -> Vec<u8> {
    let entry = |(place, (name, value)): (usize, &(&str, &str))| match enter {
        true => {
            let lengths = (name.len() as u8, value.len() as u8);
            let (name, value) = (name.as_bytes(), value.as_bytes());
            [&[0x40, lengths.0], name, &[lengths.1], value].concat()
        }
        // The last that was entered is the first of the table, behind 61 others.
        false => vec![0x80 | (61 + fields.len() - place) as u8],
    };
    fields.iter().enumerate().flat_map(entry).collect()
}

const GRPC_REQUEST: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/shop.Orders/Get"),
    (":authority", "orders.shop.svc.cluster.local:8080"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.76.0"),
    ("te", "trailers"),
];

const RESPONSE: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/grpc")];

const TRAILERS: &[(&str, &str)] = &[("grpc-status", "0"), ("grpc-message", "")];

/// Small calls one after the other on a connection of HTTP/2: 95 bytes each way, with trailers. Of
/// gRPC, or of the same shape without messages.
#[divan::bench(args = [true, false])]
fn small_http2_call(bencher: Bencher<'_, '_>, grpc: bool) {
    let budget = Budget::new(32 << 20);
    let mut observer = observer(&budget);
    let mut out: Vec<Recorded> = Vec::new();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    observer.bytes(
        Side::Client,
        &[preface, &frame(4, 0, 0, &[])[..]].concat(),
        0,
        &mut out,
    );
    observer.bytes(Side::Server, &frame(4, 0, 0, &[]), 0, &mut out);
    let (mut request, mut response) = (GRPC_REQUEST.to_vec(), RESPONSE.to_vec());
    if !grpc {
        for (name, value) in request.iter_mut().chain(&mut response) {
            if *name == "content-type" {
                *value = "application/json";
            }
        }
    }
    let trailing: Vec<_> = response.iter().chain(TRAILERS).copied().collect();
    let mut message = vec![0, 0, 0, 0, 90];
    message.resize(95, b'm');
    let calls = [true, false].map(|enter| {
        let (head, trailers) = match enter {
            true => (block(&response, true), block(TRAILERS, true)),
            false => {
                let mut head = block(&trailing, false);
                let trailers = head.split_off(response.len());
                (head, trailers)
            }
        };
        let asked = [
            frame(1, 4, 0, &block(&request, enter)),
            frame(0, 1, 0, &message),
        ];
        let answered = [
            frame(1, 4, 0, &head),
            frame(0, 0, 0, &message),
            frame(1, 5, 0, &trailers),
        ];
        (asked, answered)
    });
    let [first, mut next] =
        calls.map(|(asked, answered)| (Frames::of(&asked), Frames::of(&answered)));
    let mut stream = 1_u32;
    let mut call = |(asked, answered): &mut (Frames, Frames), out: &mut Vec<Recorded>| {
        observer.bytes(Side::Client, asked.on(stream), 1, out);
        observer.bytes(Side::Server, answered.on(stream), 2, out);
        stream += 2;
    };
    call(&mut { first }, &mut out);
    out.drain(..)
        .for_each(|recorded| budget.give_back(recorded.cost_bytes));
    bencher.bench_local(|| {
        call(&mut next, &mut out);
        assert_eq!(out.len(), 1, "one call is one record");
        for recorded in out.drain(..) {
            budget.give_back(recorded.cost_bytes);
        }
    });
}

/// Frames of one stream, as they pass together.
struct Frames {
    bytes: Vec<u8>,
    /// Where the number of the stream stands.
    places: Vec<usize>,
}

impl Frames {
    fn of(frames: &[Vec<u8>]) -> Self {
        let mut places = Vec::new();
        let mut start = 0;
        for frame in frames {
            places.push(start + 5);
            start += frame.len();
        }
        let bytes = frames.concat();
        Self { bytes, places }
    }

    fn on(&mut self, stream: u32) -> &[u8] {
        for place in &self.places {
            let number = self.bytes.iter_mut().skip(*place);
            number
                .zip(stream.to_be_bytes())
                .for_each(|(old, new)| *old = new);
        }
        &self.bytes
    }
}
