//! One end of a connection, as the engines read and write it.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::socket;

/// The way to a peer. What is read and written here is what the application says.
#[derive(Clone, Copy)]
pub(crate) enum Link<'a> {
    /// A socket, nothing in between.
    Plain(&'a TcpStream),
}

impl<'a> Link<'a> {
    /// The socket beneath.
    pub(crate) fn socket(self) -> &'a TcpStream {
        match self {
            Self::Plain(socket) => socket,
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
        }
    }

    /// Ready when something can be written.
    pub(crate) fn poll_write_ready(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Writes what is taken now, which may be nothing.
    pub(crate) fn write_some(self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket::write_some(socket, bytes),
        }
    }

    /// Ends the sending direction: the peer reads the end of the stream.
    pub(crate) fn finish_sending(self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket::finish_sending(socket),
        }
    }

    /// Returns when the peer reset the connection or it broke; a close does not count.
    pub(crate) async fn reset_by_peer(self) {
        // An error here means that the runtime is going away, and the connection with it.
        let _ = self.socket().ready(Interest::ERROR).await;
    }
}
