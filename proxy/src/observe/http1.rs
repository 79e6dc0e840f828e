//! HTTP/1.0 and 1.1: which request belongs to which response, and where each of them ends.
//!
//! Requests are queued as their first bytes come, and responses belong to the first in the queue
//! (RFC 9112 section 9.3). Where parsing has to end, what follows is counted as one opaque call.

mod exchange;

use std::collections::VecDeque;

use remora_store::call::{Call, CallError, Side};

use super::Recorded;
use super::body::{Body, Part};
use super::connection::Connection;
use super::head::{Facts, HeadReader, Method, Progress, Start, is_token};
use super::opaque::Opaque;
use exchange::Exchange;

/// Most requests that may wait for their responses on one connection.
const WAITING_REQUESTS: usize = 1024;

/// Both directions of an HTTP/1 connection.
#[derive(Debug)]
pub(super) struct Http1 {
    client: Reading,
    server: Reading,
    waiting: VecDeque<Exchange>,
    /// What is not parsed any more, or will not be once the current request is complete.
    rest: Option<Box<Opaque>>,
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
    /// Not reading any more: the bytes are counted as opaque.
    Blind,
}

impl Http1 {
    pub(super) fn new() -> Self {
        Self {
            client: Reading::Between,
            server: Reading::Between,
            waiting: VecDeque::new(),
            rest: None,
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

    /// Reads one piece of the client's bytes.
    fn client_piece(&mut self, connection: &mut Connection, rest: &mut &[u8], at: u64) {
        match &mut self.client {
            Reading::Between => self.begin_request(connection, rest, at),
            Reading::Head(reader) => {
                let (used, progress) = reader.read(rest);
                let piece = take(rest, used);
                if let Some(exchange) = self.waiting.back_mut() {
                    exchange.keep_request_head(connection, piece);
                }
                match progress {
                    Progress::More => {}
                    Progress::BadStart => self.malformed_request(connection, used),
                    Progress::Done(facts) => self.end_request_head(connection, &facts, used, at),
                }
            }
            Reading::Body(body) => {
                let expected = body.expected();
                let part = body.next(rest);
                self.request_part(connection, &part, expected, at);
            }
            Reading::Blind => self.blind_bytes(connection, Side::Client, rest, at),
        }
    }

    fn begin_request(&mut self, connection: &mut Connection, rest: &mut &[u8], at: u64) {
        let empty = skip_empty_lines(rest);
        let Some(first) = rest.first() else {
            return;
        };
        if !is_token(*first) {
            return self.go_blind(connection.client_bytes + empty as u64, "malformed request");
        }
        if self.waiting.len() >= WAITING_REQUESTS {
            return self.go_blind(
                connection.client_bytes + empty as u64,
                "too many unanswered requests",
            );
        }
        self.waiting.push_back(Exchange::begin(connection, at));
        self.client = Reading::Head(HeadReader::request());
    }

    fn end_request_head(
        &mut self,
        connection: &mut Connection,
        facts: &Facts,
        used: usize,
        at: u64,
    ) {
        let Some(body) = Body::of_request(facts) else {
            return self.malformed_request(connection, used);
        };
        if let Some(exchange) = self.waiting.back_mut() {
            exchange.understood_request(facts);
        }
        self.client = Reading::Body(body);
        if body == Body::Sized(0) {
            self.end_request(connection, used, at);
        }
    }

    fn request_part(
        &mut self,
        connection: &mut Connection,
        part: &Part<'_>,
        expected: Option<u64>,
        at: u64,
    ) {
        let Some(exchange) = self.waiting.back_mut() else {
            return;
        };
        match part {
            Part::Data(data) => {
                exchange.keep_request_body(connection, data, expected);
                if expected == Some(data.len() as u64) && self.client.is_at_end() {
                    self.end_request(connection, data.len(), at);
                }
            }
            Part::Trailers(piece) => exchange.keep_request_trailers(connection, piece),
            Part::Framing => {}
            Part::End => self.end_request(connection, 1, at),
            Part::Malformed => self.malformed_request(connection, 0),
        }
    }

    /// The request is complete with the `used` bytes that were just read.
    fn end_request(&mut self, connection: &Connection, used: usize, at: u64) {
        let Some(exchange) = self.waiting.back_mut() else {
            return;
        };
        exchange.end_request(at);
        if exchange.method == Method::Connect && self.rest.is_none() {
            // What comes now belongs to the tunnel, if the server opens it.
            let here = connection.client_bytes + used as u64;
            self.rest = Some(Box::new(Opaque::rest(here, "connect")));
        }
        self.client = match &self.rest {
            Some(_) => Reading::Blind,
            None => Reading::Between,
        };
    }

    /// Nobody can say where this request ends. Its response may still be read.
    fn malformed_request(&mut self, connection: &Connection, used: usize) {
        if let Some(exchange) = self.waiting.back_mut() {
            exchange.fail_request();
        }
        self.go_blind(connection.client_bytes + used as u64, "malformed request");
    }

    /// Ends the reading of the client's bytes; responses to what was read are still awaited.
    fn go_blind(&mut self, from_byte: u64, reason: &'static str) {
        self.client = Reading::Blind;
        self.rest
            .get_or_insert_with(|| Box::new(Opaque::rest(from_byte, reason)));
    }

    fn blind_bytes(&mut self, connection: &mut Connection, from: Side, rest: &mut &[u8], at: u64) {
        let bytes = std::mem::take(rest);
        if let Some(opaque) = &mut self.rest {
            opaque.bytes(connection, from, bytes, at);
        }
    }

    /// Reads one piece of the server's bytes.
    fn server_piece(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        match &mut self.server {
            Reading::Between => self.begin_response(connection, rest, at, out),
            Reading::Head(reader) => {
                let (used, progress) = reader.read(rest);
                let piece = take(rest, used);
                if let Some(exchange) = self.waiting.front_mut() {
                    exchange.keep_response_head(connection, piece);
                }
                match progress {
                    Progress::More => {}
                    Progress::BadStart => self.malformed_response(connection, out),
                    Progress::Done(facts) => self.end_response_head(connection, facts, at, out),
                }
            }
            Reading::Body(body) => {
                let expected = body.expected();
                let part = body.next(rest);
                self.response_part(connection, &part, expected, at, out);
            }
            Reading::Blind => self.blind_bytes(connection, Side::Server, rest, at),
        }
    }

    fn begin_response(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        skip_empty_lines(rest);
        let Some(first) = rest.first() else {
            return;
        };
        let Some(exchange) = self.waiting.front_mut().filter(|e| !e.is_answered()) else {
            return self.go_blind_both(connection, "response without a request");
        };
        if *first != b'H' {
            return self.malformed_response(connection, out);
        }
        exchange.begin_response(at);
        self.server = Reading::Head(HeadReader::response());
    }

    fn end_response_head(
        &mut self,
        connection: &mut Connection,
        facts: Facts,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let Start::Response(status) = facts.start else {
            return;
        };
        let Some(exchange) = self.waiting.front_mut() else {
            return;
        };
        if (100..200).contains(&status) && status != 101 {
            exchange.end_interim(connection);
            self.server = Reading::Between;
            return;
        }
        let method = exchange.method;
        if status == 101 || (method == Method::Connect && (200..300).contains(&status)) {
            return self.open_tunnel(connection, status, facts.upgrade, at);
        }
        let bodyless = method == Method::Head || matches!(status, 204 | 304);
        let body = if bodyless {
            Some(Body::Sized(0))
        } else {
            Body::of_response(&facts)
        };
        match body {
            Some(Body::Sized(0)) => self.end_response(at),
            Some(body) => {
                exchange.end_response_head(at);
                self.server = Reading::Body(body);
            }
            None => self.malformed_response(connection, out),
        }
    }

    fn response_part(
        &mut self,
        connection: &mut Connection,
        part: &Part<'_>,
        expected: Option<u64>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let Some(exchange) = self.waiting.front_mut() else {
            return;
        };
        match part {
            Part::Data(data) => {
                exchange.keep_response_body(connection, data, expected, at);
                if expected == Some(data.len() as u64) && self.server.is_at_end() {
                    self.end_response(at);
                }
            }
            Part::Trailers(piece) => exchange.keep_response_trailers(connection, piece),
            Part::Framing => {}
            Part::End => self.end_response(at),
            Part::Malformed => self.malformed_response(connection, out),
        }
    }

    fn end_response(&mut self, at: u64) {
        let Some(exchange) = self.waiting.front_mut() else {
            return;
        };
        exchange.end_response(at);
        self.server = Reading::Between;
        let refused_tunnel = exchange.method == Method::Connect
            && self.rest.as_ref().is_some_and(|rest| !rest.has_begun());
        if refused_tunnel && exchange.is_asked() {
            self.rest = None;
            self.client = Reading::Between;
        }
    }

    /// What follows the exchange is another protocol.
    fn open_tunnel(
        &mut self,
        connection: &Connection,
        status: u16,
        upgrade: Option<String>,
        at: u64,
    ) {
        let Some(exchange) = self.waiting.front_mut() else {
            return;
        };
        exchange.end_response(at);
        let reason = if status == 101 { "upgrade" } else { "connect" };
        let here = connection.client_bytes;
        let rest = self
            .rest
            .get_or_insert_with(|| Box::new(Opaque::rest(here, reason)));
        rest.name(upgrade.filter(|_| status == 101));
        self.server = Reading::Blind;
        if matches!(self.client, Reading::Between) {
            self.client = Reading::Blind;
        }
    }

    /// Nobody can say where this response ends, so those behind it cannot be found either.
    fn malformed_response(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        for exchange in self.waiting.drain(..) {
            exchange.finish(connection, Some(CallError::MalformedResponse), out);
        }
        self.go_blind_both(connection, "malformed response");
    }

    fn go_blind_both(&mut self, connection: &Connection, reason: &'static str) {
        self.server = Reading::Blind;
        self.go_blind(connection.client_bytes, reason);
    }

    /// One side ended its direction in order.
    pub(super) fn end(&mut self, connection: &mut Connection, from: Side, out: &mut Vec<Recorded>) {
        if from == Side::Server {
            self.end_by_close();
        }
        self.finish_answered(connection, out);
    }

    /// A body that lasts until the server closes is complete when it does.
    fn end_by_close(&mut self) {
        if let (Reading::Body(Body::UntilClose), Some(exchange)) =
            (&self.server, self.waiting.front_mut())
        {
            exchange.end_response_by_close();
            self.server = Reading::Between;
        }
    }

    /// The connection is over: everything open is finished.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        for exchange in self.waiting.drain(..) {
            let failure = connection.failure();
            exchange.finish(connection, failure, out);
        }
        if let Some(rest) = &mut self.rest {
            rest.finish(connection, out);
        }
    }

    /// Gives out the records of exchanges to which nothing can be added.
    fn finish_answered(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        let is_over = |exchange: &Exchange, connection: &Connection| {
            (exchange.is_asked() || connection.client_ended())
                && (exchange.is_answered() || connection.server_ended())
        };
        while let Some(exchange) = self.waiting.pop_front() {
            if !is_over(&exchange, connection) {
                self.waiting.push_front(exchange);
                return;
            }
            let failure = connection.failure();
            exchange.finish(connection, failure, out);
        }
        // A long queue is not worth its memory on an idle connection.
        if self.waiting.capacity() > 8 {
            self.waiting = VecDeque::new();
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        let waiting = self.waiting.iter();
        out.extend(waiting.filter_map(|exchange| exchange.partial(connection, at)));
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
