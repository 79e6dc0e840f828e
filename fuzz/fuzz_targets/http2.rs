//! HTTP/2 and gRPC made of frames that mean something, whole and in pieces, from both sides.
#![no_main]

mod interleaving;

use interleaving::{Step, check};
use remora_proxy::observe::End;
use remora_store::call::Side;

/// Payloads of frames, picked by a byte of the script.
const PAYLOADS: &[&[u8]] = &[
    b"",
    b"\x82\x84\x86",                                     // GET / http
    b"\x83\x86\x44\x04/a.B\x0f\x10\x10application/grpc", // a gRPC request
    b"\x88",                                             // 200
    b"\x08\x03103",                                      // 103
    b"\x88\x0f\x10\x10application/grpc",                 // a gRPC response
    b"\x40\x04name\x05value",                            // enters the table
    b"\xbe",                                             // points into it
    b"\x20",                                             // a table of nothing
    b"\x3f\xe1\x01",                                     // a table of 256 bytes
    b"\x02\x07CONNECT\x00\x09:protocol\x09websocket",
    b"\x00\x00\x00\x00\x02hi",   // a message
    b"\x01\x00\x00\x00\x09half", // the beginning of one
    b"\x02\x88\x00\x00",         // padded
    b"\x81\x02hi",               // a message of WebSocket
    b"\x00\x00\x00\x00",
    b"\x00\x00\x00\x07",
    b"\x00\x00\x00\x01\x00\x00\x00\x00",
    b"\x00\x00\x00\x02\x82\x84\x86", // promises stream 2
    &[b'x'; 600],
];

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header = [
        length[1], length[2], length[3], kind, flags, 0, 0, 0, stream,
    ];
    [&header[..], payload].concat()
}

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut steps = vec![
        Step::Send(Side::Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        Step::Send(Side::Client, frame(4, 0, 0, b"")),
        Step::Send(Side::Server, frame(4, 0, 0, b"")),
    ];
    for word in script.chunks(4) {
        let [how, flags, stream, what] = word else {
            break;
        };
        let side = match how & 0x80 {
            0 => Side::Client,
            _ => Side::Server,
        };
        let payload = PAYLOADS.get(usize::from(*what)).copied();
        match how & 0x7f {
            kind @ 0..16 => {
                let payload = payload.unwrap_or(std::slice::from_ref(what));
                steps.push(Step::Send(side, frame(kind, *flags, *stream % 8, payload)));
            }
            16..20 => steps.push(Step::Send(side, word.to_vec())),
            20 => steps.push(Step::End(side, End::Closed)),
            21 => steps.push(Step::End(side, End::Reset)),
            // Most steps are heads and data, as they are on the wire.
            kind => {
                let payload = payload.unwrap_or(b"\x82\x84\x86");
                let kind = kind & 1;
                steps.push(Step::Send(
                    side,
                    frame(kind, flags & 0x2d, *stream % 8, payload),
                ));
            }
        }
    }
    check(&steps);
});
