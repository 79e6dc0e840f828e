//! The way from a call to its messages and back.
//!
//! A code that this version does not know becomes the most careful value that it has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use bytes::Bytes;

use super::record::{
    AddressRecord, BodyRecord, DigestRecord, FaultRecord, HeadRecord, MessageRecord, OpaqueRecord,
    OpenRecord, PhasesRecord, TlsRecord,
};
use crate::call::{
    Call, CallError, Connection, Detail, Digest, EffectKind, Engine, Injected, Leg, Message,
    Omitted, Opaque, Phases, Protocol, Side, State, TlsHello,
};

mod database;
mod secure;
mod stream;

/// Longest head, trailers or interim heads that are written.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// Longest body that is written.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

impl HeadRecord {
    pub(super) fn of(call: &Call) -> Self {
        let (mut tls, mut opaque, mut http2) = (None, None, None);
        let (mut sql, mut redis) = (None, None);
        match &call.detail {
            Detail::None => {}
            Detail::Tls(hello) => tls = Some(TlsRecord::of(hello)),
            Detail::Opaque(known) => opaque = Some(OpaqueRecord::of(known)),
            Detail::Http2(known) => http2 = Some(known.into()),
            Detail::Sql(statement) => sql = Some(statement.into()),
            Detail::Redis(command) => redis = Some(command.into()),
        }
        Self {
            time_ns: call.time_ns,
            protocol: call.protocol.code().into(),
            leg: call.leg.code().into(),
            engine: call.engine.code().into(),
            state: call.state.code().into(),
            probe: call.probe,
            src: Some(call.src.into()),
            dst: Some(call.dst.into()),
            connection: call.connection.id,
            ordinal: call.connection.ordinal,
            forwarded_from: call.connection.forwarded_from.map(Into::into),
            request: Some(MessageRecord::of(&call.request)),
            response: Some(MessageRecord::of(&call.response)),
            interim: clip(&call.interim, MAX_HEAD_BYTES),
            phases: Some(PhasesRecord::of(&call.phases)),
            closed_by: call.closed_by.map(|side| side.code().into()),
            error: call.error.map(|error| error.code().into()),
            join_digest: call.join_digest.map(Into::into),
            tls,
            opaque,
            http2,
            stream: call.stream.as_deref().map(Into::into),
            fault: call.fault.as_ref().map(FaultRecord::of),
            sql,
            redis,
            secure: call.secure.as_deref().map(Into::into),
        }
    }

    /// The call, with the bodies where they were read.
    pub(super) fn into_call(self, bodies: BodyRecord) -> Call {
        let details = [
            self.tls.map(|tls| Detail::Tls(tls.into_hello())),
            self.opaque.map(|it| Detail::Opaque(it.into_opaque())),
            self.http2.map(|http2| Detail::Http2(http2.into())),
            self.sql.map(|sql| Detail::Sql(sql.into())),
            self.redis.map(|redis| Detail::Redis(redis.into())),
        ];
        let detail = details.into_iter().flatten().next().unwrap_or_default();
        let messages = bodies.messages;
        Call {
            time_ns: self.time_ns,
            protocol: known(self.protocol, Protocol::from_code).unwrap_or(Protocol::Opaque),
            leg: known(self.leg, Leg::from_code).unwrap_or(Leg::Inbound),
            engine: known(self.engine, Engine::from_code).unwrap_or(Engine::Splice),
            state: known(self.state, State::from_code).unwrap_or(State::Complete),
            probe: self.probe,
            src: self.src.unwrap_or_default().into(),
            dst: self.dst.unwrap_or_default().into(),
            connection: Connection {
                id: self.connection,
                ordinal: self.ordinal,
                forwarded_from: self.forwarded_from.map(Into::into),
            },
            request: self
                .request
                .unwrap_or_default()
                .into_message(bodies.request),
            response: self
                .response
                .unwrap_or_default()
                .into_message(bodies.response),
            interim: self.interim,
            phases: self.phases.unwrap_or_default().into_phases(),
            closed_by: self.closed_by.and_then(|code| known(code, Side::from_code)),
            error: self
                .error
                .map(|code| known(code, CallError::from_code).unwrap_or(CallError::Other)),
            join_digest: self.join_digest.map(Into::into),
            detail,
            stream: self
                .stream
                .map(|counts| Box::new(stream::read(counts, messages))),
            fault: self.fault.map(FaultRecord::into_injected),
            secure: self.secure.map(|secure| Arc::new(secure.into())),
        }
    }
}

/// A code as one of the values this version knows.
fn known<T>(code: u32, from_code: impl Fn(u8) -> Option<T>) -> Option<T> {
    u8::try_from(code).ok().and_then(from_code)
}

fn clip(bytes: &Bytes, most: usize) -> Bytes {
    bytes.slice(..bytes.len().min(most))
}

impl BodyRecord {
    pub(super) fn of(call: &Call) -> Self {
        Self {
            request: clip(&call.request.body, MAX_BODY_BYTES),
            response: clip(&call.response.body, MAX_BODY_BYTES),
            messages: stream::written(call.stream.as_deref()),
        }
    }
}

impl OpenRecord {
    pub(super) fn of(call: &Call) -> Self {
        Self {
            head: Some(HeadRecord::of(call)),
            bodies: Some(BodyRecord::of(call)),
        }
    }

    pub(super) fn into_call(self) -> Call {
        let bodies = self.bodies.unwrap_or_default();
        self.head.unwrap_or_default().into_call(bodies)
    }
}

impl FaultRecord {
    fn of(fault: &Injected) -> Self {
        Self {
            id: fault.id.to_string(),
            effect: fault.effect.code().into(),
        }
    }

    fn into_injected(self) -> Injected {
        Injected {
            id: self.id.into(),
            effect: known(self.effect, EffectKind::from_code).unwrap_or(EffectKind::Other),
        }
    }
}

impl MessageRecord {
    fn of(message: &Message) -> Self {
        let omitted = match message.omitted {
            Some(reason) => Some(reason),
            None if message.head.len() > MAX_HEAD_BYTES => Some(Omitted::Head),
            None if message.trailers.len() > MAX_HEAD_BYTES => Some(Omitted::Head),
            None if message.body.len() > MAX_BODY_BYTES => Some(Omitted::Limit),
            None => None,
        };
        Self {
            head: clip(&message.head, MAX_HEAD_BYTES),
            body_size: message.body_size,
            body_digest: message.body_digest.map(Into::into),
            trailers: clip(&message.trailers, MAX_HEAD_BYTES),
            omitted: omitted.map(|reason| reason.code().into()),
            decoded: message.decoded,
        }
    }

    fn into_message(self, body: Bytes) -> Message {
        Message {
            head: self.head,
            body,
            body_size: self.body_size,
            body_digest: self.body_digest.map(Into::into),
            trailers: self.trailers,
            omitted: self
                .omitted
                .map(|code| known(code, Omitted::from_code).unwrap_or(Omitted::Other)),
            decoded: self.decoded,
        }
    }
}

impl From<SocketAddr> for AddressRecord {
    fn from(address: SocketAddr) -> Self {
        let port = address.port().into();
        match address {
            SocketAddr::V4(v4) => Self {
                v4: Some(v4.ip().to_bits()),
                port,
                ..Self::default()
            },
            SocketAddr::V6(v6) => {
                let bits = v6.ip().to_bits();
                Self {
                    v4: None,
                    v6_high: (bits >> 64) as u64,
                    v6_low: bits as u64,
                    port,
                    flow: v6.flowinfo(),
                    scope: v6.scope_id(),
                }
            }
        }
    }
}

impl From<AddressRecord> for SocketAddr {
    fn from(record: AddressRecord) -> Self {
        let port = u16::try_from(record.port).unwrap_or(0);
        if let Some(bits) = record.v4 {
            return (IpAddr::V4(Ipv4Addr::from_bits(bits)), port).into();
        }
        let bits = u128::from(record.v6_high) << 64 | u128::from(record.v6_low);
        let ip = Ipv6Addr::from_bits(bits);
        SocketAddrV6::new(ip, port, record.flow, record.scope).into()
    }
}

impl From<Digest> for DigestRecord {
    fn from(digest: Digest) -> Self {
        let bits = u128::from_be_bytes(digest.0);
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }
}

impl From<DigestRecord> for Digest {
    fn from(record: DigestRecord) -> Self {
        let bits = u128::from(record.high) << 64 | u128::from(record.low);
        Self(bits.to_be_bytes())
    }
}

impl PhasesRecord {
    fn of(phases: &Phases) -> Self {
        Self {
            connected: phases.connected,
            request_first: phases.request_first,
            request_last: phases.request_last,
            response_first: phases.response_first,
            response_last: phases.response_last,
            closed: phases.closed,
        }
    }

    fn into_phases(self) -> Phases {
        Phases {
            connected: self.connected,
            request_first: self.request_first,
            request_last: self.request_last,
            response_first: self.response_first,
            response_last: self.response_last,
            closed: self.closed,
        }
    }
}

impl TlsRecord {
    fn of(hello: &TlsHello) -> Self {
        Self {
            sni: hello.sni.clone(),
            alpn: hello.alpn.clone(),
            versions: hello
                .versions
                .iter()
                .map(|&version| version.into())
                .collect(),
            random: Bytes::copy_from_slice(&hello.random),
        }
    }

    fn into_hello(self) -> TlsHello {
        TlsHello {
            sni: self.sni,
            alpn: self.alpn,
            versions: self
                .versions
                .iter()
                .filter_map(|&version| u16::try_from(version).ok())
                .collect(),
            random: (*self.random).try_into().unwrap_or_default(),
        }
    }
}

impl OpaqueRecord {
    fn of(opaque: &Opaque) -> Self {
        Self {
            first_speaker: opaque.first_speaker.map(|side| side.code().into()),
            recognised: opaque.recognised.clone(),
            from_byte: opaque.from_byte,
            reason: opaque.reason.clone(),
        }
    }

    fn into_opaque(self) -> Opaque {
        Opaque {
            first_speaker: self
                .first_speaker
                .and_then(|code| known(code, Side::from_code)),
            recognised: self.recognised,
            from_byte: self.from_byte,
            reason: self.reason,
        }
    }
}
