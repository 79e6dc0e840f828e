//! Any bytes are a block that reads, or an error.
#![no_main]

use remora_store::block::{Block, merge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(block) = Block::open(bytes.to_vec().into()) {
        let readable = block.verify().is_ok();
        let _ = block.call(block.len() / 2);
        if readable && let Ok(merged) = merge(&[(1, block.clone()), (2, block)]) {
            Block::open(merged)
                .and_then(|merged| merged.verify())
                .expect("what is merged reads");
        }
    }
});
