//! The certificates that webhook and hub serve under: made, renewed and published without anybody's help.
//!
//! All replicas share one state, kept in one Secret with optimistic concurrency: whoever writes first wins, the
//! others read what was written. What to do next is pure ([`Chain::next`]); [`Keeper`] does it.
//!
//! An API server trusts an authority only some time after it was published, and a replica serves an old leaf
//! for some time after a new one was made. So a new authority is published first, signs after `settle`, and the
//! old one goes `settle` after no leaf of it is left.

mod chain;
mod keeper;

pub use chain::{CertificateError, Chain, Lifetimes, Names};
pub use keeper::{Cluster, ClusterError, KeepError, Keeper, Kept};
