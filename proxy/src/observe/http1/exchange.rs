//! One request with its response while they pass, whether or not there is room for their record.

use remora_store::call::{CallError, Injected, Omitted, Protocol};

use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, keep_up_to};
use crate::observe::events::Events;
use crate::observe::head::{Facts, Method, Start};

/// An exchange: what framing has to remember, and the record as far as the budget allowed one.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    asked: bool,
    answered: bool,
    pub(super) record: Budgeted,
    /// Where the response is a stream of events.
    events: Option<Box<Events>>,
}

impl Exchange {
    /// The first byte of a request came.
    pub(super) fn begin(connection: &mut Connection, at: u64) -> Self {
        let mut record = connection.begin(Protocol::Http1);
        if let Some(draft) = record.draft() {
            draft.phases.request_first = Some(at);
        }
        Self {
            method: Method::Other,
            asked: false,
            answered: false,
            record,
            events: None,
        }
    }

    /// The request is complete, or as complete as it can be told.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// The final response is complete.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// A fault does something to it.
    pub(super) fn struck(&mut self, fault: Injected) {
        if let Some(draft) = self.record.draft() {
            draft.struck(fault);
        }
    }

    pub(super) fn keep_request_head(&mut self, connection: &mut Connection, piece: &[u8]) {
        self.record.keep(connection, |draft, connection| {
            let limits = &connection.limits;
            draft.request.keep_head(piece, limits, &mut draft.grant)
        });
    }

    pub(super) fn understood_request(&mut self, facts: &Facts) {
        if let Start::Request(method) = facts.start {
            self.method = method;
        }
        if let Some(draft) = self.record.draft() {
            draft.probe = facts.probe;
        }
    }

    pub(super) fn keep_request_body(
        &mut self,
        connection: &Connection,
        data: &[u8],
        expected: Option<u64>,
    ) {
        if let Some(draft) = self.record.draft() {
            let limits = &connection.limits;
            draft
                .request
                .keep_body(data, expected, limits, &mut draft.grant);
        }
    }

    pub(super) fn keep_request_trailers(&mut self, connection: &Connection, piece: &[u8]) {
        if let Some(draft) = self.record.draft() {
            let limits = &connection.limits;
            draft.request.keep_trailers(piece, limits, &mut draft.grant);
        }
    }

    pub(super) fn end_request(&mut self, at: u64) {
        self.asked = true;
        if let Some(draft) = self.record.draft() {
            draft.phases.request_last = Some(at);
        }
    }

    /// The request's end cannot be told.
    pub(super) fn fail_request(&mut self) {
        self.asked = true;
        if let Some(draft) = self.record.draft() {
            draft.error = Some(CallError::MalformedRequest);
        }
    }

    pub(super) fn begin_response(&mut self, at: u64) {
        if let Some(draft) = self.record.draft() {
            draft.phases.response_first = Some(at);
        }
    }

    pub(super) fn keep_response_head(&mut self, connection: &mut Connection, piece: &[u8]) {
        self.record.keep(connection, |draft, connection| {
            let limits = &connection.limits;
            draft.response.keep_head(piece, limits, &mut draft.grant)
        });
    }

    /// The head that was just read is a 1xx response, so the final one is still to come.
    pub(super) fn end_interim(&mut self, connection: &mut Connection) {
        self.record.keep(connection, |draft, connection| {
            draft.phases.response_first = None;
            draft.response.omitted = None;
            let head = std::mem::take(&mut draft.response.head);
            if draft.interim.is_empty() {
                draft.interim = head;
                return Ok(());
            }
            let limit = connection.limits.head_bytes;
            let spent = head.capacity();
            if keep_up_to(&mut draft.interim, &head, limit, &mut draft.grant)? {
                draft.response.omitted = Some(Omitted::Head);
            }
            draft.grant.give_back(spent);
            Ok(())
        });
    }

    /// A body follows, which may turn out to be empty; it is a stream of events, or it is not.
    pub(super) fn end_response_head(&mut self, at: u64, events: bool) {
        if let Some(draft) = self.record.draft() {
            draft.last_byte = Some(at);
            if events {
                draft.expect_messages();
                self.events = Some(Box::default());
            }
        }
    }

    pub(super) fn keep_response_body(
        &mut self,
        connection: &Connection,
        data: &[u8],
        expected: Option<u64>,
        at: u64,
    ) {
        if let Some(draft) = self.record.draft() {
            let limits = &connection.limits;
            draft
                .response
                .keep_body(data, expected, limits, &mut draft.grant);
            draft.last_byte = Some(at);
            if let Some(events) = &mut self.events {
                events.bytes(draft, data, at);
            }
        }
    }

    pub(super) fn keep_response_trailers(&mut self, connection: &Connection, piece: &[u8]) {
        if let Some(draft) = self.record.draft() {
            let limits = &connection.limits;
            draft
                .response
                .keep_trailers(piece, limits, &mut draft.grant);
        }
    }

    pub(super) fn end_response(&mut self, at: u64) {
        self.answered = true;
        if let Some(draft) = self.record.draft() {
            draft.phases.response_last = Some(at);
        }
    }

    /// The server closed, which is how this response ends: with the last byte that came.
    pub(super) fn end_response_by_close(&mut self) {
        self.answered = true;
        if let Some(draft) = self.record.draft() {
            draft.phases.response_last = draft.last_byte;
        }
    }

    /// Gives out the record. `failure` is why the exchange is not complete, if it is not.
    pub(super) fn finish(
        self,
        connection: &Connection,
        failure: Option<CallError>,
        out: &mut Vec<Recorded>,
    ) {
        let failure = failure.filter(|_| !self.answered);
        self.record.finish(connection, failure, out);
    }
}
