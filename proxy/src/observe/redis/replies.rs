//! The server's direction: each reply belongs to the first command that waits for one, but for what
//! comes unasked and for the parts of a transaction's reply.

mod ends;

use remora_store::call::Side;

use super::command::{Class, Effect};
use super::exchange::Piece;
use super::queue::Queue;
use super::resp::{Found, Kind, Step};
use super::stream::{Origin, Stream};
use super::{RedisConnection, take};
use crate::observe::Recorded;
use crate::observe::connection::Connection;

/// Commands of a transaction that are told apart in its reply; of a longer one the reply stays whole.
const TRANSACTION_PLACES: usize = 16 * 1024;

/// Bytes of a reply after which it is told whose it is: enough for its first word.
const HELD_BYTES: usize = 64;

/// The reply that is being read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    owner: Owner,
    /// Its first byte.
    first: u8,
    /// What came before its owner was known, its first byte at this time.
    held: Vec<u8>,
    held_size: u64,
    began: u64,
    /// What the value is that answers, once that has begun.
    answer: Option<(Kind, bool)>,
    /// The last number in it.
    number: Option<u64>,
}

/// Whose reply it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Owner {
    /// Not known before more of it has come.
    #[default]
    Unknown,
    /// The first command that waits.
    Front,
    /// The commands of a transaction, one part each.
    Parts,
    /// That of a stream.
    Stream,
    /// The command that changed subscriptions: the first that waits, or the one that began a stream.
    Confirmation { class: Class, adds: bool },
}

/// What is to be done before reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Its first word came.
    Decide,
    /// The parts of a transaction's reply begin.
    Parts,
    /// A part ended, and with the last one the reply.
    PartEnd {
        last: bool,
    },
    /// It is complete.
    End,
    Malformed,
}

impl RedisConnection {
    /// Reads one piece of the server's bytes.
    pub(super) fn server_piece(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        if self.deaf {
            return self.blind_bytes(connection, Side::Server, rest, at);
        }
        if self.replies.is_between() && !self.begin_reply(connection, rest, at, out) {
            return;
        }
        let (piece, turn) = self.read_reply(rest);
        let piece = Piece {
            bytes: take(rest, piece.0),
            size: piece.1,
            last: turn == Some(Turn::End),
        };
        self.give(connection, piece, at);
        match turn {
            None => {}
            Some(Turn::Decide) => self.decide(connection, at),
            Some(Turn::Parts) => {
                self.reply.owner = Owner::Parts;
                self.reply.answer = None;
            }
            Some(Turn::PartEnd { last }) => self.end_part(connection, last, at, out),
            Some(Turn::End) => self.end_reply(connection, at, out),
            Some(Turn::Malformed) => self.malformed_response(connection, out),
        }
        // The whole of a short one may have come by the time its owner is known.
        let undecided = matches!(self.reply.owner, Owner::Unknown);
        if turn == Some(Turn::Decide) && self.replies.is_between() && !undecided {
            self.end_reply(connection, at, out);
        }
    }

    /// The first byte of a reply came; false if it cannot be read as one.
    fn begin_reply(
        &mut self,
        connection: &mut Connection,
        rest: &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) -> bool {
        let Some(first) = rest.first() else {
            return false;
        };
        let held = std::mem::take(&mut self.reply.held);
        self.reply = Reply {
            owner: self.owner_by_first_byte(*first),
            first: *first,
            held,
            began: at,
            ..Reply::default()
        };
        if self.reply.owner == Owner::Unknown {
            return true;
        }
        match self.waiting.front() {
            Some(front) if front.effect == Effect::Replicate => {
                self.deaf = true;
                if let Some(exchange) = self.waiting.pop() {
                    exchange.finish(connection, None, out);
                }
                false
            }
            Some(front) if !front.is_answered() => true,
            _ => {
                self.go_blind_both(connection, "response without a request");
                false
            }
        }
    }

    /// What is sent unasked looks like a reply at first, where it may come at all. In RESP3 it has a
    /// first byte of its own, so that an array is a reply whatever words are in it.
    fn owner_by_first_byte(&mut self, first: u8) -> Owner {
        let changes_subscriptions = self.waiting.front().is_some_and(|front| {
            matches!(front.effect, Effect::Subscribe(_) | Effect::Unsubscribe(_))
        });
        let origin = self.stream.as_ref().map(|stream| stream.origin);
        let subscribed = matches!(origin, Some(Origin::Subscription { .. }));
        match (first, origin) {
            (b'>', _) => Owner::Unknown,
            (b'*', _) if self.session.version == 2 && (subscribed || changes_subscriptions) => {
                Owner::Unknown
            }
            (b'+', Some(Origin::Monitor)) => Owner::Unknown,
            _ => Owner::Front,
        }
    }

    /// Reads until something is to be done: gives how many bytes that took and how many of them are
    /// values, and what is to be done.
    fn read_reply(&mut self, input: &[u8]) -> ((usize, u64), Option<Turn>) {
        let (mut used, mut size) = (0, 0);
        loop {
            let here = input.get(used..).unwrap_or_default();
            if here.is_empty() {
                let undecided = self.reply.owner == Owner::Unknown;
                let turn = undecided && self.reply.held.len() + used > HELD_BYTES;
                return ((used, size), turn.then_some(Turn::Decide));
            }
            let step = self.replies.read(here);
            used += step.used;
            size += (step.text.1 - step.text.0) as u64;
            if let Some(turn) = self.turn(&step) {
                return ((used, size), Some(turn));
            }
        }
    }

    /// What is to be done after a step.
    fn turn(&mut self, step: &Step) -> Option<Turn> {
        if step.found == Some(Found::Malformed) {
            return Some(Turn::Malformed);
        }
        self.note_answer(step);
        if self.reply.owner == Owner::Front && self.begins_parts(step) {
            return Some(Turn::Parts);
        }
        match self.reply.owner {
            Owner::Unknown => {
                let opened = matches!(step.found, Some(Found::Opened { depth: 0, .. }));
                let ended = step.ended.is_some();
                (ended || (step.found.is_some() && !opened)).then_some(Turn::Decide)
            }
            Owner::Parts => match step.ended {
                Some(0) => Some(Turn::PartEnd { last: true }),
                Some(1) => Some(Turn::PartEnd { last: false }),
                _ => None,
            },
            Owner::Front | Owner::Stream | Owner::Confirmation { .. } => {
                (step.ended == Some(0)).then_some(Turn::End)
            }
        }
    }

    /// Remembers what a reply is that begins with this step, and the last number in one.
    fn note_answer(&mut self, step: &Step) {
        let base = usize::from(self.reply.owner == Owner::Parts);
        let (kind, depth, null) = match step.found {
            Some(Found::Opened { kind, depth, .. }) => (kind, depth, false),
            Some(Found::Value { kind, depth, null }) => (kind, depth, null),
            _ => return,
        };
        if depth == base && kind != Kind::Attribute {
            self.reply.answer.get_or_insert((kind, null));
        }
        if kind == Kind::Integer {
            let text = std::str::from_utf8(self.replies.text()).ok();
            self.reply.number = text.and_then(|text| text.parse().ok());
        }
    }

    fn begins_parts(&mut self, step: &Step) -> bool {
        let Some(Found::Opened {
            kind: Kind::Array,
            depth: 0,
            elements: Some(elements),
        }) = step.found
        else {
            return false;
        };
        let queued = self.transaction.as_ref().map_or(0, Queue::commands);
        let front = self.waiting.front();
        elements > 0
            && elements == queued
            && front.is_some_and(|front| front.effect == Effect::Exec)
    }

    /// Gives bytes to whom they belong.
    fn give(&mut self, connection: &Connection, piece: Piece<'_>, at: u64) {
        match self.reply.owner {
            Owner::Unknown => {
                self.reply.held.extend_from_slice(piece.bytes);
                self.reply.held_size += piece.size;
            }
            Owner::Front => {
                if let Some(front) = self.waiting.front() {
                    front.keep_reply(connection, piece, at);
                }
            }
            Owner::Parts => {
                if let Some(part) = self.transaction.as_mut().and_then(Queue::front) {
                    part.keep_reply(connection, piece, at);
                }
            }
            Owner::Stream => {
                if let Some(stream) = &mut self.stream {
                    stream.message(connection, piece, at);
                }
            }
            Owner::Confirmation { class, adds } => match (&mut self.stream, self.waiting.front()) {
                (Some(stream), _) if adds && stream.awaits(class) => {
                    stream.confirm(connection, piece, at);
                }
                (_, Some(front)) => front.keep_reply(connection, piece, at),
                (_, None) => {}
            },
        }
    }

    /// The beginning of a reply tells whose it is.
    fn decide(&mut self, connection: &mut Connection, at: u64) {
        let owner = self.owner_by_first_word();
        if owner == Owner::Stream && self.stream.is_none() {
            self.stream = Some(Box::new(Stream::unasked(connection)));
        }
        if owner == Owner::Front && self.waiting.front().is_none_or(|front| front.is_answered()) {
            return self.go_blind_both(connection, "response without a request");
        }
        self.reply.owner = owner;
        let mut held = std::mem::take(&mut self.reply.held);
        let piece = Piece {
            bytes: &held,
            size: std::mem::take(&mut self.reply.held_size),
            last: self.replies.is_between(),
        };
        // The first byte came before what it belongs to was known.
        let began = self.reply.began;
        self.give(connection, piece, began);
        let nothing = Piece {
            bytes: b"",
            size: 0,
            last: false,
        };
        self.give(connection, nothing, at);
        if held.capacity() <= 2 * HELD_BYTES {
            held.clear();
            self.reply.held = held;
        }
    }

    fn owner_by_first_word(&mut self) -> Owner {
        let word = self.replies.text();
        if self.reply.first == b'+' {
            return match word.first() {
                Some(digit) if digit.is_ascii_digit() => Owner::Stream,
                _ => Owner::Front,
            };
        }
        let adds = !word.contains(&b'n');
        let class = match word {
            b"subscribe" | b"unsubscribe" => Class::Channel,
            b"psubscribe" | b"punsubscribe" => Class::Pattern,
            b"ssubscribe" | b"sunsubscribe" => Class::Shard,
            b"message" | b"pmessage" | b"smessage" => return Owner::Stream,
            _ if self.reply.first == b'>' => return Owner::Stream,
            _ => return Owner::Front,
        };
        let awaited = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.awaits(class));
        let asked = self.waiting.front().is_some_and(|front| match adds {
            true => front.effect == Effect::Subscribe(class),
            false => front.effect == Effect::Unsubscribe(class),
        });
        match asked || (adds && awaited) {
            true => Owner::Confirmation { class, adds },
            // A server takes subscriptions away by itself where a slot of a cluster moves.
            false => Owner::Stream,
        }
    }
}
