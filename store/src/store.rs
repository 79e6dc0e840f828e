//! The trait behind which recorded blocks are kept, and the words in which a store is spoken to.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::block::Origin;

/// Which namespaces a caller may see. Every question carries one; there is no question without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them: a caller on loopback, or one with the hub's own token.
    All,
    /// Only what was recorded by pods of these namespaces.
    Namespaces(BTreeSet<String>),
}

impl Scope {
    /// Whether records made in `namespace` may be shown.
    pub fn sees(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }
}

/// A block as the hub received it.
#[derive(Debug, Clone)]
pub struct ReceivedBlock {
    /// Who wrote it, as far as the hub could establish; stored beside the block, and believed before
    /// what the block itself claims.
    pub origin: Origin,
    /// The sealed block.
    pub bytes: Bytes,
}
