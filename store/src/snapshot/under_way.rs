//! A call that was under way when a snapshot was sealed: as much of it as tells which questions it concerns.

use crate::about::About;
use crate::call::{Leg, Protocol};
use crate::names::Party;
use crate::query::FoundCall;

/// Most of them that a sealed snapshot lists; more are counted by workload.
pub const UNDER_WAY_LIMIT: usize = 1_000;

/// Longest path that is kept of one, in bytes.
const PATH_BYTES: usize = 256;

/// A call that had begun when a snapshot was sealed, and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// When it began: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// What it is.
    pub nature: Nature,
    /// Random number of the run of the sidecar that saw it.
    pub run: u128,
    /// That sidecar's namespace; `local` outside a cluster.
    pub namespace: String,
    /// Its workload.
    pub workload: String,
    /// Which side of the call it saw.
    pub leg: Leg,
    /// Who called.
    pub src: Party,
    /// Who was called.
    pub dst: Party,
    /// Method; empty where none was seen yet.
    pub method: String,
    /// Path without the query; empty where none was seen yet, or where it is too long to keep.
    pub path: String,
    /// What it asks for, without ids and values; empty the same way.
    pub route: String,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nature {
    /// A request that waits for its answer, or for the rest of it.
    Request,
    /// What lasts as long as somebody listens.
    Stream,
    /// A connection that passes TLS through: anything may be in it.
    Tls,
    /// A connection of a protocol that is not read.
    Opaque,
}

impl Nature {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Request, Self::Stream, Self::Tls, Self::Opaque];

    /// Whether only its bytes are counted.
    pub fn is_unread(self) -> bool {
        matches!(self, Self::Tls | Self::Opaque)
    }
}

impl UnderWay {
    /// What is kept of a call that runs.
    pub fn of(found: &FoundCall) -> Self {
        let call = &found.call;
        let about = About::of(call);
        let kept = |text: &str| match text.len() {
            0..=PATH_BYTES => text.to_owned(),
            _ => String::new(),
        };
        Self {
            since_ns: call.time_ns,
            nature: match call.protocol {
                Protocol::Tls => Nature::Tls,
                Protocol::Opaque => Nature::Opaque,
                _ if call.is_stream() => Nature::Stream,
                _ => Nature::Request,
            },
            run: found.origin.incarnation,
            namespace: found.origin.namespace.clone(),
            workload: found.origin.workload.clone(),
            leg: call.leg,
            src: found.src.clone(),
            dst: found.dst.clone(),
            method: about.method.to_string(),
            path: kept(&about.path),
            route: kept(&about.route()),
        }
    }
}
