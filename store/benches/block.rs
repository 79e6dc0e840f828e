//! What a block costs per call: sealing in the sidecar, reading and merging in the hub.
//!
//! `cargo bench -p remora-store --bench block`. Rates are calls per second. The table at the end
//! says what is left of the raw bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use remora_store::block::{Block, BlockMeta, Codec, merge, seal};
use remora_store::call::{Call, Connection, Detail, Engine, Leg, Message, Phases, Protocol, State};

/// As many as a sidecar seals at most.
const CALLS: usize = 512;
const MERGED_BLOCKS: usize = 16;

fn main() {
    divan::main();
    print_sizes();
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4])]
fn seal_1_kb_calls(bencher: Bencher, codec: Codec) {
    let (meta, calls) = (BlockMeta::default(), calls(0));
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| seal(&meta, &calls, None, codec));
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn read_columns(bencher: Bencher, codec: Codec) {
    let block = block(0, codec);
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| block.columns());
}

#[divan::bench]
fn read_columns_of_a_merged_block(bencher: Bencher) {
    let block = Block::open(merge(&blocks()).expect("they fit")).expect("it is whole");
    bencher
        .counter(ItemsCount::new(CALLS * MERGED_BLOCKS))
        .bench(|| block.columns());
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn open_and_verify(bencher: Bencher, codec: Codec) {
    let bytes = block(0, codec).bytes().clone();
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench(|| Block::open(bytes.clone()).and_then(|block| block.verify()));
}

#[divan::bench(args = [Codec::Raw, Codec::Lz4, Codec::Zstd])]
fn read_one_call(bencher: Bencher, codec: Codec) {
    let block = block(0, codec);
    bencher.bench(|| block.call(300));
}

#[divan::bench]
fn merge_lz4_blocks(bencher: Bencher) {
    let blocks = blocks();
    bencher
        .counter(ItemsCount::new(CALLS * MERGED_BLOCKS))
        .bench(|| merge(&blocks));
}

fn print_sizes() {
    let raw: usize = (0..MERGED_BLOCKS)
        .flat_map(calls)
        .map(|call| raw_bytes(&call))
        .sum();
    let of = |blocks: &[(u64, Block)]| -> usize {
        blocks.iter().map(|(_, block)| block.bytes().len()).sum()
    };
    let in_codec =
        |codec| -> Vec<_> { (0..MERGED_BLOCKS).map(|at| (0, block(at, codec))).collect() };
    let merged = merge(&blocks()).expect("they fit").len();
    let per_call = raw / (CALLS * MERGED_BLOCKS);
    println!("bytes per raw byte ({per_call} raw bytes per call: heads and bodies)");
    for (name, bytes) in [
        ("sealed raw", of(&in_codec(Codec::Raw))),
        ("sealed lz4", of(&in_codec(Codec::Lz4))),
        ("merged zstd", merged),
    ] {
        println!("  {name:12} {:.3}", bytes as f64 / raw as f64);
    }
}

fn raw_bytes(call: &Call) -> usize {
    [&call.request, &call.response]
        .iter()
        .map(|message| message.head.len() + message.body.len())
        .sum()
}

fn blocks() -> Vec<(u64, Block)> {
    (0..MERGED_BLOCKS)
        .map(|at| (at as u64 + 1, block(at, Codec::Lz4)))
        .collect()
}

fn block(number: usize, codec: Codec) -> Block {
    let meta = BlockMeta {
        sequence: number as u64 + 1,
        ..BlockMeta::default()
    };
    Block::open(seal(&meta, &calls(number), None, codec)).expect("it was just sealed")
}

/// Calls of a shop: a few routes, many orders, JSON of about 600 bytes, heads as browsers and
/// services send them.
fn calls(block: usize) -> Vec<Call> {
    (0..CALLS).map(|at| call(block * CALLS + at)).collect()
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
