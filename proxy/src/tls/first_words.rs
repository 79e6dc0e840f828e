//! What a client says first, read until it is known whether that is a ClientHello, and which.

use std::future::{Future as _, poll_fn};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use remora_store::call::Side;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::hello::{Hello, HelloReader, Progress};
use crate::link::Link;
use crate::splice::Scratch;

/// Most that is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How long a hello is held that has begun and is not whole. Of another protocol its bytes may be all that is
/// said before an answer; clients of TLS send a hello in one go.
const HOLD: Duration = Duration::from_millis(500);

/// First byte of a record that holds a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// The beginning of a connection.
pub(super) struct Words {
    pub(super) heard: Heard,
    /// Everything that was read from the client.
    pub(super) said: Bytes,
    /// The client closed behind it.
    pub(super) at_end: bool,
}

/// What it is.
pub(super) enum Heard {
    Hello(Hello),
    /// It begins like TLS, and no hello can be read from it.
    Unreadable,
    /// It begins like TLS, and does not go on: within [`HOLD`], or at all.
    Unfinished,
    /// Something else, or the server spoke first.
    Other,
}

/// Reads until it is known, for [`HOLD`] at most; fails with the side that broke the connection. What is
/// read is bounded by the longest hello.
pub(super) async fn listen(
    client: &TcpStream,
    server: &TcpStream,
    scratch: &Scratch,
) -> Result<Words, Side> {
    let mut ear = Ear {
        reader: HelloReader::default(),
        said: Vec::new(),
    };
    let mut heard = None;
    let mut at_end = false;
    let mut held = None;
    poll_fn(|cx| {
        while heard.is_none() && !at_end {
            let read = scratch.read_into(Link::Plain(client), READ_BYTES, cx, |bytes| {
                at_end = bytes.is_empty();
                heard = ear.hear(bytes);
            });
            match read {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Side::Client)),
                Poll::Pending if has_spoken(server, cx) => break,
                Poll::Pending if ear.said.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    let held = held.get_or_insert_with(|| Box::pin(sleep(HOLD)));
                    return held.as_mut().poll(cx).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    let unheard = match ear.said.is_empty() {
        true => Heard::Other,
        false => Heard::Unfinished,
    };
    Ok(Words {
        heard: heard.unwrap_or(unheard),
        said: ear.said.into(),
        at_end,
    })
}

/// Whether the server has said anything, closed, or broken the connection; nothing is taken.
fn has_spoken(server: &TcpStream, cx: &mut Context<'_>) -> bool {
    let mut room = [0];
    server
        .poll_peek(cx, &mut ReadBuf::new(&mut room))
        .is_ready()
}

/// Listens to a client.
struct Ear {
    reader: HelloReader,
    said: Vec<u8>,
}

impl Ear {
    /// These bytes came; answers once it is known what they are.
    fn hear(&mut self, bytes: &[u8]) -> Option<Heard> {
        self.said.extend_from_slice(bytes);
        match self.said.first() {
            None => return None,
            Some(&HANDSHAKE) => {}
            Some(_) => return Some(Heard::Other),
        }
        match self.reader.read(bytes, |_| true) {
            Progress::More => None,
            Progress::Malformed => Some(Heard::Unreadable),
            Progress::Done(hello) => Some(Heard::Hello(hello)),
        }
    }
}
