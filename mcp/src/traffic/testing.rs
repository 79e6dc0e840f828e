//! Calls for tests, told in a few words.

use std::net::SocketAddr;
use std::sync::Arc;

use remora_store::block::Origin;
use remora_store::call::{Call, CallError, CallId, Digest, Leg, Message, Protocol};
use remora_store::names::Party;
use remora_store::query::FoundCall;
use remora_store::testing::{call, redis_call, sql_call};

use super::{Seen, Traffic};

const MS: i64 = 1_000_000;
const START_NS: i64 = 1_700_000_000_000_000_000;

/// A call of `web` to `orders`, as the sidecar of `web` saw it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    src: &'static str,
    dst: &'static str,
    namespaces: [&'static str; 2],
    key: &'static str,
    withheld: bool,
    leg: Leg,
    call: Call,
}

/// `GET path` at `at_ms`, answered with `status` after 2 ms, on a connection of its own.
pub(crate) fn get(at_ms: i64, path: &str, status: u16) -> Told {
    let mut call = call(START_NS + at_ms * MS, path, status);
    call.leg = Leg::Outbound;
    call.connection.id = u64::try_from(at_ms).unwrap_or_default() + 1;
    Told {
        src: "web",
        dst: "orders",
        namespaces: ["local"; 2],
        key: "k-1",
        withheld: false,
        leg: Leg::Outbound,
        call,
    }
}

/// A statement with this fingerprint and value at `at_ms`, answered after 2 ms, on the first connection.
pub(crate) fn statement(at_ms: i64, fingerprint: &str, value: u8) -> Told {
    let mut told = get(at_ms, "/", 200).on_connection(1, at_ms.unsigned_abs() as u32);
    let plain = sql_call(told.call.time_ns, fingerprint);
    let request = Message {
        body_digest: Some(Digest([value; 16])),
        ..plain.request
    };
    let response = Message {
        body_digest: Some(Digest([value; 16])),
        ..plain.response
    };
    told.call = Call {
        protocol: Protocol::Postgresql,
        request,
        response,
        detail: plain.detail,
        ..told.call
    };
    told
}

/// A command of Redis about this key at `at_ms`, answered after 2 ms, on the first connection.
pub(crate) fn command(at_ms: i64, name: &str, key: &str) -> Told {
    let mut told = get(at_ms, "/", 200).on_connection(1, at_ms.unsigned_abs() as u32);
    let plain = redis_call(told.call.time_ns, name, key);
    let digest = key.bytes().fold(0_u8, u8::wrapping_add);
    let request = Message {
        body_digest: Some(Digest([digest; 16])),
        ..plain.request
    };
    let response = Message {
        body_digest: Some(Digest([digest; 16])),
        ..plain.response
    };
    told.call = Call {
        protocol: Protocol::Redis,
        request,
        response,
        detail: plain.detail,
        ..told.call
    };
    told
}

/// A connection that could not be made at `at_ms`.
pub(crate) fn refused(at_ms: i64) -> Told {
    let mut told = get(at_ms, "/", 200).failing(CallError::ConnectRefused);
    told.call.protocol = Protocol::Opaque;
    told.call.request.head.clear();
    told.call.phases.request_first = None;
    told.call.phases.closed = Some(2_000_000);
    told
}

impl Told {
    pub(crate) fn between(self, src: &'static str, dst: &'static str) -> Self {
        Self { src, dst, ..self }
    }

    pub(crate) fn taking_ms(mut self, ms: u64) -> Self {
        let first = self.call.phases.request_first.unwrap_or_default();
        self.call.phases.response_first = Some(first + ms * 1_000_000 - 1);
        self.call.phases.response_last = Some(first + ms * 1_000_000);
        self
    }

    /// To an address of which nobody knows whose it is.
    pub(crate) fn at_unknown(mut self, ip: [u8; 4]) -> Self {
        self.call.dst = SocketAddr::from((ip, 443));
        Self { dst: "", ..self }
    }

    /// From one namespace to another.
    pub(crate) fn in_namespaces(self, src: &'static str, dst: &'static str) -> Self {
        let namespaces = [src, dst];
        Self { namespaces, ..self }
    }

    /// With digests and tags under this key.
    pub(crate) fn under_key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Its bodies may not be seen by whoever asks.
    pub(crate) fn withheld(self) -> Self {
        Self {
            withheld: true,
            ..self
        }
    }

    /// As the sidecar of the callee saw it.
    pub(crate) fn received(mut self) -> Self {
        self.leg = Leg::Inbound;
        self.call.leg = Leg::Inbound;
        self
    }

    /// It ended with an error and without a response.
    pub(crate) fn failing(mut self, error: CallError) -> Self {
        self.call.error = Some(error);
        self.call.response = Default::default();
        self.call.phases.closed = self.call.phases.response_last;
        self.call.phases.response_first = None;
        self.call.phases.response_last = None;
        self
    }

    /// A field of the request.
    pub(crate) fn sending(mut self, field: &str) -> Self {
        self.call.request.head = with_field(&self.call.request.head, field);
        self
    }

    /// A field of the response.
    pub(crate) fn answering(mut self, field: &str) -> Self {
        self.call.response.head = with_field(&self.call.response.head, field);
        self
    }

    pub(crate) fn on_connection(mut self, id: u64, ordinal: u32) -> Self {
        self.call.connection.id = id;
        self.call.connection.ordinal = ordinal;
        self
    }

    pub(crate) fn having(mut self, change: impl FnOnce(&mut Call)) -> Self {
        change(&mut self.call);
        self
    }

    fn found(self, place: usize) -> FoundCall {
        let recorder = match self.leg {
            Leg::Outbound => self.src,
            Leg::Inbound => self.dst,
        };
        let party = |name: &str, namespace: &str, address: SocketAddr| match name {
            "" => Party::unknown(address),
            name => Party {
                workload: name.to_owned(),
                namespace: namespace.to_owned(),
                ..Party::unknown(address)
            },
        };
        let [src_namespace, dst_namespace] = self.namespaces;
        FoundCall {
            id: CallId {
                block: 1,
                ordinal: u32::try_from(place).unwrap_or(u32::MAX),
            },
            src: party(self.src, src_namespace, self.call.src),
            dst: party(self.dst, dst_namespace, self.call.dst),
            origin: Arc::new(Origin {
                incarnation: run_of(recorder),
                workload: recorder.to_owned(),
                namespace: "local".to_owned(),
                ..Origin::default()
            }),
            call: self.call,
            withheld: self.withheld,
            redaction_key: self.key.into(),
        }
    }
}

/// The run of the sidecar beside a workload.
pub(crate) fn run_of(workload: &str) -> u128 {
    workload.bytes().map(u128::from).sum()
}

fn with_field(head: &[u8], field: &str) -> bytes::Bytes {
    let head = head.strip_suffix(b"\r\n").unwrap_or(head);
    [head, field.as_bytes(), b"\r\n\r\n"].concat().into()
}

/// What somebody finds who reads these calls; the first is `c1-0`, the next `c1-1`.
pub(crate) fn traffic(told: impl IntoIterator<Item = Told>) -> Traffic {
    let found = told.into_iter().enumerate();
    Traffic::new(
        found
            .map(|(place, told)| Seen::new(told.found(place)))
            .collect(),
    )
}

/// The first moment after `at_ms`, as checks count time.
pub(crate) fn at(at_ms: i64) -> i64 {
    START_NS + at_ms * MS
}
