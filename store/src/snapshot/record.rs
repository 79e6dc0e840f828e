//! The control record of a snapshot: its state as a whole, again at each change.
//!
//! Of several records of one snapshot the one with the highest version counts. A record that says
//! it was deleted is kept until the snapshot would have expired, so that none before it comes back.

mod blindness;
mod under_way;

use prost::Message;

use super::shelf::Shelved;
use super::{Beside, Member, Seal, Snapshot, Unsettled};
use crate::store::Namespaces;
use blindness::BlindnessRecord;
use under_way::UnderWayRecord;

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotRecord {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(bool, tag = "3")]
    deleted: bool,
    #[prost(string, tag = "4")]
    name: String,
    /// Absent for every namespace.
    #[prost(message, optional, tag = "5")]
    namespaces: Option<Names>,
    #[prost(string, repeated, tag = "6")]
    workloads: Vec<String>,
    #[prost(sfixed64, tag = "7")]
    since_ns: i64,
    #[prost(sfixed64, tag = "8")]
    created_ns: i64,
    #[prost(sfixed64, tag = "9")]
    expires_ns: i64,
    #[prost(message, optional, tag = "10")]
    seal: Option<SealRecord>,
    #[prost(sfixed64, optional, tag = "11")]
    unpinned_ns: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Names {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SealRecord {
    #[prost(sfixed64, tag = "1")]
    sealed_ns: i64,
    #[prost(sfixed64, tag = "2")]
    until_ns: i64,
    #[prost(uint64, tag = "3")]
    before_block: u64,
    #[prost(message, repeated, tag = "4")]
    members: Vec<MemberRecord>,
    #[prost(uint64, tag = "5")]
    members_omitted: u64,
    #[prost(message, repeated, tag = "6")]
    running: Vec<BesideRecord>,
    #[prost(message, repeated, tag = "7")]
    silent: Vec<BesideRecord>,
    #[prost(uint64, tag = "8")]
    unsettled_omitted: u64,
    #[prost(message, repeated, tag = "9")]
    under_way: Vec<UnderWayRecord>,
    #[prost(message, repeated, tag = "10")]
    unread: Vec<UnderWayRecord>,
    #[prost(message, optional, tag = "11")]
    blindness: Option<BlindnessRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BesideRecord {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    workload: String,
    #[prost(uint64, tag = "3")]
    count: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MemberRecord {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    workload: String,
    #[prost(string, tag = "3")]
    revision: String,
    #[prost(uint64, tag = "4")]
    sidecars: u64,
}

/// The record of a snapshot as it stands.
pub(crate) fn encode(shelved: &Shelved) -> Vec<u8> {
    let snapshot = &shelved.snapshot;
    let namespaces = match &snapshot.namespaces {
        Namespaces::All => None,
        Namespaces::Only(names) => Some(Names {
            names: names.iter().cloned().collect(),
        }),
    };
    let record = SnapshotRecord {
        id: snapshot.id.to_string(),
        version: shelved.version,
        deleted: shelved.deleted,
        name: snapshot.name.clone(),
        namespaces,
        workloads: snapshot.workloads.iter().cloned().collect(),
        since_ns: snapshot.since_ns,
        created_ns: snapshot.created_ns,
        expires_ns: snapshot.expires_ns,
        seal: snapshot.seal.as_ref().map(SealRecord::of),
        unpinned_ns: snapshot.unpinned_ns,
    };
    record.encode_to_vec()
}

/// Reads a record; why not, in words, where it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Shelved, String> {
    let record = SnapshotRecord::decode(bytes).map_err(|error| error.to_string())?;
    let namespaces = record.namespaces.map_or(Namespaces::All, |listed| {
        Namespaces::Only(listed.names.into_iter().collect())
    });
    let snapshot = Snapshot {
        id: record
            .id
            .parse()
            .map_err(|error: super::BadSnapshotId| error.to_string())?,
        name: record.name,
        namespaces,
        workloads: record.workloads.into_iter().collect(),
        since_ns: record.since_ns,
        created_ns: record.created_ns,
        expires_ns: record.expires_ns,
        seal: record.seal.map(SealRecord::into_seal),
        unpinned_ns: record.unpinned_ns,
    };
    Ok(Shelved {
        snapshot,
        version: record.version,
        deleted: record.deleted,
    })
}

impl SealRecord {
    fn of(seal: &Seal) -> Self {
        let members = seal.members.iter().map(|member| MemberRecord {
            namespace: member.namespace.clone(),
            workload: member.workload.clone(),
            revision: member.revision.clone(),
            sidecars: member.sidecars,
        });
        Self {
            sealed_ns: seal.sealed_ns,
            until_ns: seal.until_ns,
            before_block: seal.before_block,
            members: members.collect(),
            members_omitted: seal.members_omitted,
            running: seal
                .unsettled
                .running
                .iter()
                .map(BesideRecord::of)
                .collect(),
            silent: seal.unsettled.silent.iter().map(BesideRecord::of).collect(),
            unsettled_omitted: seal.unsettled.omitted,
            under_way: UnderWayRecord::all_of(&seal.unsettled.calls),
            unread: UnderWayRecord::all_of(&seal.unsettled.unread),
            blindness: seal.unsettled.blindness.as_ref().map(BlindnessRecord::of),
        }
    }

    fn into_seal(self) -> Seal {
        let members = self.members.into_iter().map(|member| Member {
            namespace: member.namespace,
            workload: member.workload,
            revision: member.revision,
            sidecars: member.sidecars,
        });
        Seal {
            sealed_ns: self.sealed_ns,
            until_ns: self.until_ns,
            before_block: self.before_block,
            members: members.collect(),
            members_omitted: self.members_omitted,
            unsettled: Unsettled {
                running: self.running.into_iter().map(Into::into).collect(),
                silent: self.silent.into_iter().map(Into::into).collect(),
                omitted: self.unsettled_omitted,
                calls: UnderWayRecord::into_calls(self.under_way),
                unread: UnderWayRecord::into_calls(self.unread),
                blindness: self.blindness.map(BlindnessRecord::into_blindness),
            },
        }
    }
}

impl BesideRecord {
    fn of(beside: &Beside) -> Self {
        Self {
            namespace: beside.namespace.clone(),
            workload: beside.workload.clone(),
            count: beside.count,
        }
    }
}

impl From<BesideRecord> for Beside {
    fn from(record: BesideRecord) -> Self {
        Self {
            namespace: record.namespace,
            workload: record.workload,
            count: record.count,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::super::{Blind, BlindBecause, Blindness, Nature, UnderWay};
    use crate::call::Leg;
    use crate::names::Party;

    use super::super::SnapshotId;
    use super::*;

    /// A request that `workload` of `shop` had sent to somebody unknown.
    pub(in crate::snapshot) fn request(workload: &str) -> UnderWay {
        let address = "10.0.0.1:80".parse().unwrap();
        UnderWay {
            since_ns: 4,
            nature: Nature::Request,
            run: u128::MAX - 1,
            namespace: "shop".to_owned(),
            workload: workload.to_owned(),
            leg: Leg::Outbound,
            src: Party {
                workload: workload.to_owned(),
                pod: "pod-1".to_owned(),
                namespace: "shop".to_owned(),
                revision: "7f9c".to_owned(),
                ..Party::unknown("[::1]:50000".parse().unwrap())
            },
            dst: Party {
                service: "payments".to_owned(),
                ..Party::unknown(address)
            },
            method: "POST".to_owned(),
            path: "/pay".to_owned(),
            route: "/pay".to_owned(),
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let seal = Seal {
            sealed_ns: 5,
            until_ns: 6,
            before_block: 7,
            members: vec![Member {
                namespace: "shop".to_owned(),
                workload: "orders".to_owned(),
                revision: "7f9c".to_owned(),
                sidecars: 2,
            }],
            members_omitted: 1,
            unsettled: Unsettled {
                omitted: 3,
                unread: vec![UnderWay {
                    nature: Nature::Tls,
                    ..request("web")
                }],
                blindness: Some(Blindness {
                    not_watched_since_ns: Some(8),
                    beside: vec![Blind {
                        namespace: "shop".to_owned(),
                        workload: "admin".to_owned(),
                        because: BlindBecause::NoOutbound,
                        count: 2,
                    }],
                    omitted: 1,
                }),
                ..Unsettled::of(
                    vec![request("orders")],
                    [("shop", "stock"), ("shop", "stock")],
                )
            },
        };
        let names = BTreeSet::from(["shop".to_owned()]);
        for (namespaces, seal) in [
            (Namespaces::All, None),
            (Namespaces::Only(names), Some(seal)),
        ] {
            let shelved = Shelved {
                snapshot: Snapshot {
                    id: SnapshotId::random(),
                    name: "before the fix".to_owned(),
                    namespaces,
                    workloads: BTreeSet::from(["orders".to_owned()]),
                    since_ns: -1,
                    created_ns: 2,
                    expires_ns: 3,
                    seal,
                    unpinned_ns: Some(4),
                },
                version: 9,
                deleted: true,
            };
            assert_eq!(decode(&encode(&shelved)), Ok(shelved));
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        assert!(decode(b"").is_err());
        assert!(decode(b"\xff\xff\xff").is_err());
    }
}
