//! What observing costs per message inside a body, without sockets: WebSocket messages and
//! server-sent events, while they are kept and when they are only counted.
//!
//! `cargo bench -p remora-proxy --bench messages`

use divan::Bencher;
use divan::counter::ItemsCount;
use remora_proxy::budget::Budget;
use remora_proxy::observe::{End, Observer, Recorded};
use remora_store::call::Side;

#[path = "setup/connection.rs"]
mod connection;

use connection::observer;

fn main() {
    divan::main();
}

/// Messages of one call that are all kept.
const KEPT: usize = 1_000;

/// Messages in one read of the splice's.
const PER_READ: usize = 10;

const UPGRADE: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const UPGRADED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const ASK: &[u8] = b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// A masked text message of 50 bytes, as a browser sends it.
fn frame() -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let text = b"{\"op\":\"subscribe\",\"channel\":\"orders\",\"seq\":123456}";
    let masked = text.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
    let head = [0x81, 0x80 | text.len() as u8];
    head.into_iter().chain(mask).chain(masked).collect()
}

fn event() -> Vec<u8> {
    b"id: 123456\nevent: order\ndata: {\"item\":\"a thing\",\"n\":3}\n\n".to_vec()
}

/// A connection on which the stream has begun.
struct Stream {
    observer: Observer,
    budget: Budget,
    now: u64,
}

impl Stream {
    fn begin(request: &[u8], response: &[u8]) -> Self {
        let budget = Budget::new(32 << 20);
        let mut observer = observer(&budget);
        let mut out = Vec::new();
        observer.bytes(Side::Client, request, 1, &mut out);
        observer.bytes(Side::Server, response, 2, &mut out);
        Self {
            observer,
            budget,
            now: 2,
        }
    }

    fn read(&mut self, from: Side, bytes: &[u8]) {
        self.now += 1;
        self.observer.bytes(from, bytes, self.now, &mut Vec::new());
    }

    fn end(mut self) {
        let mut out: Vec<Recorded> = Vec::new();
        self.observer
            .end(Side::Client, End::Reset, self.now, &mut out);
        assert_eq!(out.len(), 1, "one stream is one record");
        for recorded in out {
            self.budget.give_back(recorded.cost_bytes);
        }
    }
}

fn kept(
    bencher: Bencher<'_, '_>,
    from: Side,
    message: Vec<u8>,
    heads: [&[u8]; 2],
    per_read: usize,
) {
    let read = message.repeat(per_read);
    bencher.counter(ItemsCount::new(KEPT)).bench_local(|| {
        let mut stream = Stream::begin(heads[0], heads[1]);
        for _ in 0..KEPT / per_read {
            stream.read(from, &read);
        }
        stream.end();
    });
}

fn counted(bencher: Bencher<'_, '_>, from: Side, message: Vec<u8>, heads: [&[u8]; 2]) {
    let read = message.repeat(PER_READ);
    let mut stream = Stream::begin(heads[0], heads[1]);
    for _ in 0..2 * KEPT {
        stream.read(from, &read);
    }
    bencher
        .counter(ItemsCount::new(PER_READ))
        .bench_local(|| stream.read(from, &read));
}

/// A whole WebSocket of a thousand messages that are all kept, in reads of so many.
#[divan::bench(args = [1, PER_READ])]
fn websocket_kept(bencher: Bencher<'_, '_>, per_read: usize) {
    kept(
        bencher,
        Side::Client,
        frame(),
        [UPGRADE, UPGRADED],
        per_read,
    );
}

/// Messages beyond those that are kept.
#[divan::bench]
fn websocket_counted(bencher: Bencher<'_, '_>) {
    counted(bencher, Side::Client, frame(), [UPGRADE, UPGRADED]);
}

/// A whole stream of a thousand events that are all listed, in reads of so many.
#[divan::bench(args = [1, PER_READ])]
fn events_kept(bencher: Bencher<'_, '_>, per_read: usize) {
    kept(bencher, Side::Server, event(), [ASK, EVENTS], per_read);
}

/// Events beyond those that are listed.
#[divan::bench]
fn events_counted(bencher: Bencher<'_, '_>) {
    counted(bencher, Side::Server, event(), [ASK, EVENTS]);
}
