//! A session of PostgreSQL made of messages that mean something, in any order, from both sides.
#![no_main]

mod interleaving;
mod script;

use interleaving::{Step, check};
use remora_store::call::Side;

const STARTUP: &[u8] = b"\0\0\0\x12\0\x03\0\0user\0a\0\0\0";

/// What a byte of the script stands for.
const PIECES: &[&[u8]] = &[
    b"Q\0\0\0\x19SELECT 'a', 1; COMMIT\0",
    b"Q\0\0\0\x11COPY t FROM x\0",
    b"P\0\0\0\x17s\0SELECT $1, $2\0\0\x01\0\0",
    b"\0\x17",
    b"P\0\0\0\x0f\0SELECT 1\0\0\0",
    b"B\0\0\0\x18p\0s\0\0\x01\0\x01\0\x01\0\0\0\x02ab\0\0",
    b"B\0\0\0\x0c\0\0\0\0\0\0\0\0",
    b"D\0\0\0\x07Ss\0",
    b"D\0\0\0\x06P\0",
    b"E\0\0\0\x09\0\0\0\0\0",
    b"E\0\0\0\x0ap\0\0\0\0\0",
    b"C\0\0\0\x07Ss\0",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"F\0\0\0\x11\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff\0",
    b"d\0\0\0\x061\n",
    b"c\0\0\0\x04",
    b"p\0\0\0\x07pw\0",
    b"X\0\0\0\x04",
    b"R\0\0\0\x08\0\0\0\0",
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05T",
    b"1\0\0\0\x04",
    b"2\0\0\0\x04",
    b"3\0\0\0\x04",
    b"n\0\0\0\x04",
    b"s\0\0\0\x04",
    b"I\0\0\0\x04",
    b"t\0\0\0\x0a\0\x01\0\0\0\x17",
    b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    b"D\0\0\0\x0b\0\x01\0\0\0\x017",
    b"C\0\0\0\x0dSELECT 1\0",
    b"E\0\0\0\x15SERROR\0C22012\0\0",
    b"V\0\0\0\x09\0\0\0\x01x",
    b"G\0\0\0\x07\0\0\0",
    b"S\0\0\0\x24standard_conforming_strings\0off\0",
    b"d\0\0\x01\x2c",
    &[b'x'; 300],
];

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut steps = vec![Step::Send(Side::Client, STARTUP.to_vec())];
    steps.extend(script::steps(PIECES, Side::Server, script));
    check(&steps);
});
