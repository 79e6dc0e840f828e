//! The server's direction: each response belongs to the first request that waits for one.

use remora_store::call::{CallError, Side};

use super::upgraded::Upgraded;
use super::{Http1, Reading, skip_empty_lines, take};
use crate::observe::Recorded;
use crate::observe::body::{Body, Part};
use crate::observe::connection::Connection;
use crate::observe::head::{Facts, HeadReader, Method, Progress, Start};
use crate::observe::http2::Http2;
use crate::observe::opaque::Opaque;

impl Http1 {
    /// Reads one piece of the server's bytes.
    pub(super) fn server_piece(
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
                exchange.end_response_head(at, facts.events);
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
        connection: &mut Connection,
        status: u16,
        upgrade: Option<String>,
        at: u64,
    ) {
        let Some(exchange) = self.waiting.front_mut() else {
            return;
        };
        exchange.end_response(at);
        let is_websocket = status == 101 && upgrade.as_deref() == Some("websocket");
        let alone = self.rest.is_none() && self.waiting.len() == 1 && self.is_quiet();
        if is_websocket && alone {
            return self.open_websocket();
        }
        let is_http2 = status == 101 && upgrade.as_deref() == Some("h2c");
        // Further back in a connection, its number would be that of a later stream too.
        if is_http2 && alone && connection.numbers_given() <= 2 {
            return self.open_http2(connection);
        }
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

    /// The client waits for the answer to its last request, as it has to before it changes protocol.
    fn is_quiet(&self) -> bool {
        matches!(self.client, Reading::Between)
    }

    /// The request that asked for it is the first stream, and its response is still to come.
    fn open_http2(&mut self, connection: &mut Connection) {
        if let Some(mut request) = self.waiting.pop_front() {
            request.end_interim(connection);
            let http2 = Http2::upgraded(request.record);
            self.http2 = Some(Box::new(http2));
        }
    }

    fn open_websocket(&mut self) {
        let handshake = self.waiting.pop_front();
        self.upgraded = handshake.and_then(Upgraded::websocket).map(Box::new);
        self.client = Reading::Blind;
        self.server = Reading::Blind;
    }

    /// Nobody can say where this response ends, so those behind it cannot be found either.
    fn malformed_response(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        for exchange in self.waiting.drain(..) {
            exchange.finish(connection, Some(CallError::MalformedResponse), out);
        }
        self.go_blind_both(connection, "malformed response");
    }

    /// A body that lasts until the server closes is complete when it does.
    pub(super) fn end_by_close(&mut self) {
        if let (Reading::Body(Body::UntilClose), Some(exchange)) =
            (&self.server, self.waiting.front_mut())
        {
            exchange.end_response_by_close();
            self.server = Reading::Between;
        }
    }
}
