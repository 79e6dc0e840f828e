//! The messages of one direction: a type, a length that counts itself, and that much less four bytes.
//! Before a session stands, what a client sends has no type.
//!
//! Of each message a beginning is kept, as long as its type is worth it; what lies in one segment is
//! never copied.

use crate::observe::draft::{Grant, keep_up_to};

/// Largest message that either side takes (PostgreSQL's own limit, one GiB).
const LARGEST_BYTES: u32 = 0x3fff_ffff;

/// A message, whole or in part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    /// Its type; 0 where it has none.
    pub(super) kind: u8,
    /// What was kept of what is behind its length.
    pub(super) body: &'a [u8],
    /// How long that is.
    pub(super) size: usize,
    /// When its first byte came.
    pub(super) began: u64,
}

impl Message<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.body.len() == self.size
    }
}

/// What the next bytes bring.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Message(Message<'a>),
    /// All bytes are read, and the message goes on.
    More,
    /// The bytes are no message.
    Malformed,
}

/// Reads the messages of one direction.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whether messages have types.
    pub(super) typed: bool,
    head: [u8; 5],
    head_bytes: usize,
    began: u64,
    body: Option<Body>,
    kept: Vec<u8>,
    grant: Grant,
}

/// A message whose end has not come.
#[derive(Debug, Clone, Copy)]
struct Body {
    kind: u8,
    size: usize,
    left: usize,
    limit: usize,
}

impl Reader {
    pub(super) fn new(typed: bool, grant: Grant) -> Self {
        Self {
            typed,
            head: [0; 5],
            head_bytes: 0,
            began: 0,
            body: None,
            kept: Vec::new(),
            grant,
        }
    }

    /// Forgets what was kept of the message that was given last.
    pub(super) fn done(&mut self) {
        self.kept.clear();
        if self.kept.capacity() > 0 {
            let bytes = std::mem::take(&mut self.kept).capacity();
            self.grant.give_back(bytes);
        }
    }

    /// Takes the next message off the front of `rest`. `limit` says how much of a message of a type is
    /// worth keeping; `None` for a type that there is not.
    pub(super) fn next<'m, 'r: 'm>(
        &'m mut self,
        rest: &mut &'r [u8],
        at: u64,
        limit: impl Fn(u8) -> Option<usize>,
    ) -> Next<'m> {
        if self.body.is_none() {
            match self.read_head(rest, at, limit) {
                Some(true) => {}
                Some(false) => return Next::More,
                None => return Next::Malformed,
            }
        }
        let Some(body) = &mut self.body else {
            return Next::More;
        };
        let (piece, behind) = rest.split_at(body.left.min(rest.len()));
        *rest = behind;
        body.left -= piece.len();
        let is_fresh = piece.len() == body.size;
        if !is_fresh && self.kept.len() < body.limit {
            // What there is no room for is missing at the end, as what is too long is.
            if keep_up_to(&mut self.kept, piece, body.limit, &mut self.grant).is_err() {
                body.limit = 0;
            }
        }
        if body.left > 0 {
            return Next::More;
        }
        let Body {
            kind, size, limit, ..
        } = *body;
        self.body = None;
        Next::Message(Message {
            kind,
            body: match is_fresh {
                true => piece.get(..limit).unwrap_or(piece),
                false => &self.kept,
            },
            size,
            began: self.began,
        })
    }

    /// Reads type and length; says whether they are there, and nothing of what cannot be one.
    fn read_head(
        &mut self,
        rest: &mut &[u8],
        at: u64,
        limit: impl Fn(u8) -> Option<usize>,
    ) -> Option<bool> {
        let length = 4 + usize::from(self.typed);
        if self.head_bytes == 0 && !rest.is_empty() {
            self.began = at;
        }
        while self.head_bytes < length
            && let Some((byte, behind)) = rest.split_first()
            && let Some(place) = self.head.get_mut(self.head_bytes)
        {
            *place = *byte;
            self.head_bytes += 1;
            *rest = behind;
            // At its own byte, however the bytes behind it were cut.
            if self.typed && self.head_bytes == 1 {
                limit(*byte)?;
            }
        }
        let (kind, bytes) = match (self.typed, self.head) {
            (true, [kind, a, b, c, d]) => (kind, [a, b, c, d]),
            (false, [a, b, c, d, _]) => (0, [a, b, c, d]),
        };
        if self.head_bytes < length {
            return Some(false);
        }
        self.head_bytes = 0;
        let size = u32::from_be_bytes(bytes);
        if !(4..=LARGEST_BYTES).contains(&size) {
            return None;
        }
        let size = usize::try_from(size - 4).ok()?;
        self.body = Some(Body {
            kind,
            size,
            left: size,
            limit: limit(kind)?,
        });
        Some(true)
    }
}
