//! Commands and replies of Redis that mean something, in any order, from both sides.
#![no_main]

mod interleaving;
mod script;

use interleaving::{Step, check};
use remora_store::call::Side;

/// What a byte of the script stands for.
const PIECES: &[&[u8]] = &[
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$600\r\n",
    b"*1\r\n$5\r\nMULTI\r\n",
    b"*1\r\n$4\r\nEXEC\r\n",
    b"*1\r\n$7\r\nDISCARD\r\n",
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
    b"*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*1\r\n$11\r\nUNSUBSCRIBE\r\n",
    b"*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\n*\r\n",
    b"*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n",
    b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n",
    b"*1\r\n$7\r\nMONITOR\r\n",
    b"*1\r\n$5\r\nRESET\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n",
    b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n",
    b"GET a\r\n",
    b"+OK\r\n",
    b"+PONG\r\n",
    b"+QUEUED\r\n",
    b"+RESET\r\n",
    b"$1\r\na\r\n",
    b"$-1\r\n",
    b"-ERR no\r\n",
    b":1\r\n",
    b"*2\r\n",
    b"*1\r\n",
    b"*0\r\n",
    b"%1\r\n",
    b"|1\r\n",
    b"_\r\n",
    b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    b">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
    b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
    b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n",
    b"+1339518083.107412 [0 127.0.0.1:60866] \"get\" \"a\"\r\n",
    b"*?\r\n",
    b".\r\n",
    b"$?\r\n",
    b";2\r\nab\r\n",
    b";0\r\n",
    &[b'x'; 300],
    b"\r\n",
];

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut steps = vec![Step::Send(Side::Client, PIECES[0].to_vec())];
    steps.extend(script::steps(PIECES, Side::Server, script));
    check(&steps);
});
