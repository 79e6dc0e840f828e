//! Any handshake bytes in records of any size: what the hello says does not depend on the records.
#![no_main]

mod interleaving;

use interleaving::{Step, check};
use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, Limits, Observer};
use remora_store::call::{Detail, Leg, Side};

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let Some((size, handshake)) = script.split_first() else {
        return;
    };
    // A ClientHello of the right length, or of the one the script says.
    let length = u32::try_from(handshake.len()).expect("inputs are small");
    let whole = [&[1][..], &length.to_be_bytes()[1..], handshake].concat();
    let pieces = whole.chunks(usize::from(*size).max(1));
    let cut: Vec<u8> = pieces.flat_map(record).collect();
    if whole.len() <= 16 * 1024 {
        assert_eq!(detail(&cut), detail(&record(&whole)));
    }
    check(&[
        Step::Send(Side::Client, cut),
        Step::Send(Side::Server, vec![0x15, 3, 3, 0, 2, 2, 40]),
    ]);
    check(&[Step::Send(Side::Client, record(&[&[1], handshake].concat()))]);
});

fn record(piece: &[u8]) -> Vec<u8> {
    let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
    [&[0x16, 3, 1], &length.to_be_bytes()[..], piece].concat()
}

/// What the observer tells of a hello.
fn detail(bytes: &[u8]) -> Option<Detail> {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Outbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 443).into(),
        accepted_ns: 0,
    };
    let limits = Limits {
        body_bytes: 4096,
        head_bytes: 4096,
    };
    let mut observer = Observer::new(facts, limits, Budget::new(1 << 20));
    let mut out = Vec::new();
    observer.bytes(Side::Client, bytes, 1, &mut out);
    observer.closed(Side::Client, 2, &mut out);
    out.pop().map(|recorded| recorded.call.detail)
}
