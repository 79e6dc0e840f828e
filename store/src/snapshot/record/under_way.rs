//! The part of a seal's record that lists what was under way.

use crate::call::Leg;
use crate::names::Party;
use crate::snapshot::{Nature, UnderWay};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UnderWayRecord {
    #[prost(sfixed64, tag = "1")]
    since_ns: i64,
    #[prost(uint32, tag = "2")]
    nature: u32,
    #[prost(bytes = "vec", tag = "3")]
    run: Vec<u8>,
    #[prost(string, tag = "4")]
    namespace: String,
    #[prost(string, tag = "5")]
    workload: String,
    #[prost(bool, tag = "6")]
    is_inbound: bool,
    #[prost(message, optional, tag = "7")]
    src: Option<PartyRecord>,
    #[prost(message, optional, tag = "8")]
    dst: Option<PartyRecord>,
    #[prost(string, tag = "9")]
    method: String,
    #[prost(string, tag = "10")]
    path: String,
    #[prost(string, tag = "11")]
    route: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartyRecord {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(string, tag = "2")]
    workload: String,
    #[prost(string, tag = "3")]
    pod: String,
    #[prost(string, tag = "4")]
    namespace: String,
    #[prost(string, tag = "5")]
    service: String,
    #[prost(string, tag = "6")]
    revision: String,
}

impl UnderWayRecord {
    pub(super) fn all_of(calls: &[UnderWay]) -> Vec<Self> {
        calls.iter().map(Self::of).collect()
    }

    /// The calls of which the records say what each has.
    pub(super) fn into_calls(records: Vec<Self>) -> Vec<UnderWay> {
        records.into_iter().filter_map(Self::into_call).collect()
    }

    fn of(call: &UnderWay) -> Self {
        Self {
            since_ns: call.since_ns,
            nature: match call.nature {
                Nature::Request => 0,
                Nature::Stream => 1,
                Nature::Tls => 2,
                Nature::Opaque => 3,
            },
            run: call.run.to_be_bytes().to_vec(),
            namespace: call.namespace.clone(),
            workload: call.workload.clone(),
            is_inbound: call.leg == Leg::Inbound,
            src: Some(PartyRecord::of(&call.src)),
            dst: Some(PartyRecord::of(&call.dst)),
            method: call.method.clone(),
            path: call.path.clone(),
            route: call.route.clone(),
        }
    }

    fn into_call(self) -> Option<UnderWay> {
        Some(UnderWay {
            since_ns: self.since_ns,
            nature: match self.nature {
                1 => Nature::Stream,
                2 => Nature::Tls,
                3 => Nature::Opaque,
                _ => Nature::Request,
            },
            run: u128::from_be_bytes(self.run.try_into().ok()?),
            namespace: self.namespace,
            workload: self.workload,
            leg: match self.is_inbound {
                true => Leg::Inbound,
                false => Leg::Outbound,
            },
            src: self.src?.into_party()?,
            dst: self.dst?.into_party()?,
            method: self.method,
            path: self.path,
            route: self.route,
        })
    }
}

impl PartyRecord {
    fn of(party: &Party) -> Self {
        Self {
            address: party.address.to_string(),
            workload: party.workload.clone(),
            pod: party.pod.clone(),
            namespace: party.namespace.clone(),
            service: party.service.clone(),
            revision: party.revision.clone(),
        }
    }

    fn into_party(self) -> Option<Party> {
        Some(Party {
            address: self.address.parse().ok()?,
            workload: self.workload,
            pod: self.pod,
            namespace: self.namespace,
            service: self.service,
            revision: self.revision,
        })
    }
}
