//! What becomes of a command whose reply is complete, and of its connection.

use remora_store::call::CallError;

use super::{Owner, TRANSACTION_PLACES};
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::redis::RedisConnection;
use crate::observe::redis::command::{Class, Effect};
use crate::observe::redis::exchange::Exchange;
use crate::observe::redis::queue::Queue;
use crate::observe::redis::resp::Kind;
use crate::observe::redis::stream::{Origin, Stream};

impl RedisConnection {
    /// A part of a transaction's reply is complete.
    pub(super) fn end_part(
        &mut self,
        connection: &mut Connection,
        last: bool,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let part = self.transaction.as_mut().and_then(Queue::pop);
        if let Some(mut part) = part {
            let answer = self.reply.answer.take();
            let error = is_error(answer).then(|| self.replies.text());
            part.end_reply(error, &self.session, at);
            if error.is_none() {
                self.session
                    .apply(part.effect, answer.map(|(kind, _)| kind));
            }
            part.finish(connection, None, out);
        }
        if last {
            self.transaction = None;
            if let Some(mut exec) = self.waiting.pop() {
                exec.end_reply(None, &self.session, at);
                exec.finish(connection, None, out);
            }
        }
    }

    /// The reply is complete.
    pub(super) fn end_reply(
        &mut self,
        connection: &mut Connection,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        match self.reply.owner {
            Owner::Unknown | Owner::Parts => {}
            Owner::Front => self.end_front(connection, at, out),
            Owner::Stream => {
                if let Some(stream) = &mut self.stream {
                    stream.end_message(at);
                }
            }
            Owner::Confirmation { class, adds } => {
                self.end_confirmation(connection, class, adds, at, out);
            }
        }
    }

    fn end_front(&mut self, connection: &mut Connection, at: u64, out: &mut Vec<Recorded>) {
        let answer = self.reply.answer;
        let error = is_error(answer).then(|| self.replies.text());
        let Some(front) = self.waiting.front() else {
            return;
        };
        if !front.is_asked() {
            // Refused before it was complete: the server closes, and nothing more can be expected.
            return front.end_reply(error, &self.session, at);
        }
        let Some(mut exchange) = self.waiting.pop() else {
            return;
        };
        exchange.end_reply(error, &self.session, at);
        let is_queued = answer == Some((Kind::Simple, false)) && self.replies.text() == b"QUEUED";
        match &mut self.transaction {
            Some(queued) if is_queued && queued.len() < TRANSACTION_PLACES => {
                exchange.forget_reply();
                return queued.push(exchange);
            }
            _ => {}
        }
        let went_well = error.is_none();
        match exchange.effect {
            Effect::Multi if went_well => self.transaction = Some(Queue::default()),
            Effect::Exec => self.end_transaction(connection, out),
            Effect::Discard | Effect::Reset if went_well => self.end_transaction(connection, out),
            Effect::Monitor if went_well && self.stream.is_none() => {
                return self.open_stream(Origin::Monitor, exchange);
            }
            Effect::Tracking { on: true }
                if went_well && self.stream.is_none() && self.session.version == 3 =>
            {
                return self.open_stream(Origin::Tracking, exchange);
            }
            _ => {}
        }
        let ends_stream = match exchange.effect {
            Effect::Reset => true,
            Effect::Tracking { on: false } => {
                let origin = self.stream.as_ref().map(|stream| stream.origin);
                origin == Some(Origin::Tracking)
            }
            _ => false,
        };
        if went_well {
            self.session
                .apply(exchange.effect, answer.map(|(kind, _)| kind));
        }
        if went_well && ends_stream {
            self.end_stream(connection, out);
        }
        exchange.finish(connection, None, out);
    }

    fn open_stream(&mut self, origin: Origin, exchange: Exchange) {
        self.stream = Some(Box::new(Stream::open(origin, exchange.record)));
    }

    fn end_stream(&mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        if let Some(stream) = self.stream.take() {
            stream.finish(connection, out);
        }
    }

    /// What was queued was not done, or is told in the reply to `EXEC` as a whole.
    fn end_transaction(&mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        if let Some(mut queued) = self.transaction.take() {
            for exchange in queued.drain() {
                exchange.finish(connection, None, out);
            }
        }
    }

    /// A change of subscriptions is confirmed.
    fn end_confirmation(
        &mut self,
        connection: &mut Connection,
        class: Class,
        adds: bool,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let before = self.session.subscribed(class);
        if let Some(now) = self.reply.number {
            self.session.note_subscriptions(class, now);
        }
        match &mut self.stream {
            Some(stream) if adds && stream.awaits(class) => return stream.end_confirmation(),
            _ => {}
        }
        let Some(front) = self.waiting.front() else {
            return;
        };
        // Without naming any, all of a class are left, or it is told once that there were none.
        let expected = match front.keys {
            0 => before.max(1),
            named => named,
        };
        let left = front.confirmations.unwrap_or(expected).saturating_sub(1);
        front.confirmations = Some(left);
        if !adds && left > 0 {
            return;
        }
        if adds && left > 0 && self.stream.is_some() {
            return;
        }
        let Some(mut exchange) = self.waiting.pop() else {
            return;
        };
        exchange.end_reply(None, &self.session, at);
        if adds && self.stream.is_none() {
            let awaited = left;
            return self.open_stream(Origin::Subscription { class, awaited }, exchange);
        }
        exchange.finish(connection, None, out);
        let origin = self.stream.as_ref().map(|stream| stream.origin);
        if self.session.is_free() && matches!(origin, Some(Origin::Subscription { .. })) {
            self.end_stream(connection, out);
        }
    }

    /// Nobody can say where this reply ends, so those behind it cannot be found either.
    pub(super) fn malformed_response(
        &mut self,
        connection: &mut Connection,
        out: &mut Vec<Recorded>,
    ) {
        let queued = self.transaction.take().unwrap_or_default();
        for mut queue in [queued, std::mem::take(&mut self.waiting)] {
            for exchange in queue.drain() {
                exchange.finish(connection, Some(CallError::MalformedResponse), out);
            }
        }
        self.go_blind_both(connection, "malformed response");
    }
}

fn is_error(answer: Option<(Kind, bool)>) -> bool {
    matches!(answer, Some((Kind::Error | Kind::BulkError, _)))
}
