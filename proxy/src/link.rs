//! One end of a connection, as the engines read and write it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::socket;
use crate::tls::Session;

/// The way to a peer. What is read and written here is what the application says.
#[derive(Clone, Copy)]
pub(crate) enum Link<'a> {
    /// A socket, nothing in between.
    Plain(&'a TcpStream),
    /// TLS over one.
    Secure(&'a Session<'a>),
}

impl<'a> Link<'a> {
    /// The socket beneath.
    pub(crate) fn socket(self) -> &'a TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(session) => session.socket(),
        }
    }

    /// Reads what has come, once; 0 is the end of the stream.
    pub(crate) fn poll_read(
        self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => loop {
                ready!(socket.poll_read_ready(cx))?;
                match socket::read_some(socket, room) {
                    Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                    outcome => return Poll::Ready(outcome),
                }
            },
            Self::Secure(session) => session.poll_read(cx, room),
        }
    }

    /// Ready when something can be written.
    pub(crate) fn poll_write_ready(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_write_ready(cx),
            Self::Secure(session) => {
                ready!(session.poll_flush(cx))?;
                session.socket().poll_write_ready(cx)
            }
        }
    }

    /// Writes what is taken now, which may be nothing.
    pub(crate) fn write_some(self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket::write_some(socket, bytes),
            Self::Secure(session) => session.write_some(bytes),
        }
    }

    /// Ends the sending direction: the peer reads the end of the stream.
    pub(crate) fn finish_sending(self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket::finish_sending(socket),
            Self::Secure(session) => session.finish_sending(true),
        }
    }

    /// The same, as the sender at the other end did it: TLS that ended without a word ends so here.
    pub(crate) fn finish_as(self, sender: Link<'_>) -> io::Result<()> {
        match (self, sender) {
            (Self::Secure(session), Link::Secure(sender)) => {
                session.finish_sending(!sender.was_cut())
            }
            _ => self.finish_sending(),
        }
    }

    /// Whether something that was taken waits to be written: what was encrypted, or a close behind it.
    pub(crate) fn holds_back(self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(session) => session.holds_back(),
        }
    }

    /// Ready when nothing does.
    pub(crate) fn poll_flush(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Secure(session) => session.poll_flush(cx),
        }
    }

    /// Returns when the peer closed its sending direction, also while bytes before that wait to be read.
    pub(crate) async fn closed_by_peer(self) {
        let closed = async {
            // Of what a socket is registered for only a close is a matter of priority; an error is the
            // runtime's, as below.
            let _ = self.socket().ready(Interest::PRIORITY).await;
        };
        match self {
            Self::Plain(_) => closed.await,
            Self::Secure(session) => tokio::select! {
                () = closed => {}
                () = poll_fn(|cx| session.poll_ended_by_peer(cx)) => {}
            },
        }
    }

    /// Returns when the peer reset the connection or it broke; a close does not count.
    pub(crate) async fn reset_by_peer(self) {
        // An error here means that the runtime is going away, and the connection with it.
        let _ = self.socket().ready(Interest::ERROR).await;
    }
}
