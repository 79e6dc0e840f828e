//! What the first bytes of either side say about the protocol of a connection.
//!
//! Pure functions over a prefix of a stream. An answer, once given for a prefix, stays the same
//! for every longer one, so that it does not matter how the bytes were cut into segments. Parsing
//! what was recognised is the observers' business.

use std::ops::ControlFlow::{self, Break, Continue};

use remora_store::call::Side;

/// How the bytes of a connection are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 in the clear.
    Http2,
    /// Redis, RESP2 or RESP3.
    Redis,
    /// TLS, to be passed through.
    Tls,
    /// PostgreSQL, protocol 3, from its startup packet or one of the requests before it.
    Postgres,
    /// Anything else: counted, not parsed.
    Opaque,
}

/// Most bytes of one side that are looked at in search of a name.
pub const NAME_PREFIX_BYTES: usize = 256;

/// Longest HTTP method that is recognised; the longest registered one has 17 letters.
const METHOD_BYTES: usize = 24;

/// Most digits of the number of arguments in a command of Redis.
const COUNT_DIGITS: usize = 7;

/// Most empty bytes (CR, LF) that may stand before a request.
const LEADING_BYTES: usize = 8;

/// First bytes of an HTTP/2 connection (RFC 9113 section 3.4), as far as they tell it from HTTP/1.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2";

/// Methods that need no look at what follows them.
const METHODS: &[&str] = &[
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
];

/// What a side that speaks first says; `None` while its bytes leave it open.
pub fn family_of(speaker: Side, first: &[u8]) -> Option<Family> {
    match speaker {
        Side::Server => server_family(first),
        Side::Client | Side::Sidecar => family(first),
    }
}

/// A server of HTTP/2 may send its SETTINGS as soon as it accepts (RFC 9113 section 3.4), which is
/// ahead of the client's preface now and then. Of other servers that speak first, only the name is
/// told.
fn server_family(first: &[u8]) -> Option<Family> {
    // Length, type, flags and stream of a frame: few settings, on the connection.
    let fits = |(place, byte): (usize, &u8)| match place {
        0 | 1 | 4..=8 => *byte == 0,
        2 => byte.is_multiple_of(6),
        3 => *byte == 4,
        _ => true,
    };
    match first.iter().enumerate().all(fits) {
        true => (first.len() >= 9).then_some(Family::Http2),
        false => Some(Family::Opaque),
    }
}

/// What a client that speaks first says; `None` while its bytes leave it open.
fn family(client: &[u8]) -> Option<Family> {
    if let Some(family) = tls(client) {
        return Some(family);
    }
    match redis(client) {
        Match::Whole => return Some(Family::Redis),
        Match::Part => return None,
        Match::Not => {}
    }
    if let Some(family) = postgres(client) {
        return family;
    }
    let skipped = client.iter().take_while(|b| is_line_end(**b)).count();
    if skipped > LEADING_BYTES {
        return Some(Family::Opaque);
    }
    let line = client.get(skipped..).unwrap_or_default();
    match match_prefix(line, H2_PREFACE) {
        Match::Whole if skipped == 0 => return Some(Family::Http2),
        Match::Whole => return Some(Family::Opaque),
        Match::Part => return None,
        Match::Not => {}
    }
    request_line(line)
}

/// The best guess from bytes of `speaker` that left it open, now that the other side says `answer`.
///
/// The two sides of HTTP/2 begin without waiting for each other (RFC 9113 section 3.4), so the
/// SETTINGS of the server may come between two pieces of the client's preface, and the reverse. Only
/// the first byte of the answer counts, as more of it may not have come yet.
pub fn guess_of_both(speaker: Side, first: &[u8], answer: &[u8]) -> Family {
    let answer = answer.get(..1).unwrap_or_default();
    let (client, server) = match speaker {
        Side::Server => (answer, first),
        Side::Client | Side::Sidecar => (first, answer),
    };
    let is_http2 = match_prefix(client, H2_PREFACE) != Match::Not
        && server_family(server) != Some(Family::Opaque);
    match is_http2 {
        true => Family::Http2,
        false => guess(speaker, first),
    }
}

/// The best guess from bytes that left it open, when no more will come before an answer is due.
pub fn guess(speaker: Side, first: &[u8]) -> Family {
    match first {
        _ if speaker == Side::Server => Family::Opaque,
        [0x16, 0x03, ..] => Family::Tls,
        [first, ..] if METHODS.iter().any(|m| m.as_bytes().first() == Some(first)) => Family::Http1,
        _ => Family::Opaque,
    }
}

/// An array of strings, as clients of Redis send commands; or `PING` as health checks type it, which
/// other protocols with that word write in another way (IRC names a token, ClamAV ends it with LF alone).
fn redis(client: &[u8]) -> Match {
    let Some(rest) = client.strip_prefix(b"*") else {
        return match_prefix(client, b"PING\r\n");
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    match rest.get(digits..) {
        Some([]) if digits <= COUNT_DIGITS => Match::Part,
        Some(behind) if (1..=COUNT_DIGITS).contains(&digits) => match_prefix(behind, b"\r\n$"),
        _ => Match::Not,
    }
}

/// A handshake record (RFC 8446 section 5.1) that holds the start of a ClientHello.
fn tls(client: &[u8]) -> Option<Family> {
    match client {
        [0x16, 0x03, 0..=4, _, _, 0x01, ..] => Some(Family::Tls),
        [0x16, rest @ ..] if rest.len() >= 5 => Some(Family::Opaque),
        [0x16, 0x03, minor, ..] if *minor > 4 => Some(Family::Opaque),
        [0x16, major, ..] if *major != 0x03 => Some(Family::Opaque),
        _ => None,
    }
}

/// A packet without a type: its length, and a version or what is asked for. `None` where it cannot be
/// one, and `Some(None)` where that is open.
fn postgres(client: &[u8]) -> Option<Option<Family>> {
    let fits = |(place, byte): (usize, &u8)| match place {
        0 | 1 => *byte == 0,
        2 => *byte <= 0x27,
        _ => true,
    };
    if client.is_empty() || !client.iter().take(3).enumerate().all(fits) {
        return None;
    }
    Some(match client.get(4..) {
        // CancelRequest, SSLRequest, GSSENCRequest.
        Some([0x04, 0xd2, 0x16, 0x2e..=0x30, ..]) => Some(Family::Postgres),
        // A version, and the first letter of a parameter's name, which tells it from a request of Kafka.
        Some([0, 3, 0, 0..=9, letter, ..]) if letter.is_ascii_alphabetic() => {
            Some(Family::Postgres)
        }
        Some([0, 3, 0, 0..=9]) => None,
        Some(begun) if begun.len() < 4 && is_version_or_request(begun) => None,
        None => None,
        _ => Some(Family::Opaque),
    })
}

fn is_version_or_request(begun: &[u8]) -> bool {
    [&[0, 3, 0][..], &[0x04, 0xd2, 0x16]]
        .iter()
        .any(|whole| whole.starts_with(begun))
}

/// `METHOD SP target`: a registered method is enough, any other word in capitals needs a target
/// that looks like one, because other text protocols begin with a word in capitals as well.
fn request_line(line: &[u8]) -> Option<Family> {
    let is_method = |b: &u8| b.is_ascii_uppercase() || *b == b'-' || *b == b'_';
    let length = line.iter().take_while(|b| is_method(b)).count();
    let (method, rest) = line.split_at(length);
    if length > METHOD_BYTES {
        return Some(Family::Opaque);
    }
    match rest {
        // Still inside the method, or inside the TLS record header.
        [] if length > 0 || line.is_empty() => None,
        [0x16, ..] if length == 0 => None,
        [b' ', ..] if METHODS.iter().any(|m| m.as_bytes() == method) => Some(Family::Http1),
        [b' '] if length > 0 => None,
        [b' ', b'/' | b'*', ..] if length > 0 => Some(Family::Http1),
        [b' ', target @ ..] if length > 0 => match match_prefix(target, b"http") {
            Match::Whole => Some(Family::Http1),
            Match::Part => None,
            Match::Not => Some(Family::Opaque),
        },
        _ => Some(Family::Opaque),
    }
}

/// Name of what a client speaks that spoke first: `Continue` asks for more bytes, `Break(None)`
/// says that it is nothing known.
pub fn client_name(first: &[u8]) -> ControlFlow<Option<&'static str>> {
    if let Break(name) = match_any(first, CLIENT_OPENINGS) {
        return Break(Some(name));
    }
    match family(first) {
        Some(Family::Tls) => return Break(Some("tls")),
        Some(Family::Http1) => return Break(Some("http1")),
        Some(Family::Http2) => return Break(Some("h2c")),
        Some(Family::Redis) => return Break(Some("redis")),
        Some(Family::Postgres) => return Break(Some("postgres")),
        None if first.len() < NAME_PREFIX_BYTES => return Continue(()),
        _ => {}
    }
    if let [b'*', b'0'..=b'9', ..] = first {
        return Break(Some("redis"));
    }
    let opening_may_come = CLIENT_OPENINGS
        .iter()
        .any(|(opening, _)| match_prefix(first, opening) == Match::Part);
    match binary_client_name(first) {
        Break(None) if opening_may_come => Continue(()),
        answer => answer,
    }
}

/// Constant first bytes of clients.
const CLIENT_OPENINGS: &[(&[u8], &str)] = &[
    (H2_PREFACE, "h2c"),
    (b"SSH-", "ssh"),
    (b"AMQP\x00", "amqp"),
    (b"AMQP\x03", "amqp"),
    (b"PROXY TCP", "proxy_protocol"),
    (b"\r\n\r\n\0\r\nQUIT\n", "proxy_protocol"),
    (b"RFB 00", "vnc"),
];

/// Protocols that begin with a length.
fn binary_client_name(first: &[u8]) -> ControlFlow<Option<&'static str>> {
    let Some((head, rest)) = first.split_first_chunk::<8>() else {
        return Continue(());
    };
    let be_length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    match head {
        [0x10, _, 0, 4, b'M', b'Q', b'T', b'T'] => return Break(Some("mqtt")),
        [0x10, _, _, 0, 4, b'M', b'Q', b'T'] => return Break(Some("mqtt")),
        // ApiVersions or Metadata, the first thing a Kafka client asks.
        [0, 0, _, _, 0, 18 | 3, 0, 0..=15] if be_length >= 8 => return Break(Some("kafka")),
        _ => {}
    }
    let little_endian_length = head[2] == 0 && head[3] == 0 && (head[0] != 0 || head[1] != 0);
    if !little_endian_length {
        return Break(None);
    }
    // A MongoDB message: length, request id, zero, opcode (OP_MSG, OP_QUERY, OP_COMPRESSED).
    match rest {
        [0, 0, 0, 0, 0xdd | 0xd4 | 0xdc, 0x07, 0, 0, ..] => Break(Some("mongodb")),
        rest if rest.len() < 8 => Continue(()),
        _ => Break(None),
    }
}

/// Name of what a server speaks that spoke first; answers like [`client_name`].
pub fn server_name(first: &[u8]) -> ControlFlow<Option<&'static str>> {
    if let Break(name) = match_any(first, SERVER_OPENINGS) {
        return Break(Some(name));
    }
    match first {
        // Initial handshake packet: three bytes of length, number 0, protocol 10, a version.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] => return Break(Some("mysql")),
        // An error packet instead, such as "too many connections" or "host is blocked".
        [_, _, 0, 0, 0xff, _, _, ..] => return Break(Some("mysql")),
        [_, _, 0, 0, 10] | [_, _, 0, 0, 0xff] | [_, _, 0, 0, 0xff, _] => return Continue(()),
        [_] | [_, _] | [_, _, 0] | [_, _, 0, 0] => return Continue(()),
        _ => {}
    }
    if let [b'2', b'2', b'0', b' ' | b'-', line @ ..] = first {
        return mail_or_files(line);
    }
    let may_come = SERVER_OPENINGS
        .iter()
        .map(|(opening, _)| *opening)
        .chain([&b"220 "[..], &b"220-"[..]])
        .any(|opening| match_prefix(first, opening) == Match::Part);
    if may_come { Continue(()) } else { Break(None) }
}

/// Constant first bytes of servers.
const SERVER_OPENINGS: &[(&[u8], &str)] = &[
    (b"SSH-", "ssh"),
    (b"+OK ", "pop3"),
    (b"* OK ", "imap"),
    (b"* PREAUTH ", "imap"),
    (b"INFO {", "nats"),
    (b"RFB 00", "vnc"),
    (b"HTTP/1.", "http1"),
];

/// SMTP and FTP greet with the same code; the rest of the line tells.
fn mail_or_files(line: &[u8]) -> ControlFlow<Option<&'static str>> {
    let end = line.iter().position(|b| *b == b'\n');
    if end.is_none() && line.len() < NAME_PREFIX_BYTES - 4 {
        return Continue(());
    }
    let text = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    let says = |word: &[u8]| {
        text.windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    Break(if says(b"SMTP") {
        Some("smtp")
    } else if says(b"FTP") {
        Some("ftp")
    } else {
        None
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Whole,
    Part,
    Not,
}

fn match_prefix(bytes: &[u8], pattern: &[u8]) -> Match {
    if bytes.starts_with(pattern) {
        Match::Whole
    } else if pattern.starts_with(bytes) {
        Match::Part
    } else {
        Match::Not
    }
}

fn match_any(bytes: &[u8], openings: &[(&[u8], &'static str)]) -> ControlFlow<&'static str> {
    match openings.iter().find(|(o, _)| bytes.starts_with(o)) {
        Some((_, name)) => Break(name),
        None => Continue(()),
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

#[cfg(test)]
mod tests;
