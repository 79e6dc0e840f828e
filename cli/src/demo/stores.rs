//! What the shop keeps its data in: small servers in this process that speak the wire protocols of Redis
//! and PostgreSQL, so that nothing has to be installed. They are stand-ins, and know what the shop asks.

pub(super) mod postgres;
pub(super) mod redis;
