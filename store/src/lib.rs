//! What a recorded call is, how it is sealed, kept and asked for.
//!
//! Read in this order: [`call`] is the record, [`block`] its sealed form on the wire and on disk,
//! [`store`] the trait behind which blocks are kept, [`filter`] and [`query`] how they are asked for,
//! [`snapshot`] what is held against being forgotten.
//! This crate knows nothing of sockets, HTTP or Kubernetes: it takes values and gives values back.

pub mod about;
mod answer;
pub mod block;
pub mod call;
mod catalogue;
mod checked;
mod clock;
pub mod coding;
pub mod embedded;
pub mod fault;
pub mod filter;
pub mod grpc;
pub mod head;
mod index;
mod lock;
pub mod memory;
pub mod names;
pub mod outcome;
pub mod query;
pub mod route;
mod running;
mod segment;
pub mod snapshot;
pub mod spool;
pub mod sql;
pub mod stats;
pub mod store;
mod stretches;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
