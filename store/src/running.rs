//! Keeping the list of calls that still run right, as blocks come.
//!
//! A block that lists running calls lists all of its sidecar's; one that does not leaves the list as
//! it is. The final record of a call takes it off the list. Blocks may come in any order.

use std::collections::HashSet;

use crate::answer::Holds;
use crate::block::{Block, BlockError};
use crate::call::CallId;
use crate::index::{Exchange, Kept, OpenSection};

/// Takes in what a block that is in the index now says of running calls.
pub(crate) fn take_in<S: Holds>(store: &S, number: u64, block: &Block) {
    let Some(kept) = store.index().holder(number).cloned() else {
        return;
    };
    if let Err(error) = list(store, &kept, block) {
        // It was read through when it came, so its bytes are damaged by now.
        tracing::warn!(number, %error, "block does not say which calls run");
    }
}

fn list<S: Holds>(store: &S, kept: &Kept<S::Place>, block: &Block) -> Result<(), BlockError> {
    let incarnation = kept.origin.incarnation;
    let Some(mut section) = section(kept, block)? else {
        let known = store.index().running_since(incarnation);
        if let Some(sequence) = known {
            let finished = finished_after(kept, block, sequence)?;
            store.index().finish(incarnation, &finished);
        }
        return Ok(());
    };
    let later = store.index().later(incarnation, section.sequence);
    for kept in later {
        // One that is gone or damaged by now cannot say anything.
        if let Ok(Some(block)) = store.block(kept.number) {
            section.supersede(&finished_after(&kept, &block, section.sequence)?);
        }
    }
    store.index().set_open(section);
    Ok(())
}

/// The running calls that a block lists.
fn section<L>(kept: &Kept<L>, block: &Block) -> Result<Option<OpenSection>, BlockError> {
    let Some(calls) = block.open_calls()? else {
        return Ok(None);
    };
    let lister = block.open_id(kept.number, 0).block;
    let source = kept.sources.iter().find(|source| source.block == lister);
    let ids = (0..).map(|place| block.open_id(kept.number, place));
    Ok(Some(OpenSection {
        origin: kept.origin.clone(),
        number: lister,
        sequence: source.map_or(0, |source| source.sequence),
        calls: ids.zip(calls).collect(),
    }))
}

/// The exchanges of which a block holds the final record, as far as it came after `sequence`.
fn finished_after<L>(
    kept: &Kept<L>,
    block: &Block,
    sequence: u64,
) -> Result<HashSet<Exchange>, BlockError> {
    let columns = block.columns()?;
    let exchanges = columns.connection.into_iter().zip(columns.ordinal);
    let late = kept.sources.iter().flat_map(|source| {
        let late = source.sequence > sequence;
        std::iter::repeat_n(late, source.calls as usize)
    });
    let finished = exchanges.zip(late).filter(|&(_, late)| late);
    Ok(finished.map(|(exchange, _)| exchange).collect())
}

/// The final record of a call that was listed as running under `id`: the block it is in now, and its
/// id there.
pub(crate) fn final_record<S: Holds>(store: &S, id: CallId) -> Option<CallId> {
    let kept = store.index().holder(id.block).cloned()?;
    let block = store.block(kept.number).ok()??;
    let section = section(&kept, &block).ok()??;
    let (_, call) = section.calls.iter().find(|(listed, _)| *listed == id)?;
    let exchange = (call.connection.id, call.connection.ordinal);
    let incarnation = kept.origin.incarnation;
    let later = store.index().later(incarnation, section.sequence);
    later.iter().find_map(|kept| {
        let block = store.block(kept.number).ok()??;
        let columns = block.columns().ok()?;
        let mut exchanges = columns.connection.iter().zip(&columns.ordinal);
        let place = exchanges.position(|(&id, &ordinal)| (id, ordinal) == exchange)?;
        block.ids(kept.number).nth(place)
    })
}
