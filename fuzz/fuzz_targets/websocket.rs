//! A WebSocket made of frames that mean something, in any order, from both sides; and the events of
//! a stream beside it.
#![no_main]

mod interleaving;
mod script;

use interleaving::{Step, check};
use remora_store::call::Side;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

/// The answers, of which the first byte of the script chooses one.
const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: x-other\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
];

/// What a byte of the script stands for.
const PIECES: &[&[u8]] = &[
    &[0x81, 0x05, b'h', b'e', b'l', b'l', b'o'],
    &[0x81, 0x85, 1, 2, 3, 4, b'h', b'e', b'l', b'l', b'o'],
    &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    &[0x01, 0x02, b'h', b'i'],
    &[0x00, 0x02, b'h', b'i'],
    &[0x80, 0x00],
    &[0x89, 0x03, b'a', b'b', b'c'],
    &[0x8a, 0x80, 1, 2, 3, 4],
    &[0x88, 0x02, 0x03, 0xe8],
    &[0x82, 0x7e, 0x01, 0x2c],
    &[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0x02, 0x58],
    &[0x82, 0xfe, 0x01, 0x2c, 9, 8, 7, 6],
    &[b'x'; 300],
    b"data: 1\n",
    b"data\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b": c\n",
    b"9\r\ndata: 1\n\n\r\n",
    "\u{feff}".as_bytes(),
];

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let Some((choice, script)) = script.split_first() else {
        return;
    };
    let response = RESPONSES[usize::from(*choice) % RESPONSES.len()];
    let mut steps = vec![
        Step::Send(Side::Client, REQUEST.to_vec()),
        Step::Send(Side::Server, response.to_vec()),
    ];
    steps.extend(script::steps(PIECES, Side::Server, script));
    check(&steps);
});
