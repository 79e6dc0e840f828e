//! Reads the head of an HTTP/1 message line by line, for what framing needs and no more.
//!
//! Knows RFC 9112 sections 2 to 6 as far as they say where a message ends. Lines are looked at
//! where they lie; only a line that is cut by the end of a segment is put aside, and of a long one
//! only both ends. What is kept of the head for the record is the caller's business.

use memchr::memchr;

use super::events::is_event_stream;

/// Most bytes of a line's beginning that are looked at.
const LINE_BYTES: usize = 1024;

/// Bytes of a long line's end that are looked at: enough for ` HTTP/1.1` and the line end.
const LINE_TAIL_BYTES: usize = 16;

/// Longest method that is taken for one, with the space after it.
const METHOD_BYTES: usize = 64;

/// What begins the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// A request line with this kind of method.
    Request(Method),
    /// A status line with this code.
    Response(u16),
}

/// Methods as far as framing tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Connect,
    Other,
}

/// What a whole head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) start: Start,
    /// Sum of what the Content-Length fields say.
    pub(crate) length: Length,
    /// Sum of what the Transfer-Encoding fields say.
    pub(crate) coding: Coding,
    /// The request is a kubelet's health check.
    pub(crate) probe: bool,
    /// Protocol that the Upgrade field names first, in lower case.
    pub(crate) upgrade: Option<String>,
    /// The body is a stream of events in no coding but `chunked`.
    pub(crate) events: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Absent,
    Bytes(u64),
    /// No number, or several that differ: nobody can say where the message ends.
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Absent,
    /// `chunked` is the last coding, and stands there once.
    Chunked,
    /// Other codings only.
    Other,
    /// `chunked` before another coding, or twice, or a field that readers disagree on.
    Invalid,
}

/// What a piece of a head brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The head goes on after these bytes.
    More,
    /// The first line is none of HTTP/1's.
    BadStart,
    /// The head is complete.
    Done(Facts),
}

/// Reads one head.
#[derive(Debug)]
pub(crate) struct HeadReader {
    kind: Kind,
    start: Option<Start>,
    length: Length,
    coding: Coding,
    probe: bool,
    upgrade: Option<String>,
    /// The content is a stream of events.
    event_stream: bool,
    /// A coding other than `chunked` is on it.
    coded: bool,
    /// The last line was a framing field, which must not be folded.
    after_framing: bool,
    cut: CutLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

/// A line of which the end is still to come.
#[derive(Debug, Default)]
struct CutLine {
    /// At most [`LINE_BYTES`] of its beginning and [`LINE_TAIL_BYTES`] of its end.
    bytes: Vec<u8>,
    /// Its true length.
    length: usize,
}

impl CutLine {
    fn push(&mut self, piece: &[u8]) {
        self.length = self.length.saturating_add(piece.len());
        let room = LINE_BYTES.saturating_sub(self.bytes.len());
        let (first, rest) = piece.split_at(room.min(piece.len()));
        self.bytes.extend_from_slice(first);
        let tail = rest.len().saturating_sub(LINE_TAIL_BYTES);
        self.bytes
            .extend_from_slice(rest.get(tail..).unwrap_or_default());
        let most = LINE_BYTES + LINE_TAIL_BYTES;
        if self.bytes.len() > most {
            let surplus = self.bytes.len() - most;
            self.bytes.drain(LINE_BYTES..LINE_BYTES + surplus);
        }
    }
}

impl HeadReader {
    pub(crate) fn request() -> Self {
        Self::new(Kind::Request)
    }

    pub(crate) fn response() -> Self {
        Self::new(Kind::Response)
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            start: None,
            length: Length::Absent,
            coding: Coding::Absent,
            probe: false,
            upgrade: None,
            event_stream: false,
            coded: false,
            after_framing: false,
            cut: CutLine::default(),
        }
    }

    /// Reads on; says how many bytes belong to the head, and what they brought.
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, Progress) {
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let Some(end) = memchr(b'\n', rest) else {
                self.cut.push(rest);
                return (input.len(), Progress::More);
            };
            let (piece, _) = rest.split_at(end + 1);
            used += piece.len();
            let progress = if self.cut.length == 0 {
                self.line(piece, piece.len())
            } else {
                let mut cut = std::mem::take(&mut self.cut);
                cut.push(piece);
                self.line(&cut.bytes, cut.length)
            };
            if progress != Progress::More {
                return (used, progress);
            }
        }
        (used, Progress::More)
    }

    /// Takes one line with its end. `length` is its true length, of which the middle may be missing.
    fn line(&mut self, line: &[u8], length: usize) -> Progress {
        let text = match line {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            text => text,
        };
        let Some(start) = self.start else {
            self.start = match self.kind {
                Kind::Request => request_line(text).map(Start::Request),
                Kind::Response => status_line(text).map(Start::Response),
            };
            return if self.start.is_some() {
                Progress::More
            } else {
                Progress::BadStart
            };
        };
        if text.is_empty() {
            return Progress::Done(Facts {
                start,
                length: self.length,
                coding: self.coding,
                probe: self.probe,
                upgrade: self.upgrade.take(),
                events: self.event_stream && !self.coded,
            });
        }
        self.field(text, length);
        Progress::More
    }

    fn field(&mut self, text: &[u8], length: usize) {
        if matches!(text, [b' ' | b'\t', ..]) {
            // A folded value: some readers join it to the field before, others do not.
            if self.after_framing {
                self.coding = Coding::Invalid;
            }
            return;
        }
        self.after_framing = false;
        // However the line was cut, the same part of it is looked at.
        let text = text.get(..LINE_BYTES).unwrap_or(text);
        let Some(colon) = memchr(b':', text) else {
            return;
        };
        let (name, value) = text.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let bare = name.trim_ascii_end();
        let spaced = bare.len() < name.len();
        match bare.len() {
            7 if bare.eq_ignore_ascii_case(b"upgrade") => self.upgrade = first_token(value),
            10 if self.kind == Kind::Request && bare.eq_ignore_ascii_case(b"user-agent") => {
                self.probe = value.starts_with(b"kube-probe/");
            }
            12 if bare.eq_ignore_ascii_case(b"content-type") => {
                self.event_stream = is_event_stream(value);
            }
            16 if bare.eq_ignore_ascii_case(b"content-encoding") => {
                self.coded |= !value.eq_ignore_ascii_case(b"identity");
            }
            14 if bare.eq_ignore_ascii_case(b"content-length") => {
                self.after_framing = true;
                self.length = if spaced || length > LINE_BYTES {
                    Length::Invalid
                } else {
                    content_length(self.length, value)
                };
            }
            17 if bare.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.after_framing = true;
                self.coded |= !value.eq_ignore_ascii_case(b"chunked");
                self.coding = if spaced || length > LINE_BYTES {
                    Coding::Invalid
                } else {
                    transfer_encoding(self.coding, value)
                };
            }
            _ => {}
        }
    }
}

/// `method SP target SP HTTP/1.x`; the target may hold anything, as some servers allow it to.
fn request_line(text: &[u8]) -> Option<Method> {
    let (_, version) = text.split_last_chunk::<9>()?;
    let [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] = version else {
        return None;
    };
    let space = memchr(b' ', text.get(..METHOD_BYTES).unwrap_or(text))?;
    let (method, _) = text.split_at(space);
    let has_target = space + version.len() < text.len();
    if !has_target || method.is_empty() || !method.iter().all(|b| is_token(*b)) {
        return None;
    }
    Some(match method {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        _ => Method::Other,
    })
}

/// `HTTP/1.x SP code`, with or without a reason after it.
fn status_line(text: &[u8]) -> Option<u16> {
    let (start, rest) = text.split_first_chunk::<12>()?;
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'0'..=b'9',
        b' ',
        code @ ..,
    ] = start
    else {
        return None;
    };
    if !matches!(rest, [] | [b' ', ..]) || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    (code >= 100).then_some(code)
}

/// Characters of a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A list of equal numbers counts as that number (RFC 9112 section 6.3).
fn content_length(mut known: Length, value: &[u8]) -> Length {
    for item in value.split(|b| *b == b',') {
        let Some(bytes) = number(item.trim_ascii()) else {
            return Length::Invalid;
        };
        known = match known {
            Length::Absent => Length::Bytes(bytes),
            Length::Bytes(before) if before == bytes => known,
            _ => Length::Invalid,
        };
    }
    known
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn transfer_encoding(mut known: Coding, value: &[u8]) -> Coding {
    for item in value.split(|b| *b == b',') {
        let item = item.trim_ascii();
        if item.is_empty() {
            continue;
        }
        known = match (known, item.eq_ignore_ascii_case(b"chunked")) {
            (Coding::Absent | Coding::Other, true) => Coding::Chunked,
            (Coding::Absent | Coding::Other, false) => Coding::Other,
            (Coding::Chunked | Coding::Invalid, _) => Coding::Invalid,
        };
    }
    // A field without a coding is still one that only some readers see.
    match known {
        Coding::Absent => Coding::Invalid,
        known => known,
    }
}

/// The first name in a list of protocols, without its version; at most 32 characters.
fn first_token(value: &[u8]) -> Option<String> {
    let token: String = value
        .iter()
        .take_while(|b| is_token(**b))
        .take(32)
        .map(|b| char::from(b.to_ascii_lowercase()))
        .collect();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests;
