//! Commands and replies of Redis in a form that people read, written when a record is sealed and not
//! while bytes pass.
//!
//! A command becomes a line as `redis-cli` takes it: `SET cart:7 "{\"id\": 7}" EX 60`. A reply becomes
//! its text where it is one: a string without its length, a number, `true`, `null`; an error with its
//! code. Aggregates become JSON, in it texts as strings, bytes that are no UTF-8 escaped (`\\xff`), maps
//! as objects, and so are arrays of names and values (`HGETALL`, `HSCAN`, entries of streams), whose names
//! tell what the values are; attributes are left out. What was cut off ends where it was
//! cut.

use std::io::Write;

use bytes::Bytes;
use remora_store::call::{Call, Detail, Protocol};

/// How deep replies are followed; the reader lets none through that is deeper.
const DEPTH: usize = 64;

/// Writes what is kept of a call of Redis anew.
pub(super) fn write(call: &mut Call) {
    if call.protocol != Protocol::Redis {
        return;
    }
    if !call.request.body.is_empty() {
        call.request.body = line(&call.request.body);
    }
    let command = match &call.detail {
        Detail::Redis(redis) => redis.command.as_str(),
        _ => "",
    };
    if !call.response.body.is_empty() {
        let whole = call.response.omitted.is_none();
        call.response.body = match command {
            "EXEC" if whole => parts(&call.response.body),
            _ => reply(&call.response.body, pairs_in(command, &call.request.body)),
        };
    }
    let messages = call
        .stream
        .iter_mut()
        .flat_map(|stream| &mut stream.messages);
    for message in messages.filter(|message| !message.payload.is_empty()) {
        message.payload = reply(&message.payload, Pairs::None);
    }
}

/// A command as a line.
fn line(wire: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(wire.len());
    let mut rest = wire;
    let Some(b'*') = wire.first() else {
        // Typed by hand, it is a line already.
        return Bytes::copy_from_slice(wire.trim_ascii_end());
    };
    take_line(&mut rest);
    while !rest.is_empty() {
        let (length, _) = take_line(&mut rest);
        let Some(length) = length.strip_prefix(b"$").and_then(number) else {
            break;
        };
        if rest.is_empty() && length > 0 {
            break;
        }
        let (argument, whole) = take_text(&mut rest, length);
        if !out.is_empty() {
            out.push(b' ');
        }
        write_argument(&mut out, argument, whole);
    }
    Bytes::from(out)
}

/// An argument, in quotes where it has to be; without the last of them where it was cut off.
fn write_argument(out: &mut Vec<u8>, argument: &[u8], whole: bool) {
    let is_plain = |b: &u8| b.is_ascii_graphic() && !b"\"'\\".contains(b) || !b.is_ascii();
    let is_word = !argument.is_empty() && argument.iter().all(is_plain);
    if is_word && std::str::from_utf8(argument).is_ok() {
        return out.extend_from_slice(argument);
    }
    out.push(b'"');
    for chunk in argument.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                byte if byte.is_ascii_control() => write_hex(out, byte),
                byte => out.push(byte),
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|byte| write_hex(out, *byte));
    }
    if whole {
        out.push(b'"');
    }
}

fn write_hex(out: &mut Vec<u8>, byte: u8) {
    // Writing to a vector does not fail.
    let _ = write!(out, "\\x{byte:02x}");
}

/// The reply to `EXEC` without its parts, each of which is the reply to a command.
fn parts(wire: &[u8]) -> Bytes {
    match wire.strip_prefix(b"*").map(<[u8]>::trim_ascii_end) {
        Some(count) if count.iter().all(u8::is_ascii_digit) && count != b"0" => {
            let mut out = count.to_vec();
            out.extend_from_slice(b" replies, each with its command");
            Bytes::from(out)
        }
        _ => reply(wire, Pairs::None),
    }
}

/// Where in a reply an array has names and values in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pairs {
    None,
    /// It is one, or has a pair in each of its elements.
    All,
    /// Its second element is one.
    Second,
    /// Somewhere in it are entries of streams: an id, and such an array.
    Entries,
    /// It is one if it begins with a text.
    Fields,
}

/// Where the reply to a command has pairs, by its line.
fn pairs_in(command: &str, line: &[u8]) -> Pairs {
    let has = |word: &str| {
        let mut words = line.split(|byte| *byte == b' ');
        words.any(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    match command {
        "HGETALL" => Pairs::All,
        "HRANDFIELD" if has("WITHVALUES") => Pairs::All,
        "HSCAN" if !has("NOVALUES") => Pairs::Second,
        "XRANGE" | "XREVRANGE" | "XREAD" | "XREADGROUP" | "XCLAIM" | "XAUTOCLAIM"
        | "XINFO STREAM" => Pairs::Entries,
        _ => Pairs::None,
    }
}

/// Replies, each on a line of its own where there are several.
fn reply(wire: &[u8], pairs: Pairs) -> Bytes {
    let mut writer = Writer {
        out: Vec::with_capacity(wire.len()),
        rest: wire,
    };
    while !writer.rest.is_empty() {
        if !writer.out.is_empty() {
            writer.out.push(b'\n');
        }
        if writer.value(0, pairs).is_none() {
            break;
        }
    }
    Bytes::from(writer.out)
}

/// Writes values one after the other; what gives `None` was cut off, or cannot be read on.
struct Writer<'a> {
    out: Vec<u8>,
    rest: &'a [u8],
}

impl Writer<'_> {
    fn value(&mut self, depth: usize, pairs: Pairs) -> Option<()> {
        let (line, whole) = loop {
            let (line, whole) = take_line(&mut self.rest);
            match line.strip_prefix(b"|") {
                Some(count) => self.attributes(depth, count)?,
                None => break (line, whole),
            }
        };
        let (kind, text) = line.split_first()?;
        match kind {
            b'_' => self.out.extend_from_slice(b"null"),
            b'$' | b'*' if text == b"-1" => self.out.extend_from_slice(b"null"),
            b'#' if text == b"t" => self.out.extend_from_slice(b"true"),
            b'#' => self.out.extend_from_slice(b"false"),
            b'$' | b'!' | b'=' => return self.sized(depth, *kind, text),
            b'*' | b'~' | b'>' => return self.aggregate(depth, text, false, pairs),
            b'%' => return self.aggregate(depth, text, true, pairs),
            b':' | b'(' | b',' if is_number(text) => self.out.extend_from_slice(text),
            b'+' | b'-' | b':' | b'(' | b',' => self.text(depth, text, whole),
            _ => return None,
        }
        whole.then_some(())
    }

    /// Attributes are about the value behind them, and left out.
    fn attributes(&mut self, depth: usize, count: &[u8]) -> Option<()> {
        let before = self.out.len();
        let read = self.aggregate(depth, count, true, Pairs::None);
        self.out.truncate(before);
        read
    }

    /// A text: as it is, or as a string where it is part of something.
    fn text(&mut self, depth: usize, text: &[u8], whole: bool) {
        if depth == 0 {
            return self.out.extend_from_slice(text);
        }
        self.out.push(b'"');
        self.escaped(text);
        if whole {
            self.out.push(b'"');
        }
    }

    fn escaped(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            for byte in chunk.valid().bytes() {
                match byte {
                    b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                    b'\n' => self.out.extend_from_slice(b"\\n"),
                    b'\r' => self.out.extend_from_slice(b"\\r"),
                    b'\t' => self.out.extend_from_slice(b"\\t"),
                    0..0x20 => {
                        // Writing to a vector does not fail.
                        let _ = write!(self.out, "\\u{byte:04x}");
                    }
                    byte => self.out.push(byte),
                }
            }
            for byte in chunk.invalid() {
                self.out.push(b'\\');
                write_hex(&mut self.out, *byte);
            }
        }
    }

    fn sized(&mut self, depth: usize, kind: u8, length: &[u8]) -> Option<()> {
        if length == b"?" {
            return self.streamed(depth);
        }
        let length = number(length)?;
        let (text, whole) = take_text(&mut self.rest, length);
        // A verbatim string says first what it is: `txt:` or `mkd:`.
        let text = match kind {
            b'=' => text.get(4..).unwrap_or_default(),
            _ => text,
        };
        self.text(depth, text, whole);
        whole.then_some(())
    }

    /// A string in pieces, each with its length.
    fn streamed(&mut self, depth: usize) -> Option<()> {
        let mut gathered = Vec::new();
        let whole = loop {
            let (line, _) = take_line(&mut self.rest);
            let length = line.strip_prefix(b";").and_then(number);
            match length {
                Some(0) => break true,
                Some(length) => gathered.extend_from_slice(take_text(&mut self.rest, length).0),
                None => break false,
            }
        };
        self.text(depth, &gathered, whole);
        whole.then_some(())
    }

    fn aggregate(&mut self, depth: usize, count: &[u8], map: bool, pairs: Pairs) -> Option<()> {
        let each = if map { 2 } else { 1 };
        let elements = match count {
            b"?" => None,
            count => Some(number(count)?.saturating_mul(each)),
        };
        if depth >= DEPTH {
            return None;
        }
        let is_even = elements.is_none_or(|elements| elements % 2 == 0);
        let begins_aggregate = self.rest.starts_with(b"*");
        let is_paired = matches!(pairs, Pairs::All | Pairs::Fields);
        let map = map || (is_paired && is_even && !begins_aggregate);
        let nested = !map && pairs == Pairs::All && self.rest.starts_with(b"*2\r\n");
        self.out.push(if map || nested { b'{' } else { b'[' });
        let mut written = 0;
        let mut is_entry = false;
        while elements.is_none_or(|elements| written < elements) {
            if elements.is_none() && self.rest.starts_with(b".") {
                take_line(&mut self.rest);
                break;
            }
            if written > 0 {
                let is_value = map && written % 2 == 1;
                self.out.push(if is_value { b':' } else { b',' });
            }
            let before = self.out.len();
            let inner = match pairs {
                Pairs::Second if written == 1 => Pairs::Fields,
                Pairs::Entries if is_entry => Pairs::Fields,
                Pairs::Entries | Pairs::Fields => Pairs::Entries,
                _ => Pairs::None,
            };
            match (map && written % 2 == 0, nested) {
                (true, _) => self.name(depth + 1)?,
                (_, true) => self.pair(depth + 1)?,
                _ => self.value(depth + 1, inner)?,
            }
            let told = self.out.get(before..).unwrap_or_default();
            is_entry = written == 0 && elements == Some(2) && is_entry_id(told);
            written += 1;
        }
        self.out.push(if map || nested { b'}' } else { b']' });
        Some(())
    }

    /// A name and its value in an array of their own.
    fn pair(&mut self, depth: usize) -> Option<()> {
        if !self.rest.starts_with(b"*2\r\n") {
            return None;
        }
        take_line(&mut self.rest);
        self.name(depth)?;
        self.out.push(b':');
        self.value(depth, Pairs::None)
    }

    /// A key of a map, which is a string in JSON whatever it is. Of one with elements only that is told:
    /// what is in it would be escaped once more for each level of keys in keys, and double each time.
    fn name(&mut self, depth: usize) -> Option<()> {
        let before = self.out.len();
        let read = self.value(depth, Pairs::None);
        match self.out.get(before) {
            Some(b'"') => {}
            Some(b'[') => self.write_over(before, b"\"[...]\""),
            Some(b'{') => self.write_over(before, b"\"{...}\""),
            _ => {
                let written = self.out.split_off(before);
                self.text(depth, &written, read.is_some());
            }
        }
        read
    }

    /// Writes this instead of what was written from `start` on.
    fn write_over(&mut self, start: usize, word: &[u8]) {
        self.out.truncate(start);
        self.out.extend_from_slice(word);
    }
}

/// Whether a string of JSON is the id of an entry in a stream: `"1526985054069-0"`.
fn is_entry_id(text: &[u8]) -> bool {
    let id = text
        .strip_prefix(b"\"")
        .and_then(|id| id.strip_suffix(b"\""));
    let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    id.is_some_and(|id| {
        id.split(|byte| *byte == b'-')
            .filter(|part| is_digits(part))
            .count()
            == 2
    })
}

/// Takes a line without its end; says whether that was there.
fn take_line<'a>(rest: &mut &'a [u8]) -> (&'a [u8], bool) {
    match memchr::memchr(b'\n', rest) {
        Some(end) => {
            let (line, behind) = rest.split_at(end);
            *rest = behind.get(1..).unwrap_or_default();
            (line.strip_suffix(b"\r").unwrap_or(line), true)
        }
        None => (std::mem::take(rest), false),
    }
}

/// Takes a text of that length and the line end behind it; says whether all of it was there.
fn take_text<'a>(rest: &mut &'a [u8], length: u64) -> (&'a [u8], bool) {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((text, behind)) = rest.split_at_checked(length) else {
        return (std::mem::take(rest), false);
    };
    *rest = behind.get(2..).unwrap_or_default();
    (text, true)
}

/// Whether JSON has this number. A line that should be one may hold anything, a quote as well.
fn is_number(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Number>(text).is_ok()
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
