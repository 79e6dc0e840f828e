//! HTTP/1 made of pieces that mean something, in any order, from both sides.
#![no_main]

mod interleaving;
mod script;

use interleaving::{Step, check};
use remora_store::call::Side;

/// What a byte of the script stands for.
const PIECES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.0\r\n",
    b"HEAD / HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.0 304 Not Modified\r\n",
    b"HTTP/1.1 407 Proxy Authentication Required\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 600\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: ",
    b"Upgrade: websocket\r\n",
    b"User-Agent: kube-probe/1\r\n",
    b"X: ",
    b"\r\n",
    b"\n",
    b" ",
    b"hello",
    b"5\r\nhello\r\n",
    b"100\r\n",
    b"3;x=y\r\n",
    b"0\r\n\r\n",
    b"0\r\nT: 1\r\n",
    &[b'x'; 300],
];

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut steps = vec![Step::Send(Side::Client, b"GET / HTTP/1.1\r\n".to_vec())];
    steps.extend(script::steps(PIECES, Side::Client, script));
    check(&steps);
});
