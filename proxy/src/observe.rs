//! The seam between the engines and the records: bytes in, calls out.
//!
//! An observer sees both directions of one connection. It is synchronous and bounded, it never
//! waits, and it can neither stop nor change a byte.

pub(crate) mod body;
mod connection;
mod draft;
mod events;
mod grpc;
pub(crate) mod head;
mod hpack;
mod http1;
mod http2;
mod messages;
mod opaque;
mod postgres;
pub(crate) mod redis;
mod tls;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use remora_store::call::{
    Call, CallError, Detail, EffectKind, Engine, Injected, Leg, Protocol, Secure, Side,
};

use crate::budget::Budget;
use crate::detect::{self, Family};
use connection::Connection;
use http1::Http1;
use http2::Http2;
use opaque::Opaque;
use postgres::Postgres;
use redis::RedisConnection;
use tls::Tls;

/// What is known of a connection when it is accepted.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    /// Number of the connection within the incarnation, from 1.
    pub id: u64,
    /// Which side of its calls this sidecar is on.
    pub leg: Leg,
    /// The peer that connected to the sidecar.
    pub src: SocketAddr,
    /// Where the connection goes, as the client addressed it.
    pub dst: SocketAddr,
    /// Wall clock at accept: nanoseconds since the Unix epoch.
    pub accepted_ns: i64,
}

/// How much of a call an observer keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest part of a body that is kept, each way, in bytes; at least
    /// [`remora_store::call::BODY_DIGEST_PREFIX_BYTES`], since the digests are taken from what is
    /// kept. What the user's body limit forbids is cut off after the digests are taken.
    pub body_bytes: usize,
    /// Largest head that is parsed and kept, in bytes. Default 64 KiB.
    pub head_bytes: usize,
}

/// How one direction of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender closed its direction (FIN).
    Closed,
    /// The sender reset the connection (RST), or it broke.
    Reset,
}

/// A call on its way to the hub, with what it took from the budget.
#[derive(Debug)]
pub struct Recorded {
    /// The call.
    pub call: Call,
    /// Bytes to give back to the [`crate::budget::Budget`] when this record is gone.
    pub cost_bytes: usize,
}

/// Watches one connection and tells the calls that passed on it.
///
/// All times are nanoseconds since the connection was accepted, on the monotonic clock.
#[derive(Debug)]
pub struct Observer {
    connection: Connection,
    stage: Stage,
}

/// What is known of the protocol.
#[derive(Debug)]
enum Stage {
    /// Nobody has said enough to tell, and only one side anything. That is at most a few bytes, and
    /// each of them may turn out to be the first of a request: so their times are kept.
    Undecided {
        speaker: Side,
        said: Vec<u8>,
        times: Vec<u64>,
    },
    /// Boxed, as the others are, so that an idle connection stays small.
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    Redis(Box<RedisConnection>),
    Tls(Box<Tls>),
    Postgres(Box<Postgres>),
    Opaque(Box<Opaque>),
    /// The connection is over.
    Over,
}

impl Observer {
    /// The observer of a connection that was just accepted.
    pub fn new(facts: ConnectionFacts, limits: Limits, budget: Budget) -> Self {
        Self {
            connection: Connection::new(facts, limits, budget),
            stage: Stage::Undecided {
                speaker: Side::Client,
                said: Vec::new(),
                times: Vec::new(),
            },
        }
    }

    /// The connection to the server stands; the server sees `forwarded_from` as its peer.
    ///
    /// An outbound call goes to that server, whatever listener it came through.
    pub fn connected(&mut self, at: u64, forwarded_from: SocketAddr, server: SocketAddr) {
        self.connection.connected = Some(at);
        self.connection.forwarded_from = Some(forwarded_from);
        if self.connection.facts.leg == Leg::Outbound {
            self.connection.facts.dst = server;
        }
    }

    /// Another engine than the splice carries the connection; said before any byte of it is shown.
    pub fn carried_by(&mut self, engine: Engine) {
        self.connection.engine = engine;
    }

    /// A fault does something to a request: to that of a stream of HTTP/2, or to the first of HTTP/1 that
    /// is not answered.
    pub fn struck(&mut self, stream: Option<u32>, id: &str, effect: EffectKind) {
        let fault = Injected {
            id: id.into(),
            effect,
        };
        match (&mut self.stage, stream) {
            (Stage::Http1(http1), None) => http1.struck(fault),
            (Stage::Http2(http2), Some(stream)) => http2.struck(stream, fault),
            _ => {}
        }
    }

    /// What the connection is known to speak.
    pub fn family(&self) -> Option<Family> {
        match &self.stage {
            Stage::Http1(_) => Some(Family::Http1),
            Stage::Http2(_) => Some(Family::Http2),
            Stage::Redis(_) => Some(Family::Redis),
            Stage::Tls(_) => Some(Family::Tls),
            Stage::Postgres(_) => Some(Family::Postgres),
            Stage::Opaque(_) => Some(Family::Opaque),
            Stage::Undecided { .. } | Stage::Over => None,
        }
    }

    /// Whether nothing was said, or what is said next begins a call of HTTP/1, with none under way.
    pub fn is_at_rest(&self) -> bool {
        match &self.stage {
            Stage::Undecided { said, .. } => said.is_empty(),
            Stage::Http1(http1) => http1.is_between_calls(),
            _ => false,
        }
    }

    /// This was decided about the TLS of the connection; said before any byte of it is shown. Of an
    /// intercepted connection what is shown is what was inside.
    pub fn secured(&mut self, secure: Arc<Secure>) {
        self.connection.secure = Some(secure);
    }

    /// Nobody is known yet who accepts the certificate that the client was shown: if it leaves without a word,
    /// that is recorded.
    pub fn on_trial(&mut self) {
        self.connection.on_trial = true;
    }

    /// The client and the sidecar did not come to terms on TLS: gives the one record of a connection that
    /// never carried anything.
    pub fn handshake_failed(&mut self, at: u64, error: CallError, out: &mut Vec<Recorded>) {
        self.stage = Stage::Over;
        let mut record = self.connection.begin(Protocol::Tls);
        if let Some(draft) = record.draft() {
            draft.phases.closed = Some(at);
            if let Some(secure) = &self.connection.secure {
                draft.detail = Detail::Tls(secure.hello.clone());
            }
        }
        record.finish(&self.connection, Some(error), out);
    }

    /// The server could not be reached: gives the record of the request that was to be sent to it, where
    /// one was shown, or else the one record of a connection that never was.
    pub fn connect_failed(&mut self, at: u64, error: CallError, out: &mut Vec<Recorded>) {
        if !matches!(&self.stage, Stage::Undecided { said, .. } if said.is_empty()) {
            self.connection.note_unreached(error);
            self.connection.note_closed(Side::Sidecar, at);
            return self.finish(at, out);
        }
        self.stage = Stage::Over;
        let mut record = self.connection.begin(Protocol::Opaque);
        if let Some(draft) = record.draft() {
            draft.phases.closed = Some(at);
            draft.detail = Detail::Opaque(remora_store::call::Opaque::default());
        }
        record.finish(&self.connection, Some(error), out);
    }

    /// Bytes were read from one side, and are about to be written to the other.
    pub fn bytes(&mut self, from: Side, bytes: &[u8], at: u64, out: &mut Vec<Recorded>) {
        // A side that ended has nothing more to say; the observers build on that.
        if bytes.is_empty() || self.connection.has_ended(from) {
            return;
        }
        if let Stage::Undecided {
            speaker,
            said,
            times,
        } = &mut self.stage
        {
            if said.is_empty() {
                *speaker = from;
            }
            let family = match *speaker == from {
                false => Some(detect::guess_of_both(*speaker, said, bytes)),
                true if said.is_empty() => detect::family_of(from, bytes),
                true => detect::family_of(from, &[said, bytes].concat()),
            };
            match family {
                Some(family) => self.decide(family, out),
                None => {
                    said.extend_from_slice(bytes);
                    return times.resize(said.len(), at);
                }
            }
        }
        self.pass(from, bytes, at, out);
    }

    /// The protocol is known; what was said until now is read again with that in mind.
    fn decide(&mut self, family: Family, out: &mut Vec<Recorded>) {
        let stage = match family {
            Family::Http1 => Stage::Http1(Box::new(Http1::new())),
            Family::Http2 => Stage::Http2(Box::new(Http2::new())),
            Family::Redis => Stage::Redis(Box::new(RedisConnection::new())),
            Family::Tls => Stage::Tls(Box::new(Tls::new())),
            Family::Postgres => Stage::Postgres(Box::new(Postgres::new(&self.connection))),
            Family::Opaque => Stage::Opaque(Box::new(Opaque::whole())),
        };
        if let Stage::Undecided {
            speaker,
            said,
            times,
        } = std::mem::replace(&mut self.stage, stage)
        {
            for (byte, at) in said.chunks(1).zip(times) {
                self.pass(speaker, byte, at, out);
            }
        }
    }

    fn pass(&mut self, from: Side, bytes: &[u8], at: u64, out: &mut Vec<Recorded>) {
        let connection = &mut self.connection;
        match &mut self.stage {
            Stage::Http1(http1) => http1.bytes(connection, from, bytes, at, out),
            Stage::Http2(http2) => http2.bytes(connection, from, bytes, at, out),
            Stage::Redis(redis) => redis.bytes(connection, from, bytes, at, out),
            Stage::Tls(tls) => tls.bytes(connection, from, bytes, at),
            Stage::Postgres(postgres) => postgres.bytes(connection, from, bytes, at, out),
            Stage::Opaque(opaque) => opaque.bytes(connection, from, bytes, at),
            Stage::Undecided { .. } | Stage::Over => {}
        }
    }

    /// One side ended its direction.
    pub fn end(&mut self, from: Side, how: End, at: u64, out: &mut Vec<Recorded>) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        self.settle(out);
        self.connection.note_end(from, how, at);
        let both_ended = self.connection.client_ended() && self.connection.server_ended();
        match &mut self.stage {
            Stage::Http1(http1) if how == End::Closed => {
                http1.end(&mut self.connection, from, out);
            }
            Stage::Http2(http2) if how == End::Closed => http2.end(&self.connection, out),
            _ => {}
        }
        if both_ended || how == End::Reset {
            self.finish(at, out);
        }
    }

    /// The connection is over, by the doing of `by`: everything that is open is finished.
    pub fn closed(&mut self, by: Side, at: u64, out: &mut Vec<Recorded>) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        self.settle(out);
        if by != Side::Sidecar {
            self.end(by, End::Closed, at, out);
        }
        self.connection.note_closed(by, at);
        self.finish(at, out);
    }

    /// No more bytes may come that would tell more: takes what there is for what it looks like.
    fn settle(&mut self, out: &mut Vec<Recorded>) {
        if let Stage::Undecided { speaker, said, .. } = &self.stage
            && !said.is_empty()
        {
            self.decide(detect::guess(*speaker, said), out);
        }
    }

    fn finish(&mut self, at: u64, out: &mut Vec<Recorded>) {
        let connection = &mut self.connection;
        match &mut self.stage {
            Stage::Http1(http1) => http1.finish(connection, out),
            Stage::Http2(http2) => http2.finish(connection, out),
            Stage::Redis(redis) => redis.finish(connection, out),
            Stage::Tls(tls) => tls.finish(connection, out),
            Stage::Postgres(postgres) => postgres.finish(connection, out),
            Stage::Opaque(opaque) => opaque.finish(connection, out),
            Stage::Undecided { .. } => self.finish_unspoken(at, out),
            Stage::Over => {}
        }
        self.stage = Stage::Over;
    }

    /// Nothing was said. That a server broke such a connection is worth a record, and that a client may have left
    /// because of a certificate; that somebody looked whether the port is open is not.
    fn finish_unspoken(&mut self, at: u64, out: &mut Vec<Recorded>) {
        let first = self.connection.first_end().map(|(side, _)| side);
        if self.connection.on_trial && self.is_at_rest() && first == Some(Side::Client) {
            return self.handshake_failed(at, CallError::TlsFailed, out);
        }
        if let Some(error @ CallError::ServerReset) = self.connection.broken() {
            self.connect_failed(at, error, out);
        }
    }

    /// Partial records of the calls that are running and began no later than `at`.
    pub fn open_calls(&self, at: u64, out: &mut Vec<Call>) {
        let connection = &self.connection;
        match &self.stage {
            Stage::Http1(http1) => http1.open_calls(connection, at, out),
            Stage::Http2(http2) => http2.open_calls(connection, at, out),
            Stage::Redis(redis) => redis.open_calls(connection, at, out),
            Stage::Tls(tls) => out.extend(tls.open_call(connection, at)),
            Stage::Postgres(postgres) => postgres.open_calls(connection, at, out),
            Stage::Opaque(opaque) => out.extend(opaque.open_call(connection, at)),
            Stage::Undecided { .. } | Stage::Over => {}
        }
    }

    /// How many records the budget had no room for, since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        self.connection.take_dropped()
    }
}

#[cfg(test)]
mod tests;
