//! What is asked of a store, and what it answers.
//!
//! The types of questions and answers are here. How they are answered is in the modules below, for
//! any [`BlockSource`].

mod cursor;
mod list;
mod look;
mod rank;
mod source;
mod summarize;
mod withhold;

pub use crate::outcome::Outcome;
pub use cursor::BadCursor;
pub use list::list;
pub(crate) use look::running;
pub use look::{Recorded, found};
pub use source::{BlockEntry, BlockSource};
pub use summarize::summarize;

use std::sync::Arc;
use std::time::Duration;

use crate::block::Origin;
use crate::call::{Call, CallId, Protocol};
use crate::filter::Filter;
use crate::names::Party;
use crate::snapshot::{UnderWay, View};

/// Calls that match, a page at a time.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which calls.
    pub filter: Filter,
    /// Only calls that began at this time or later: nanoseconds since the Unix epoch.
    pub since_ns: Option<i64>,
    /// Only calls that began before this time.
    pub until_ns: Option<i64>,
    /// Which end of time comes first.
    pub order: Order,
    /// Most calls on the page, 1 to 1,000.
    pub limit: usize,
    /// Where the page before this one ended.
    pub cursor: Option<Cursor>,
    /// Whether health checks are shown.
    pub probes: bool,
    /// Which part of what the caller sees; by default all of it.
    pub view: View,
    /// Whether bodies are read; without them a page costs no body frame.
    pub bodies: bool,
    /// How long the store may look before it answers with what it has and says how far it came.
    pub time_budget: Duration,
}

/// Which calls come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// A place in an ordered list of calls. Its text is opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Time of the last call of the page before.
    pub time_ns: i64,
    /// Its id.
    pub id: CallId,
}

/// One page of an answer.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The calls, in the order asked for.
    pub calls: Vec<FoundCall>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    /// Set when the time budget ran out: everything on this side of the time was looked at.
    pub scanned_until_ns: Option<i64>,
    /// How many calls were looked at.
    pub examined: u64,
    /// How many of them were left out because of a body that was cut, not kept or withheld, or a head that was cut: with the
    /// whole of it they might match.
    pub undecided: u64,
}

/// A call that a question found, with what the store knows about it.
#[derive(Debug, Clone)]
pub struct FoundCall {
    /// Its name.
    pub id: CallId,
    /// The call; without its bodies where they were not asked for, or are withheld.
    pub call: Call,
    /// Whether the asker may not see what was sent in bodies and messages: then it was taken out, and their sizes
    /// are left.
    pub withheld: bool,
    /// Who recorded it.
    pub origin: Arc<Origin>,
    /// Which key made its digests and tags, as [`BlockMeta::redaction_key`](crate::block::BlockMeta::redaction_key)
    /// has it; empty for a call that still runs, which has no digests yet.
    pub redaction_key: Arc<str>,
    /// Who called.
    pub src: Party,
    /// Who was called.
    pub dst: Party,
}

/// Calls that match, counted by group.
#[derive(Debug, Clone)]
pub struct SummaryQuery {
    /// Which calls.
    pub filter: Filter,
    /// Only calls that began at this time or later: nanoseconds since the Unix epoch.
    pub since_ns: Option<i64>,
    /// Only calls that began before this time.
    pub until_ns: Option<i64>,
    /// What calls are grouped by. The leg always is: the two legs of a call are never added up.
    pub group_by: Vec<GroupKey>,
    /// Whether health checks are counted.
    pub probes: bool,
    /// Which part of what the caller sees; by default all of it.
    pub view: View,
    /// Most groups in the answer; what is left is added up in [`Summary::rest`].
    pub limit: usize,
    /// How long the store may look before it answers with what it has and says how far it came.
    pub time_budget: Duration,
}

/// What calls can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKey {
    /// Caller and callee.
    Edge,
    /// Namespaces of caller and callee.
    Namespaces,
    /// What was spoken.
    Protocol,
    /// Method and route.
    Route,
    /// Status, or the error where there is none.
    Status,
    /// Revision of the recording workload.
    Revision,
}

/// Groups of calls.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The groups, the one with most calls first; equal ones by their key.
    pub groups: Vec<Group>,
    /// What the limit cut off, added up: at most one group per leg, with no other key.
    pub rest: Vec<Group>,
    /// How many groups the limit cut off; at least so many where there are more than are counted apart.
    pub groups_omitted: u64,
    /// Set when the time budget ran out: everything newer was looked at.
    pub scanned_until_ns: Option<i64>,
    /// How many calls were looked at.
    pub examined: u64,
    /// How many of them were left out because of a body that was cut, not kept or withheld, or a head that was cut: with the
    /// whole of it they might match.
    pub undecided: u64,
}

/// What came since a block, and what still runs.
#[derive(Debug, Clone)]
pub struct ArrivedQuery {
    /// Which calls.
    pub filter: Filter,
    /// Only calls that began at this time or later: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// Which part of what the caller sees.
    pub view: View,
    /// Only ended calls in blocks from this number on; what runs is told whole each time.
    pub from_block: u64,
    /// How long the store may look.
    pub time_budget: Duration,
}

/// What came since a block, and what still runs. Health checks are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Calls that match and came since. Some may have come before, if their block was merged.
    pub calls: u64,
    /// Each call that matches and still runs.
    pub running: Vec<UnderWay>,
    /// The number to go on with.
    pub next_block: u64,
}

/// Calls with the same key, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// `inbound` or `outbound`.
    pub leg: &'static str,
    /// Caller's name, or its address without the port; `None` if not grouped by edge.
    pub src: Option<String>,
    /// Callee's name, or its address; `None` if not grouped by edge.
    pub dst: Option<String>,
    /// Caller's namespace, empty where unknown; `None` if not grouped by namespaces.
    pub src_namespace: Option<String>,
    /// Callee's namespace, the same way.
    pub dst_namespace: Option<String>,
    /// What was spoken; `None` if not grouped by protocol.
    pub protocol: Option<Protocol>,
    /// Method; `None` if not grouped by route.
    pub method: Option<String>,
    /// Route; `None` if not grouped by route.
    pub route: Option<String>,
    /// How the calls ended; `None` if not grouped by status.
    pub outcome: Option<Outcome>,
    /// Revision; `None` if not grouped by it.
    pub revision: Option<String>,
    /// How many calls.
    pub calls: u64,
    /// How many of them an injected fault met: they are among the calls and the bytes, and neither among the
    /// errors nor among the latencies.
    pub injected: u64,
    /// How many of the others failed, as [`crate::outcome::Ending::failed`] has it.
    pub errors: u64,
    /// Median latency in milliseconds; `None` where no call of the group has ended. Streams are left out of
    /// it: how long somebody listened is no latency.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the latency in milliseconds, within 1 %.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the latency in milliseconds, within 1 %.
    pub p99_ms: Option<f64>,
    /// Request body bytes.
    pub request_bytes: u64,
    /// Response body bytes.
    pub response_bytes: u64,
}

impl Group {
    /// How many of the calls no injected fault met: those that its errors are a share of.
    pub fn untouched(&self) -> u64 {
        self.calls.saturating_sub(self.injected)
    }
}

#[cfg(test)]
mod tests;
