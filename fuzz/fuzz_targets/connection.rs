//! Any bytes of both sides in any order, of any protocol.
#![no_main]

mod interleaving;

use interleaving::{Step, check};
use remora_proxy::observe::End;
use remora_store::call::Side;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let mut steps = Vec::new();
    let mut rest = script;
    while let Some((control, tail)) = rest.split_first() {
        let side = [Side::Client, Side::Server][usize::from(control & 1)];
        let count = usize::from(control >> 1);
        if count < 2 {
            let how = [End::Closed, End::Reset][count];
            steps.push(Step::End(side, how));
            rest = tail;
            continue;
        }
        let (bytes, tail) = tail.split_at(count.min(tail.len()));
        steps.push(Step::Send(side, bytes.to_vec()));
        rest = tail;
    }
    check(&steps);
});
