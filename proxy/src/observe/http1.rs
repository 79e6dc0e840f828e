//! HTTP/1.0 and 1.1: which request belongs to which response, and where each of them ends.
//!
//! Requests are queued as their first bytes come, and responses belong to the first in the queue
//! (RFC 9112 section 9.3). Where parsing has to end, what follows is counted as one opaque call; where
//! a WebSocket begins, it stays the call of its handshake.

mod exchange;
mod requests;
mod responses;
mod upgraded;

use std::collections::VecDeque;

use remora_store::call::{Call, Injected, Side};

use super::Recorded;
use super::body::Body;
use super::connection::Connection;
use super::head::HeadReader;
use super::http2::Http2;
use super::opaque::Opaque;
use exchange::Exchange;
use upgraded::Upgraded;

/// Both directions of an HTTP/1 connection.
#[derive(Debug)]
pub(super) struct Http1 {
    client: Reading,
    server: Reading,
    waiting: VecDeque<Exchange>,
    /// What is not parsed any more, or will not be once the current request is complete.
    rest: Option<Box<Opaque>>,
    /// The WebSocket that the connection has become; both directions are blind then.
    upgraded: Option<Box<Upgraded>>,
    /// The HTTP/2 that it has become (RFC 7540 section 3.2), and that reads everything from then on.
    http2: Option<Box<Http2>>,
}

/// Where the reader of one direction stands.
#[derive(Debug)]
enum Reading {
    /// Before the first byte of a message.
    Between,
    /// Within a head.
    Head(HeadReader),
    /// Within a body.
    Body(Body),
    /// Not reading any more: the bytes are those of a WebSocket, or are counted as opaque.
    Blind,
}

impl Http1 {
    pub(super) fn new() -> Self {
        Self {
            client: Reading::Between,
            server: Reading::Between,
            waiting: VecDeque::new(),
            rest: None,
            upgraded: None,
            http2: None,
        }
    }

    pub(super) fn bytes(
        &mut self,
        connection: &mut Connection,
        from: Side,
        bytes: &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(http2) = &mut self.http2 {
                return http2.bytes(connection, from, rest, at, out);
            }
            let here = connection.client_bytes;
            let left = rest.len();
            match from {
                Side::Server => self.server_piece(connection, &mut rest, at, out),
                Side::Client | Side::Sidecar => {
                    self.client_piece(connection, &mut rest, at);
                    connection.client_bytes = here + (left - rest.len()) as u64;
                }
            }
            self.finish_answered(connection, out);
        }
    }

    /// A fault does something to the first request that is not answered.
    pub(super) fn struck(&mut self, fault: Injected) {
        if let Some(exchange) = self.waiting.iter_mut().find(|it| !it.is_answered()) {
            exchange.struck(fault);
        }
    }

    /// Whether no call is under way, and the next one will be one of HTTP/1.
    pub(super) fn is_between_calls(&self) -> bool {
        let is_read_on = self.rest.is_none() && self.upgraded.is_none() && self.http2.is_none();
        is_read_on
            && self.waiting.is_empty()
            && matches!(
                (&self.client, &self.server),
                (Reading::Between, Reading::Between)
            )
    }

    /// Ends the reading of the client's bytes; responses to what was read are still awaited.
    fn go_blind(&mut self, from_byte: u64, reason: &'static str) {
        self.client = Reading::Blind;
        self.rest
            .get_or_insert_with(|| Box::new(Opaque::rest(from_byte, reason)));
    }

    fn blind_bytes(&mut self, connection: &mut Connection, from: Side, rest: &mut &[u8], at: u64) {
        let bytes = std::mem::take(rest);
        if let Some(upgraded) = &mut self.upgraded {
            upgraded.bytes(connection, from, bytes, at);
        } else if let Some(opaque) = &mut self.rest {
            opaque.bytes(connection, from, bytes, at);
        }
    }

    fn go_blind_both(&mut self, connection: &Connection, reason: &'static str) {
        self.server = Reading::Blind;
        self.go_blind(connection.client_bytes, reason);
    }

    /// One side ended its direction in order.
    pub(super) fn end(&mut self, connection: &mut Connection, from: Side, out: &mut Vec<Recorded>) {
        if let Some(http2) = &mut self.http2 {
            return http2.end(connection, out);
        }
        if from == Side::Server {
            self.end_by_close();
        }
        self.finish_answered(connection, out);
    }

    /// The connection is over: everything open is finished.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        for exchange in self.waiting.drain(..) {
            let failure = connection.failure();
            exchange.finish(connection, failure, out);
        }
        if let Some(upgraded) = self.upgraded.take() {
            upgraded.finish(connection, out);
        }
        if let Some(http2) = &mut self.http2 {
            http2.finish(connection, out);
        }
        if let Some(rest) = &mut self.rest {
            rest.finish(connection, out);
        }
    }

    /// Gives out the records of exchanges to which nothing can be added.
    fn finish_answered(&mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        let is_over = |exchange: &Exchange| {
            (exchange.is_asked() || connection.client_ended())
                && (exchange.is_answered() || connection.server_ended())
        };
        while let Some(exchange) = self.waiting.pop_front_if(|exchange| is_over(exchange)) {
            exchange.finish(connection, connection.failure(), out);
        }
        // A long queue is not worth its memory on an idle connection.
        if self.waiting.is_empty() && self.waiting.capacity() > 8 {
            self.waiting = VecDeque::new();
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        let waiting = self.waiting.iter();
        out.extend(waiting.filter_map(|exchange| exchange.record.partial(connection, at)));
        if let Some(http2) = &self.http2 {
            http2.open_calls(connection, at, out);
        }
        let upgraded = self.upgraded.iter();
        out.extend(upgraded.filter_map(|upgraded| upgraded.partial(connection, at)));
        let rest = self.rest.iter();
        out.extend(rest.filter_map(|rest| rest.open_call(connection, at)));
    }
}

impl Reading {
    /// Whether a body of known size has been read.
    fn is_at_end(&self) -> bool {
        matches!(self, Self::Body(Body::Sized(0)))
    }
}

/// Robust readers skip empty lines before a message (RFC 9112 section 2.2).
fn skip_empty_lines(rest: &mut &[u8]) -> usize {
    let empty = rest
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    take(rest, empty);
    empty
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}
