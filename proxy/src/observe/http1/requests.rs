//! The client's direction: requests one after the other, until something else begins.

use remora_store::call::Side;

use super::exchange::Exchange;
use super::{Http1, Reading, skip_empty_lines, take};
use crate::observe::body::{Body, Part};
use crate::observe::connection::Connection;
use crate::observe::head::{Facts, HeadReader, Method, Progress, is_token};
use crate::observe::opaque::Opaque;

/// Most requests that may wait for their responses on one connection.
const WAITING_REQUESTS: usize = 1024;

impl Http1 {
    /// Reads one piece of the client's bytes.
    pub(super) fn client_piece(&mut self, connection: &mut Connection, rest: &mut &[u8], at: u64) {
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
}
