//! What a question needs of a store.

use std::sync::Arc;

use crate::block::{Block, BlockSummary, Columns, Origin};
use crate::call::{Call, CallId};
use crate::names::Names;
use crate::store::StoreError;

/// A block that holds calls, as far as it is known without reading it.
#[derive(Debug, Clone)]
pub struct BlockEntry {
    /// The hub's number of it.
    pub number: u64,
    /// Who recorded it.
    pub origin: Arc<Origin>,
    /// What is in it.
    pub summary: Arc<BlockSummary>,
}

/// Where blocks come from when questions are answered.
pub trait BlockSource: Send + Sync {
    /// The blocks that hold calls, ordered by when their oldest call began. Cheap.
    fn entries(&self) -> Arc<[BlockEntry]>;

    /// The columns of a block; `None` if it was forgotten meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if it cannot be read: it was set aside then, and a question goes on
    /// without it.
    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError>;

    /// A block; `None` if it was forgotten meanwhile. Errors as for [`BlockSource::columns`].
    fn block(&self, number: u64) -> Result<Option<Block>, StoreError>;

    /// Every call that still runs, and who recorded it.
    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)>;

    /// Who the addresses belong to.
    fn names(&self) -> Arc<Names>;
}
