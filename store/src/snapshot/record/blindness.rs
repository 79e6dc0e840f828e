//! The part of a seal's record that says what nobody would have seen.

use crate::snapshot::{Blind, BlindBecause, Blindness};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlindnessRecord {
    #[prost(sfixed64, optional, tag = "1")]
    not_watched_since_ns: Option<i64>,
    #[prost(message, repeated, tag = "2")]
    beside: Vec<BlindRecord>,
    #[prost(uint64, tag = "3")]
    omitted: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BlindRecord {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    workload: String,
    #[prost(uint32, tag = "3")]
    because: u32,
    #[prost(uint64, tag = "4")]
    count: u64,
}

impl BlindnessRecord {
    pub(super) fn of(blindness: &Blindness) -> Self {
        let beside = blindness.beside.iter().map(|it| BlindRecord {
            namespace: it.namespace.clone(),
            workload: it.workload.clone(),
            because: match it.because {
                BlindBecause::Unrecorded => 0,
                BlindBecause::Proxied => 1,
                BlindBecause::NoOutbound => 2,
                BlindBecause::NoInbound => 3,
            },
            count: it.count,
        });
        Self {
            not_watched_since_ns: blindness.not_watched_since_ns,
            beside: beside.collect(),
            omitted: blindness.omitted,
        }
    }

    pub(super) fn into_blindness(self) -> Blindness {
        let beside = self.beside.into_iter().map(|it| Blind {
            namespace: it.namespace,
            workload: it.workload,
            because: match it.because {
                1 => BlindBecause::Proxied,
                2 => BlindBecause::NoOutbound,
                3 => BlindBecause::NoInbound,
                _ => BlindBecause::Unrecorded,
            },
            count: it.count,
        });
        Blindness {
            not_watched_since_ns: self.not_watched_since_ns,
            beside: beside.collect(),
            omitted: self.omitted,
        }
    }
}
