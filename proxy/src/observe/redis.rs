//! Redis (RESP2 and RESP3): which command belongs to which reply, and where each of them ends.
//!
//! Commands are queued as their first bytes come, and replies belong to the first in the queue. There
//! are three exceptions. In a transaction `QUEUED` is no answer: the commands between `MULTI` and `EXEC`
//! are answered by their parts of `EXEC`'s reply, and those of a transaction that was not done by
//! nothing. What a server sends unasked (published messages, invalidated keys, what `MONITOR` shows)
//! are messages of the call that asked for it first. After `CLIENT REPLY OFF` nothing is answered.
//!
//! Commands and replies are kept as they came, up to the body limit; the sealer writes them in a form
//! that people read (`seal/redis.rs`). Credentials are known by their place and never kept.

mod command;
mod exchange;
mod queue;
mod replies;
mod requests;
pub(crate) mod resp;
mod session;
mod shapes;
mod stream;

use remora_store::call::{Call, Side};

use super::Recorded;
use super::connection::Connection;
use super::opaque::Opaque;
use command::Command;
use queue::Queue;
use replies::Reply;
use requests::Asking;
use resp::Reader;
use session::Session;
use stream::Stream;

/// Both directions of a connection to Redis.
#[derive(Debug)]
pub(super) struct RedisConnection {
    asking: Asking,
    requests: Reader,
    command: Command,
    replies: Reader,
    reply: Reply,
    /// The server's direction is not read any more.
    deaf: bool,
    /// Commands that are not answered yet.
    waiting: Queue,
    /// Commands between `MULTI` and `EXEC` that were queued.
    transaction: Option<Queue>,
    /// The call whose messages are what comes unasked.
    stream: Option<Box<Stream>>,
    session: Session,
    /// What is not parsed any more.
    rest: Option<Box<Opaque>>,
}

impl RedisConnection {
    pub(super) fn new() -> Self {
        Self {
            asking: Asking::Between,
            requests: Reader::default(),
            command: Command::default(),
            replies: Reader::default(),
            reply: Reply::default(),
            deaf: false,
            waiting: Queue::default(),
            transaction: None,
            stream: None,
            session: Session::new(),
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
                    self.client_piece(connection, &mut rest, at, out);
                    connection.client_bytes = here + (left - rest.len()) as u64;
                }
            }
        }
    }

    /// Ends the reading of the client's bytes; replies to what was read are still awaited.
    fn go_blind(&mut self, from_byte: u64, reason: &'static str) {
        self.asking = Asking::Blind;
        self.rest
            .get_or_insert_with(|| Box::new(Opaque::rest(from_byte, reason)));
    }

    fn go_blind_both(&mut self, connection: &Connection, reason: &'static str) {
        self.deaf = true;
        self.go_blind(connection.client_bytes, reason);
    }

    fn blind_bytes(&mut self, connection: &mut Connection, from: Side, rest: &mut &[u8], at: u64) {
        let bytes = std::mem::take(rest);
        if let Some(opaque) = &mut self.rest {
            opaque.bytes(connection, from, bytes, at);
        }
    }

    /// The connection is over: everything open is finished.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        let queued = self.transaction.take().unwrap_or_default();
        for mut queue in [queued, std::mem::take(&mut self.waiting)] {
            for exchange in queue.drain() {
                exchange.finish(connection, connection.failure(), out);
            }
        }
        if let Some(stream) = self.stream.take() {
            stream.finish(connection, out);
        }
        if let Some(rest) = &mut self.rest {
            rest.finish(connection, out);
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        let queued = self.transaction.iter().flat_map(Queue::iter);
        let waiting = queued.chain(self.waiting.iter());
        out.extend(waiting.filter_map(|exchange| exchange.record.partial(connection, at)));
        let stream = self.stream.iter();
        out.extend(stream.filter_map(|stream| stream.record.partial(connection, at)));
        let rest = self.rest.iter();
        out.extend(rest.filter_map(|rest| rest.open_call(connection, at)));
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests;
