//! The messages of a block's directory: what it says of itself, the summary, and where its parts lie.

use prost::Message as _;

use super::record::AddressRecord;
use super::{
    BlockError, BlockMeta, BlockSummary, Drop, MAX_DROPS, MAX_SERVES, OTHER_DROPS, Origin, Source,
};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DirectoryRecord {
    #[prost(message, optional, tag = "1")]
    pub(super) meta: Option<MetaRecord>,
    #[prost(message, optional, tag = "2")]
    pub(super) summary: Option<SummaryRecord>,
    #[prost(message, repeated, tag = "3")]
    pub(super) parts: Vec<PartRecord>,
    /// Empty for a block as a sidecar sealed it.
    #[prost(message, repeated, tag = "4")]
    pub(super) sources: Vec<SourceRecord>,
    /// Of a merged block with open calls: where in `sources` the block lies that listed them.
    #[prost(uint32, tag = "5")]
    pub(super) open_source: u32,
}

/// One part of a block. Parts lie one after the other, in the order of the directory.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct PartRecord {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    #[prost(uint32, tag = "2")]
    pub(super) codec: u32,
    #[prost(uint64, tag = "3")]
    pub(super) length: u64,
    #[prost(uint64, tag = "4")]
    pub(super) raw_length: u64,
    /// CRC-32 of the bytes as they lie in the block.
    #[prost(fixed32, tag = "5")]
    pub(super) crc32: u32,
    /// Position of the first call in it.
    #[prost(uint32, tag = "6")]
    pub(super) first: u32,
    #[prost(uint32, tag = "7")]
    pub(super) calls: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SourceRecord {
    #[prost(uint64, tag = "1")]
    pub(super) block: u64,
    #[prost(uint64, tag = "2")]
    pub(super) sequence: u64,
    #[prost(uint32, tag = "3")]
    pub(super) calls: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetaRecord {
    #[prost(fixed64, tag = "1")]
    incarnation_high: u64,
    #[prost(fixed64, tag = "2")]
    incarnation_low: u64,
    #[prost(string, tag = "3")]
    workload: String,
    #[prost(string, tag = "4")]
    namespace: String,
    #[prost(string, tag = "5")]
    pod: String,
    #[prost(string, tag = "6")]
    pod_uid: String,
    #[prost(string, tag = "7")]
    revision: String,
    #[prost(message, repeated, tag = "8")]
    pub(super) serves: Vec<AddressRecord>,
    #[prost(uint64, tag = "9")]
    sequence: u64,
    #[prost(sfixed64, tag = "10")]
    sealed_ns: i64,
    #[prost(string, tag = "11")]
    redaction_key: String,
    #[prost(message, repeated, tag = "12")]
    pub(super) drops: Vec<DropRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DropRecord {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(uint64, tag = "2")]
    calls: u64,
    #[prost(sfixed64, tag = "3")]
    since_ns: i64,
    #[prost(sfixed64, tag = "4")]
    until_ns: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SummaryRecord {
    #[prost(uint32, tag = "1")]
    calls: u32,
    #[prost(sfixed64, tag = "2")]
    first_ns: i64,
    #[prost(sfixed64, tag = "3")]
    last_ns: i64,
    #[prost(uint32, repeated, tag = "4")]
    statuses: Vec<u32>,
    #[prost(uint32, tag = "5")]
    errors: u32,
    #[prost(uint32, tag = "6")]
    probes: u32,
    #[prost(bytes = "vec", tag = "7")]
    protocols: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    legs: Vec<u8>,
    #[prost(message, optional, tag = "9")]
    methods: Option<WordsRecord>,
    #[prost(message, optional, tag = "10")]
    hosts: Option<WordsRecord>,
    #[prost(message, optional, tag = "11")]
    routes: Option<WordsRecord>,
    #[prost(uint64, tag = "12")]
    request_bytes: u64,
    #[prost(uint64, tag = "13")]
    response_bytes: u64,
    #[prost(uint64, tag = "14")]
    longest_ns: u64,
    #[prost(uint32, optional, tag = "15")]
    open: Option<u32>,
    #[prost(message, optional, tag = "16")]
    status_codes: Option<CodesRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CodesRecord {
    #[prost(uint32, repeated, tag = "1")]
    codes: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WordsRecord {
    #[prost(string, repeated, tag = "1")]
    words: Vec<String>,
}

impl BlockMeta {
    /// The bytes that stand for it outside a block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        MetaRecord::from(self).encode_to_vec()
    }

    /// Reads what [`BlockMeta::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        MetaRecord::decode(bytes)
            .map(Self::from)
            .map_err(|error| damaged(&error))
    }
}

impl BlockSummary {
    /// The bytes that stand for it outside a block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        SummaryRecord::from(self).encode_to_vec()
    }

    /// Reads what [`BlockSummary::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        SummaryRecord::decode(bytes)
            .map(Self::from)
            .map_err(|error| damaged(&error))
    }
}

fn damaged(error: &prost::DecodeError) -> BlockError {
    BlockError::Damaged {
        part: "directory",
        reason: error.to_string(),
    }
}

impl From<&BlockMeta> for MetaRecord {
    fn from(meta: &BlockMeta) -> Self {
        let origin = &meta.origin;
        Self {
            incarnation_high: (origin.incarnation >> 64) as u64,
            incarnation_low: origin.incarnation as u64,
            workload: origin.workload.clone(),
            namespace: origin.namespace.clone(),
            pod: origin.pod.clone(),
            pod_uid: origin.pod_uid.clone(),
            revision: origin.revision.clone(),
            serves: origin
                .serves
                .iter()
                .take(MAX_SERVES)
                .map(|&at| at.into())
                .collect(),
            sequence: meta.sequence,
            sealed_ns: meta.sealed_ns,
            redaction_key: meta.redaction_key.clone(),
            drops: listed_drops(&meta.drops),
        }
    }
}

impl From<MetaRecord> for BlockMeta {
    fn from(record: MetaRecord) -> Self {
        let high = u128::from(record.incarnation_high);
        Self {
            origin: Origin {
                incarnation: high << 64 | u128::from(record.incarnation_low),
                workload: record.workload,
                namespace: record.namespace,
                pod: record.pod,
                pod_uid: record.pod_uid,
                revision: record.revision,
                serves: record.serves.into_iter().map(Into::into).collect(),
            },
            sequence: record.sequence,
            sealed_ns: record.sealed_ns,
            redaction_key: record.redaction_key,
            drops: record.drops.into_iter().map(Into::into).collect(),
        }
    }
}

/// As many drops as are listed, the last of them standing for all that are not.
fn listed_drops(drops: &[Drop]) -> Vec<DropRecord> {
    let Some((listed, others)) = drops.split_at_checked(MAX_DROPS) else {
        return drops.iter().map(Into::into).collect();
    };
    let mut records: Vec<DropRecord> = listed.iter().map(Into::into).collect();
    if let Some(last) = records.last_mut() {
        for other in others {
            OTHER_DROPS.clone_into(&mut last.reason);
            last.calls = last.calls.saturating_add(other.calls);
            last.since_ns = last.since_ns.min(other.since_ns);
            last.until_ns = last.until_ns.max(other.until_ns);
        }
    }
    records
}

impl From<&Drop> for DropRecord {
    fn from(drop: &Drop) -> Self {
        Self {
            reason: drop.reason.clone(),
            calls: drop.calls,
            since_ns: drop.since_ns,
            until_ns: drop.until_ns,
        }
    }
}

impl From<DropRecord> for Drop {
    fn from(record: DropRecord) -> Self {
        Self {
            reason: record.reason,
            calls: record.calls,
            since_ns: record.since_ns,
            until_ns: record.until_ns,
        }
    }
}

impl From<&BlockSummary> for SummaryRecord {
    fn from(summary: &BlockSummary) -> Self {
        let words = |words: &Option<Vec<String>>| words.clone().map(|words| WordsRecord { words });
        Self {
            calls: summary.calls,
            first_ns: summary.first_ns,
            last_ns: summary.last_ns,
            statuses: summary.statuses.to_vec(),
            errors: summary.errors,
            probes: summary.probes,
            protocols: summary.protocols.clone(),
            legs: summary.legs.clone(),
            methods: words(&summary.methods),
            hosts: words(&summary.hosts),
            routes: words(&summary.routes),
            request_bytes: summary.request_bytes,
            response_bytes: summary.response_bytes,
            longest_ns: summary.longest_ns,
            open: summary.open,
            status_codes: summary.status_codes.as_ref().map(|codes| CodesRecord {
                codes: codes.iter().map(|&code| code.into()).collect(),
            }),
        }
    }
}

impl From<SummaryRecord> for BlockSummary {
    fn from(record: SummaryRecord) -> Self {
        let words = |record: Option<WordsRecord>| record.map(|record| record.words);
        let mut statuses = [0; 6];
        for (count, read) in statuses.iter_mut().zip(record.statuses) {
            *count = read;
        }
        Self {
            calls: record.calls,
            first_ns: record.first_ns,
            last_ns: record.last_ns,
            statuses,
            status_codes: record.status_codes.and_then(CodesRecord::into_statuses),
            errors: record.errors,
            probes: record.probes,
            protocols: record.protocols,
            legs: record.legs,
            methods: words(record.methods),
            hosts: words(record.hosts),
            routes: words(record.routes),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            longest_ns: record.longest_ns,
            open: record.open,
        }
    }
}

impl CodesRecord {
    /// `None` where one of them can be no status.
    fn into_statuses(self) -> Option<Vec<u16>> {
        let codes = self.codes.into_iter();
        codes.map(|code| u16::try_from(code).ok()).collect()
    }
}

impl From<&Source> for SourceRecord {
    fn from(source: &Source) -> Self {
        Self {
            block: source.block,
            sequence: source.sequence,
            calls: source.calls,
        }
    }
}

impl From<SourceRecord> for Source {
    fn from(record: SourceRecord) -> Self {
        Self {
            block: record.block,
            sequence: record.sequence,
            calls: record.calls,
        }
    }
}
