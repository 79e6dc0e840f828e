//! Blocks as they are let into a store: read through, and with the origin that the hub believes.

use crate::block::{Block, BlockError, BlockMeta};
use crate::store::{ReceivedBlock, StoreError};

/// A block of which every part can be read.
#[derive(Debug, Clone)]
pub(crate) struct CheckedBlock {
    /// What it says of itself, with the origin that the hub believes.
    pub(crate) meta: BlockMeta,
    /// The block.
    pub(crate) block: Block,
}

/// Reads blocks through. If one is bad, none is let in.
pub(crate) fn check(blocks: Vec<ReceivedBlock>) -> Result<Vec<CheckedBlock>, StoreError> {
    let checked = blocks.into_iter().enumerate().map(|(index, received)| {
        check_one(received).map_err(|reason| StoreError::BadBlock { index, reason })
    });
    checked.collect()
}

fn check_one(received: ReceivedBlock) -> Result<CheckedBlock, String> {
    let in_words = |error: BlockError| error.to_string();
    let block = Block::open(received.bytes).map_err(in_words)?;
    block.verify().map_err(in_words)?;
    if !block.sources().is_empty() {
        // It could claim ids of calls that it does not hold.
        return Err("it is a merged block, which only a store makes".to_owned());
    }
    let meta = BlockMeta {
        origin: received.origin,
        ..block.meta().clone()
    };
    Ok(CheckedBlock { meta, block })
}
