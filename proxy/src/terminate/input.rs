//! What was read from a socket, cut into messages.
//!
//! hyper is given one message at a time and not a byte of the next, and only whole heads. So each head is
//! at hand as it came, and what hyper has no use for is still ours to be spliced. Pure but for the clock.

use std::mem::take;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use super::HEAD_LIMIT_BYTES;
use crate::observe::body::{Body, Part};

/// One direction, as far as it was read.
#[derive(Debug)]
pub(super) struct Input {
    /// Read and not handed out.
    ahead: BytesMut,
    stage: Stage,
    /// Interim responses (1xx) that are not handed out.
    aside: Vec<u8>,
    /// The sender closed.
    at_end: bool,
    /// What comes cannot be handed out in messages.
    lost: bool,
    /// More was asked for while the head that was handed out had not been taken.
    was_asked: bool,
    /// hyper has made sense of that head.
    is_understood: bool,
    /// The last byte of the trailers, as far as they came.
    last_of_trailers: u8,
}

#[derive(Debug)]
enum Stage {
    /// A head, as far as it came.
    Head(Box<Head>),
    /// A whole head, of which so many bytes were handed out.
    Whole(Vec<u8>, usize),
    /// A body of which the end is known.
    Body(Body),
    /// A body that is framed against the rules from here on.
    Malformed,
    /// Whatever comes is handed out.
    Open,
}

/// What heads are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

/// A head that is being gathered, with the empty lines before it.
#[derive(Debug)]
struct Head {
    kind: Kind,
    bytes: Vec<u8>,
    /// Something but line ends has come.
    begun: bool,
    /// Nothing has come in the current line.
    is_line_empty: bool,
}

/// Whether bytes were handed out, and if not, why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handed {
    Bytes,
    /// There are none, and more may come.
    Nothing,
    /// There will be no more.
    End,
    /// Nothing before somebody takes the head, or at all.
    Held,
    /// What comes is framed against the rules: nobody may guess where it ends.
    Malformed,
}

impl Input {
    /// What is not cut, until somebody says so.
    pub(super) fn new() -> Self {
        Self {
            ahead: BytesMut::new(),
            stage: Stage::Open,
            aside: Vec::new(),
            at_end: false,
            lost: false,
            was_asked: false,
            is_understood: false,
            last_of_trailers: 0,
        }
    }

    /// What was read and not handed out.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Nothing is handed out for a while.
    pub(super) fn hold(&mut self, is_held: bool) {
        self.lost = is_held;
    }

    /// These bytes were read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
    }

    /// The sender closed.
    pub(super) fn end(&mut self) {
        self.at_end = true;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Whether everything that was read was handed out.
    pub(super) fn is_drained(&self) -> bool {
        let waits = match &self.stage {
            Stage::Head(head) => !head.bytes.is_empty(),
            Stage::Whole(..) => true,
            Stage::Body(_) | Stage::Malformed | Stage::Open => false,
        };
        self.ahead.is_empty() && !waits
    }

    /// Whether more may be read while nobody asks for it.
    pub(super) fn has_room(&self) -> bool {
        self.ahead.is_empty() && !self.at_end
    }

    /// Whether what comes cannot be handed out in messages. Asked once hyper had its turn: where it wants
    /// more and has not made sense of a head, it takes more for a head than we do.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.was_asked && self.has_head() && !self.is_understood
    }

    /// hyper has made sense of the head that was handed out.
    pub(super) fn understand(&mut self) {
        self.is_understood = true;
    }

    /// Whether hyper has asked for what it can have by now.
    pub(super) fn take_asked(&mut self) -> bool {
        !self.has_head() && take(&mut self.was_asked)
    }

    fn has_head(&self) -> bool {
        matches!(self.stage, Stage::Whole(..))
    }

    /// The head that was handed out, as it came.
    pub(super) fn head(&self) -> &[u8] {
        match &self.stage {
            Stage::Whole(head, _) => head,
            _ => &[],
        }
    }

    /// Takes it; its body is framed so.
    pub(super) fn take_head(&mut self, body: Body) -> Vec<u8> {
        self.take_head_before(Stage::Body(body))
    }

    /// The same, where whatever follows is handed out.
    pub(super) fn take_head_open(&mut self) -> Vec<u8> {
        self.take_head_before(Stage::Open)
    }

    fn take_head_before(&mut self, stage: Stage) -> Vec<u8> {
        self.is_understood = false;
        self.last_of_trailers = 0;
        match std::mem::replace(&mut self.stage, stage) {
            Stage::Whole(head, _) => head,
            _ => Vec::new(),
        }
    }

    /// What comes next is the head of a response.
    pub(super) fn expect_response(&mut self) {
        self.stage = Stage::Head(Head::of(Kind::Response));
    }

    /// What comes next is the head of a request.
    pub(super) fn expect_request(&mut self) {
        self.stage = Stage::Head(Head::of(Kind::Request));
    }

    /// Interim responses that have come since this was last asked.
    pub(super) fn take_aside(&mut self) -> Vec<u8> {
        take(&mut self.aside)
    }

    /// Hands out what may be handed out.
    pub(super) fn hand(&mut self, room: &mut ReadBuf<'_>) -> Handed {
        loop {
            match &mut self.stage {
                _ if self.lost => return Handed::Held,
                Stage::Head(head) => {
                    let is_whole = head.gather(&mut self.ahead);
                    if head.bytes.len() > HEAD_LIMIT_BYTES || !head.may_be_one() {
                        self.lost = true;
                    } else if is_whole {
                        self.see_head();
                    } else if self.at_end && !head.bytes.is_empty() {
                        self.lost = true;
                    } else {
                        return self.nothing();
                    }
                }
                Stage::Whole(head, handed) => {
                    let left = head.get(*handed..).unwrap_or_default();
                    let count = left.len().min(room.remaining());
                    room.put_slice(left.get(..count).unwrap_or_default());
                    *handed += count;
                    if count > 0 {
                        return Handed::Bytes;
                    }
                    self.was_asked = true;
                    return Handed::Held;
                }
                Stage::Body(body) => {
                    let limit = self.ahead.len().min(room.remaining());
                    let piece = self.ahead.get(..limit).unwrap_or_default();
                    let count = match content(body, &mut self.last_of_trailers, piece) {
                        Content::Bytes(count) => count,
                        Content::Ends(0) => {
                            self.expect_request();
                            continue;
                        }
                        Content::Ends(count) => {
                            self.expect_request();
                            count
                        }
                        Content::Malformed(good) => {
                            self.stage = Stage::Malformed;
                            good
                        }
                    };
                    if count > 0 || !matches!(self.stage, Stage::Malformed) {
                        return self.hand_ahead(count, room);
                    }
                }
                Stage::Malformed => return Handed::Malformed,
                Stage::Open => {
                    let count = self.ahead.len().min(room.remaining());
                    return self.hand_ahead(count, room);
                }
            }
        }
    }

    fn see_head(&mut self) {
        self.release();
        let Stage::Head(head) = &mut self.stage else {
            return;
        };
        let bytes = take(&mut head.bytes);
        if head.kind == Kind::Response && is_interim(&bytes) {
            self.aside.extend_from_slice(&bytes);
            self.expect_response();
        } else {
            self.stage = Stage::Whole(bytes, 0);
        }
    }

    fn hand_ahead(&mut self, count: usize, room: &mut ReadBuf<'_>) -> Handed {
        if count == 0 {
            return self.nothing();
        }
        room.put_slice(self.ahead.get(..count).unwrap_or_default());
        self.ahead.advance(count);
        self.release();
        Handed::Bytes
    }

    /// Idle connections hold no memory.
    fn release(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }

    fn nothing(&self) -> Handed {
        match self.at_end {
            true => Handed::End,
            false => Handed::Nothing,
        }
    }

    /// Everything that nobody made use of: the head at hand, or else `unread`, which hyper gave back.
    pub(super) fn into_rest(self, unread: &[u8]) -> Vec<u8> {
        let mut rest = self.aside;
        match self.stage {
            Stage::Head(head) => rest.extend(head.bytes),
            Stage::Whole(head, _) => rest.extend(head),
            Stage::Body(_) | Stage::Malformed | Stage::Open => rest.extend(unread),
        }
        rest.extend_from_slice(&self.ahead);
        rest
    }
}

impl Head {
    fn of(kind: Kind) -> Box<Self> {
        Box::new(Self {
            kind,
            bytes: Vec::new(),
            begun: false,
            is_line_empty: false,
        })
    }

    /// Whether it begins like one. Whoever speaks something else may never send an empty line, and
    /// be waited for.
    fn may_be_one(&self) -> bool {
        let bytes = self.bytes.trim_ascii_start();
        let version = b"HTTP/1.";
        let line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
        match (self.kind, line) {
            (Kind::Request, None) => true,
            (Kind::Request, Some(line)) => memchr::memmem::find(line, version).is_some(),
            (Kind::Response, _) => bytes.starts_with(version) || version.starts_with(bytes),
        }
    }

    /// Takes what belongs to the head off the front; true once it is whole.
    fn gather(&mut self, ahead: &mut BytesMut) -> bool {
        let end = ahead.iter().position(|byte| self.ends_with(*byte));
        let count = end.map_or(ahead.len(), |end| end + 1);
        self.bytes.extend_from_slice(&ahead.split_to(count));
        end.is_some()
    }

    /// Whether the head ends with the empty line that this byte ends. Lines end with LF, with or without
    /// a CR (RFC 9112 section 2.2), and empty ones before the first are no part of it.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' if self.is_line_empty && self.begun => return true,
            b'\n' => self.is_line_empty = true,
            b'\r' => {}
            _ => {
                self.begun = true;
                self.is_line_empty = false;
            }
        }
        false
    }
}

/// Whether a head is that of an interim response: any 1xx but 101, after which another protocol begins.
fn is_interim(head: &[u8]) -> bool {
    let status = head
        .trim_ascii_start()
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(1..5));
    matches!(status, Some([b' ', b'1', status @ ..]) if status != b"01")
}

/// How many bytes of a piece belong to a body.
enum Content {
    Bytes(usize),
    /// So many, and it is over.
    Ends(usize),
    /// So many, and what follows makes no sense.
    Malformed(usize),
}

/// Trailer lines have to end with CR LF: hyper waits for the CR for ever.
fn content(body: &mut Body, last_of_trailers: &mut u8, piece: &[u8]) -> Content {
    let mut rest = piece;
    loop {
        let before = rest.len();
        let is_in_trailers = body.is_in_trailers();
        let part = body.next(&mut rest);
        if is_in_trailers {
            let taken = piece.get(piece.len() - before..piece.len() - rest.len());
            for byte in taken.unwrap_or_default() {
                if *byte == b'\n' && *last_of_trailers != b'\r' {
                    return Content::Malformed(piece.len() - before);
                }
                *last_of_trailers = *byte;
            }
        }
        match part {
            Part::End => return Content::Ends(piece.len() - rest.len()),
            Part::Malformed => return Content::Malformed(piece.len() - before),
            // A step may take nothing on its way from one state to the next.
            Part::Data(_) | Part::Trailers(_) | Part::Framing if rest.is_empty() && before == 0 => {
                return Content::Bytes(piece.len());
            }
            Part::Data(_) | Part::Trailers(_) | Part::Framing => {}
        }
    }
}

#[cfg(test)]
mod tests;
