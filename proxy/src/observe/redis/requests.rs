//! The client's direction: commands one after the other.

use remora_store::call::Side;

use super::command::{Command, Effect};
use super::exchange::{Exchange, Piece};
use super::resp::{Found, Kind, Reader};
use super::{RedisConnection, take};
use crate::observe::Recorded;
use crate::observe::connection::Connection;

/// Commands with a record that may wait for their replies on one connection; those behind them are
/// counted as dropped.
const WAITING_RECORDS: usize = 16 * 1024;

/// Most places in the queue, whatever is in them.
const WAITING_PLACES: usize = WAITING_RECORDS + 1024;

/// Longest inline command that is read. Redis allows 64 KiB; people type less.
const INLINE_BYTES: usize = 1024;

/// Where the reader of the client's direction stands.
#[derive(Debug, Default)]
pub(super) enum Asking {
    /// Before the first byte of a command.
    #[default]
    Between,
    /// Within an array of strings, as all clients but people send commands.
    Array,
    /// Within a line, of which this came.
    Inline(Vec<u8>),
    /// Not reading any more.
    Blind,
}

impl RedisConnection {
    /// Reads one piece of the client's bytes.
    pub(super) fn client_piece(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        match &mut self.asking {
            Asking::Between => self.begin_command(connection, rest, at),
            Asking::Array => self.array_piece(connection, rest, at, out),
            Asking::Inline(_) => self.inline_piece(connection, rest, at, out),
            Asking::Blind => self.blind_bytes(connection, Side::Client, rest, at),
        }
    }

    fn begin_command(&mut self, connection: &mut Connection, rest: &mut &[u8], at: u64) {
        // Redis takes an empty line for an inline command without words.
        let empty = rest
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        take(rest, empty);
        let here = connection.client_bytes + empty as u64;
        let asking = match rest.first() {
            None => return,
            Some(b'*') => Asking::Array,
            Some(first) if first.is_ascii_alphabetic() => Asking::Inline(Vec::new()),
            Some(_) => return self.go_blind(here, "malformed request"),
        };
        if self.waiting.len() >= WAITING_PLACES {
            return self.go_blind(here, "too many unanswered requests");
        }
        let mut exchange = Exchange::begin(connection, at);
        if self.waiting.len() >= WAITING_RECORDS {
            exchange.record.give_up(connection);
        }
        self.waiting.push(exchange);
        self.command.begin(0);
        self.asking = asking;
    }

    fn array_piece(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let read = read_array(&mut self.requests, &mut self.command, rest);
        let piece = Piece {
            bytes: take(rest, read.used),
            size: read.size,
            last: read.pause == Some(Pause::Ended),
        };
        if let Some(exchange) = self.waiting.back() {
            exchange.keep_request(connection, piece);
            exchange.withhold(self.command.withheld());
        }
        match read.pause {
            None | Some(Pause::Withheld) => {}
            Some(Pause::Ended) => self.end_command(connection, read.used, at, out),
            Some(Pause::Malformed) => self.malformed_request(connection, read.used),
        }
    }

    fn inline_piece(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let Asking::Inline(line) = &mut self.asking else {
            return;
        };
        let end = memchr::memchr(b'\n', rest);
        let room = INLINE_BYTES.saturating_sub(line.len());
        let used = end.map_or(rest.len(), |end| end + 1).min(room);
        line.extend_from_slice(take(rest, used));
        match end.filter(|end| *end < used) {
            Some(_) => self.end_line(connection, used, at, out),
            None if used == room => self.malformed_request(connection, used),
            None => {}
        }
    }

    fn end_line(
        &mut self,
        connection: &mut Connection,
        used: usize,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let Asking::Inline(line) = std::mem::take(&mut self.asking) else {
            return;
        };
        let words = || {
            line.split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
        };
        self.command.begin(words().count() as u64);
        for word in words() {
            self.command.text(word);
            self.command.end_argument();
        }
        if let Some(exchange) = self.waiting.back() {
            exchange.withhold(self.command.withheld());
            let piece = Piece {
                bytes: &line,
                size: words().map(|word| word.len() as u64).sum(),
                last: true,
            };
            exchange.keep_request(connection, piece);
        }
        self.end_command(connection, used, at, out);
    }

    /// The command is complete with the `used` bytes that were just read.
    fn end_command(
        &mut self,
        connection: &mut Connection,
        used: usize,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        self.asking = Asking::Between;
        let Some(about) = self.command.finish() else {
            // Nothing was asked, and nothing is answered.
            self.waiting.pop_back();
            return;
        };
        let Some(exchange) = self.waiting.back() else {
            return;
        };
        let effect = about.effect;
        exchange.end_request(connection, about, at);
        let switch = match effect {
            Effect::Replies(switch) => Some(switch),
            _ => None,
        };
        if effect == Effect::Replicate {
            self.go_blind(connection.client_bytes + used as u64, "replication");
        } else if self.session.expects_reply(switch) {
            self.waiting.fold();
        } else if let Some(exchange) = self.waiting.pop_back() {
            exchange.finish(connection, None, out);
        }
    }

    /// Nobody can say where this command ends. Its reply may still be read.
    fn malformed_request(&mut self, connection: &Connection, used: usize) {
        if let Some(exchange) = self.waiting.back() {
            exchange.fail_request();
        }
        self.go_blind(connection.client_bytes + used as u64, "malformed request");
    }
}

/// What was read in one go.
struct Read {
    used: usize,
    /// Bytes of arguments.
    size: u64,
    pause: Option<Pause>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Ended,
    /// What follows is treated in another way.
    Withheld,
    Malformed,
}

/// Reads an array of strings until something is to be done.
fn read_array(reader: &mut Reader, command: &mut Command, input: &[u8]) -> Read {
    let before = command.withheld();
    let mut read = Read {
        used: 0,
        size: 0,
        pause: None,
    };
    while read.pause.is_none() {
        let here = input.get(read.used..).unwrap_or_default();
        if here.is_empty() {
            break;
        }
        let step = reader.read(here);
        read.used += step.used;
        let text = here.get(step.text.0..step.text.1).unwrap_or_default();
        command.text(text);
        read.size += text.len() as u64;
        read.pause = match step.found {
            None => None,
            Some(Found::Opened {
                kind: Kind::Array,
                depth: 0,
                elements: Some(arguments),
            }) => {
                command.begin(arguments);
                None
            }
            Some(Found::Value {
                kind: Kind::Bulk,
                depth: 1,
                null: false,
            }) => {
                command.end_argument();
                (command.withheld() != before).then_some(Pause::Withheld)
            }
            Some(Found::Value {
                kind: Kind::Array,
                depth: 0,
                null: true,
            }) => None,
            Some(_) => Some(Pause::Malformed),
        };
        if step.ended == Some(0) && read.pause != Some(Pause::Malformed) {
            read.pause = Some(Pause::Ended);
        }
    }
    read
}
