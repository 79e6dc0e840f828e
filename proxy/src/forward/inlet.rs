//! One end of a connection, read a message at a time and never a byte beyond it.
//!
//! What has come is looked at in the socket before it is taken from there. So whatever follows a message
//! is still in the socket for whoever carries the connection next.

use std::io;

use tokio::net::TcpStream;

use super::HEAD_LIMIT_BYTES;
use crate::observe::body::{Body, Part};
use crate::observe::head::{Facts, HeadReader, Progress, is_token};
use crate::socket;

/// How much is read at once.
const ROOM_BYTES: usize = 16 * 1024;

/// Most empty bytes (CR, LF) that may stand before a message (RFC 9112 section 2.2).
const LEADING_BYTES: usize = 8;

/// Reads from a peer.
pub(super) struct Inlet<'a> {
    pub(super) stream: &'a TcpStream,
    room: Box<[u8]>,
}

/// What came where a head was expected.
#[derive(Debug)]
pub(super) enum Head {
    /// A whole one.
    Whole(Vec<u8>, Facts),
    /// The peer closed; so much of a head had come.
    Closed(Vec<u8>),
    /// Something that is none.
    Unreadable,
    /// The beginning of one that is longer than what is read.
    TooLong,
}

/// Why a body was not passed on to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The sender closed within it.
    Cut,
    /// The sender reset the connection.
    Sender,
    /// The receiver takes no more.
    Receiver,
}

impl<'a> Inlet<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            room: vec![0; ROOM_BYTES].into_boxed_slice(),
        }
    }

    /// Reads a head. Fails where the peer reset the connection.
    pub(super) async fn head(&mut self, mut reader: HeadReader) -> io::Result<Head> {
        let mut head = Vec::new();
        let mut skipped = 0;
        loop {
            let piece = self.look().await?;
            let Some(first) = piece.first().copied() else {
                return Ok(Head::Closed(head));
            };
            if head.is_empty() {
                let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
                let empty = piece.iter().take_while(is_line_end).count();
                skipped += empty;
                if skipped > LEADING_BYTES || empty == 0 && !is_token(first) {
                    return Ok(Head::Unreadable);
                }
                if empty > 0 {
                    self.take(empty).await?;
                    continue;
                }
            }
            let (used, progress) = reader.read(piece);
            head.extend_from_slice(self.take(used).await?);
            match progress {
                Progress::BadStart => return Ok(Head::Unreadable),
                // Also where it ends in this piece: pieces differ from one time to the next.
                _ if head.len() > HEAD_LIMIT_BYTES => return Ok(Head::TooLong),
                Progress::Done(facts) => return Ok(Head::Whole(head, facts)),
                Progress::More => {}
            }
        }
    }

    /// Passes a body on. Where its framing makes no sense, everything is passed on until the sender
    /// closes: what to make of it is the receiver's business.
    pub(super) async fn pass_body(&mut self, mut body: Body, to: &TcpStream) -> Result<(), Broken> {
        if body == Body::Sized(0) {
            return Ok(());
        }
        loop {
            let piece = self.look().await.map_err(|_| Broken::Sender)?;
            if piece.is_empty() {
                return match body {
                    Body::UntilClose => Ok(()),
                    _ => Err(Broken::Cut),
                };
            }
            let length = piece.len();
            let (count, is_end) = own_part(&mut body, piece).unwrap_or_else(|| {
                body = Body::UntilClose;
                (length, false)
            });
            let taken = self.take(count).await.map_err(|_| Broken::Sender)?;
            write_all(to, taken).await.map_err(|_| Broken::Receiver)?;
            if is_end {
                return Ok(());
            }
        }
    }

    /// What has come, once there is something; nothing at the end of the stream. It stays in the socket.
    async fn look(&mut self) -> io::Result<&[u8]> {
        let count = self.stream.peek(&mut self.room).await?;
        Ok(self.room.get(..count).unwrap_or_default())
    }

    /// Takes so many bytes of what has come.
    async fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let mut taken = 0;
        while let Some(room) = self
            .room
            .get_mut(taken..count)
            .filter(|room| !room.is_empty())
        {
            self.stream.readable().await?;
            match socket::read_some(self.stream, room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => taken += read,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => return Err(err),
            }
        }
        Ok(self.room.get(..count).unwrap_or_default())
    }
}

/// How much of a piece belongs to a body, and whether it ends there; `None` where that makes no sense.
fn own_part(body: &mut Body, piece: &[u8]) -> Option<(usize, bool)> {
    let mut rest = piece;
    loop {
        let before = rest.len();
        match body.next(&mut rest) {
            Part::End => return Some((piece.len() - rest.len(), true)),
            Part::Malformed => return None,
            // A step may take nothing on its way from one state to the next.
            _ if rest.is_empty() && before == 0 => return Some((piece.len(), false)),
            Part::Data(_) | Part::Trailers(_) | Part::Framing => {}
        }
    }
}

/// Writes everything.
pub(super) async fn write_all(to: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        to.writable().await?;
        let written = socket::write_some(to, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Returns once there is something to read, or the peer closed; `true` if it did, or broke off.
pub(super) async fn closes(stream: &TcpStream) -> bool {
    !matches!(stream.peek(&mut [0; 1]).await, Ok(1))
}
