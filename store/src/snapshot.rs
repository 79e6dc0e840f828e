//! Snapshots: named windows over recorded calls, kept from being forgotten.
//!
//! Owns what a snapshot is, its control record, which blocks it pins, and the shelf on which a store
//! keeps them in memory. Waiting until a window has settled is the hub's business.
//!
//! A snapshot copies nothing. While it is open it shows what its window holds now; once it is sealed,
//! what the store had taken in until then: a block that comes later has a higher number.

mod blindness;
pub(crate) mod pins;
pub(crate) mod record;
pub(crate) mod shelf;
mod under_way;
mod unsettled;

pub use blindness::{Blind, BlindBecause, Blindness};
pub use under_way::{Nature, UNDER_WAY_LIMIT, UnderWay};
pub use unsettled::{Beside, Unsettled};

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::store::Namespaces;

/// Most snapshots that a store keeps at a time.
pub const SNAPSHOTS_LIMIT: usize = 200;

/// Most members that a sealed snapshot lists; more are counted.
pub const MEMBERS_LIMIT: usize = 500;

/// What the ids of snapshots begin with.
const ID_PREFIX: &str = "snp_";

/// Characters after it, of [`ID_ALPHABET`]: 80 random bits.
const ID_CHARS: usize = 16;

/// Base 32 (RFC 4648 section 6) in lower case.
const ID_ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Name of a snapshot in the store: random, and no permission to see anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// An id that nobody has.
    pub fn random() -> Self {
        let mut id = ID_PREFIX.to_owned();
        for random in rand::random::<[u8; ID_CHARS]>() {
            let letter = ID_ALPHABET.get(usize::from(random % 32));
            id.push(char::from(letter.copied().unwrap_or(b'a')));
        }
        Self(id)
    }

    /// The id as people write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = BadSnapshotId;

    fn from_str(text: &str) -> Result<Self, BadSnapshotId> {
        let letters = text.strip_prefix(ID_PREFIX).unwrap_or_default();
        let right =
            letters.len() == ID_CHARS && letters.bytes().all(|it| ID_ALPHABET.contains(&it));
        match right {
            true => Ok(Self(text.to_owned())),
            false => Err(BadSnapshotId(text.chars().take(40).collect())),
        }
    }
}

/// Text that is not the id of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a snapshot; they look like snp_abcdefghijklmnop")]
pub struct BadSnapshotId(pub String);

/// What a snapshot is made of when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// What people call it.
    pub name: String,
    /// What was recorded in these namespaces: at most those that its maker may see.
    pub namespaces: Namespaces,
    /// Only what was recorded beside these workloads; empty for all of them.
    pub workloads: BTreeSet<String>,
    /// Its first moment: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// When it goes, and what it pinned with it.
    pub expires_ns: i64,
}

/// A named window over recorded calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name in the store.
    pub id: SnapshotId,
    /// What people call it.
    pub name: String,
    /// What was recorded in these namespaces, for callers whose own scope sees them.
    pub namespaces: Namespaces,
    /// Only what was recorded beside these workloads; empty for all of them.
    pub workloads: BTreeSet<String>,
    /// Its first moment: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// When it was made.
    pub created_ns: i64,
    /// When it goes, and what it pinned with it.
    pub expires_ns: i64,
    /// Where it ends; `None` while it grows.
    pub seal: Option<Seal>,
    /// When its calls were given up to retention, because pins may take half the space at most.
    pub unpinned_ns: Option<i64>,
}

/// Where a sealed snapshot ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// When it was sealed: nanoseconds since the Unix epoch.
    pub sealed_ns: i64,
    /// Its first moment that is not part of it: when it was sealed, or just after the newest call
    /// that was stored then, if a sidecar's clock is ahead.
    pub until_ns: i64,
    /// Blocks from this number on came too late to be part of it.
    pub before_block: u64,
    /// Who had recorded something in it, at most [`MEMBERS_LIMIT`] of them.
    pub members: Vec<Member>,
    /// How many more there were.
    pub members_omitted: u64,
    /// What was still under way then.
    pub unsettled: Unsettled,
}

/// Who recorded something in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Kubernetes namespace; `local` outside a cluster.
    pub namespace: String,
    /// Name of the workload.
    pub workload: String,
    /// Its revision; empty where its sidecars did not say.
    pub revision: String,
    /// Runs of sidecars that recorded something of it.
    pub sidecars: u64,
}

/// Which part of what a scope sees a question is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Only what was recorded beside these workloads; empty for all of them.
    pub workloads: BTreeSet<String>,
    /// Only ended calls, of blocks with numbers below this one.
    pub before_block: Option<u64>,
}

impl View {
    /// Whether what was recorded beside `workload` may be part of it.
    pub fn sees(&self, workload: &str) -> bool {
        self.workloads.is_empty() || self.workloads.contains(workload)
    }

    /// Whether a block may.
    pub(crate) fn holds(&self, number: u64, workload: &str) -> bool {
        self.before_block.is_none_or(|before| number < before) && self.sees(workload)
    }
}

impl Snapshot {
    /// What of the store it shows, within its window and its scope.
    pub fn view(&self) -> View {
        View {
            workloads: self.workloads.clone(),
            before_block: self.seal.as_ref().map(|seal| seal.before_block),
        }
    }

    /// Its first moment that is not part of it; `None` while it grows.
    pub fn until_ns(&self) -> Option<i64> {
        self.seal.as_ref().map(|seal| seal.until_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_no_other_text_is_one() {
        let id = SnapshotId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, SnapshotId::random());
        for text in [
            "",
            "snp_",
            "snp_ABCDEFGHIJKLMNOP",
            "snp_abcdefghijklmno1",
            "c12-7",
        ] {
            assert!(text.parse::<SnapshotId>().is_err(), "{text:?} was taken");
        }
    }
}
