//! One end of TLS over a socket, read and written as a socket is: what comes is what the peer said inside.
//!
//! Nothing waits here but what the socket did not take. A close is passed on as it came: one that was announced
//! (RFC 8446 section 6.1) as an announced one, one that was not as a bare end of the stream.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustls::Connection;
use tokio::net::TcpStream;

use crate::socket;

/// Most that is encrypted at once: one record (RFC 8446 section 5.1). It bounds what waits for a slow reader.
const WRITE_BYTES: usize = 16 * 1024;

/// Most that is taken in ahead of whoever reads. rustls itself takes no more once it holds as much.
const AHEAD_BYTES: usize = 16 * 1024;

/// As much of what is sent first as it takes to see the random bytes of a ClientHello: two headers and a version
/// stand before it.
const FIRST_BYTES: usize = RANDOM_AT + 32;
const RANDOM_AT: usize = 5 + 4 + 2;

/// TLS with one peer.
pub(crate) struct Session<'a> {
    socket: &'a TcpStream,
    state: RefCell<State>,
    /// The peer has said something inside.
    has_spoken: Cell<bool>,
    /// The peer's direction ended without a word.
    was_cut: Cell<bool>,
    /// The socket takes nothing any more. What the peer sent before may still lie in it.
    is_broken: Cell<bool>,
}

struct State {
    tls: Connection,
    /// Read from the socket before TLS was; it comes first.
    ahead: Bytes,
    /// The beginning of what was sent.
    first: Vec<u8>,
    /// Our direction is to end, or has.
    end: Sending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Ending,
    Ended,
}

/// Why two ends did not agree.
#[derive(Debug)]
pub(super) enum Failure {
    /// What one of them said.
    Tls(rustls::Error),
    /// The peer went away.
    Gone,
}

impl<'a> Session<'a> {
    /// TLS over a socket of which `ahead` was read already.
    pub(super) fn new(socket: &'a TcpStream, tls: impl Into<Connection>, ahead: Bytes) -> Self {
        Self {
            socket,
            state: RefCell::new(State {
                tls: tls.into(),
                ahead,
                first: Vec::new(),
                end: Sending::Open,
            }),
            has_spoken: Cell::new(false),
            was_cut: Cell::new(false),
            is_broken: Cell::new(false),
        }
    }

    /// The socket beneath.
    pub(crate) fn socket(&self) -> &'a TcpStream {
        self.socket
    }

    /// Looks at the connection.
    pub(super) fn inspect<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.state.borrow().tls)
    }

    /// The random bytes of the ClientHello that was sent; zeros where none was.
    pub(super) fn random(&self) -> [u8; 32] {
        let state = self.state.borrow();
        let random = state.first.get(RANDOM_AT..FIRST_BYTES);
        random
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default()
    }

    /// Whether the peer has said anything inside.
    pub(crate) fn has_spoken(&self) -> bool {
        self.has_spoken.get()
    }

    /// Whether the peer's direction ended without being announced.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut.get()
    }

    /// Goes on until both ends agree, or one gives up; the peer is told why.
    pub(super) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let flushed = self.poll_flush(cx);
            // Where it broke, why may still be read.
            if !self.inspect(|tls| tls.is_handshaking()) {
                return flushed.map_err(|_| Failure::Gone);
            }
            match ready!(self.poll_take(cx)) {
                Ok(0) => return Poll::Ready(Err(Failure::Gone)),
                Ok(_) => {}
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
    }

    /// Reads what has come; 0 is the end of the peer's direction.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let read = self.state.borrow_mut().tls.reader().read(room);
            match read {
                // The reset that broke it was met in writing, and is not told again.
                Ok(0) if !room.is_empty() && self.is_broken.get() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Ok(count) => {
                    self.has_spoken.set(self.has_spoken() || count > 0);
                    return Poll::Ready(Ok(count));
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof && self.is_broken.get() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => {
                    self.was_cut.set(true);
                    return Poll::Ready(Ok(0));
                }
                Err(err) => return Poll::Ready(Err(err)),
            }
            // What TLS itself has to answer goes out whether or not anybody writes. If it cannot, whoever writes
            // hears of it: a response ahead of a reset is still to be read.
            let _ = self.poll_flush(cx);
            match ready!(self.poll_take(cx)) {
                Ok(_) => {}
                Err(Failure::Gone) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Err(Failure::Tls(err)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, err)));
                }
            }
        }
    }

    /// Ready once the peer has ended its direction inside, also while what it said before waits to be read. Of that
    /// [`AHEAD_BYTES`] are taken in; an end behind more is found when they were read.
    pub(crate) fn poll_ended_by_peer(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let looked = self.state.borrow_mut().tls.process_new_packets();
            match looked {
                Ok(state) if state.peer_has_closed() => return Poll::Ready(()),
                // Whoever reads makes room, in the same task.
                Ok(state) if state.plaintext_bytes_to_read() >= AHEAD_BYTES => {
                    return Poll::Pending;
                }
                Ok(_) => {}
                Err(_) => return Poll::Ready(()),
            }
            match ready!(self.poll_take(cx)) {
                // What breaks the connection is told to whoever reads.
                Err(Failure::Gone) => return Poll::Pending,
                Ok(0) | Err(Failure::Tls(_)) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Takes what the socket has, and makes sense of it. A peer that breaks the rules is told so.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let mut state = self.state.borrow_mut();
        let State { tls, ahead, .. } = &mut *state;
        let count = if ahead.is_empty() {
            loop {
                if ready!(self.socket.poll_read_ready(cx)).is_err() {
                    return Poll::Ready(Err(Failure::Gone));
                }
                match tls.read_tls(&mut Source(self.socket)) {
                    Ok(count) => break count,
                    Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(Err(Failure::Gone)),
                }
            }
        } else {
            let Ok(count) = tls.read_tls(&mut &ahead[..]) else {
                return Poll::Ready(Err(Failure::Gone));
            };
            ahead.advance(count);
            count
        };
        let made_sense = tls.process_new_packets();
        // Alerts and answers; what does not fit now goes with the next turn.
        let _ = self.flush(&mut state);
        Poll::Ready(made_sense.map(|_| count).map_err(Failure::Tls))
    }

    fn flush(&self, state: &mut State) -> io::Result<bool> {
        let had_ended = state.end == Sending::Ended;
        let flushed = state.flush(self.socket);
        // Behind our own end nothing can be written, which says nothing about the peer.
        if flushed.is_err() && !had_ended {
            self.is_broken.set(true);
        }
        flushed
    }

    /// Whether something waits until the socket takes it.
    pub(crate) fn holds_back(&self) -> bool {
        let state = self.state.borrow();
        state.tls.wants_write() || state.end == Sending::Ending
    }

    /// Ready when nothing waits any more.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.flush(&mut self.state.borrow_mut())? {
            ready!(self.socket.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts and writes what is taken now, which may be nothing.
    pub(crate) fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let mut taken = 0;
        for piece in bytes.chunks(WRITE_BYTES) {
            if !self.flush(&mut state)? {
                break;
            }
            taken += state.tls.writer().write(piece)?;
        }
        self.flush(&mut state)?;
        Ok(taken)
    }

    /// Ends our direction once everything is written; `announced` says so inside.
    pub(crate) fn finish_sending(&self, announced: bool) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        if state.end == Sending::Open {
            if announced {
                state.tls.send_close_notify();
            }
            state.end = Sending::Ending;
        }
        self.flush(&mut state).map(|_| ())
    }
}

impl State {
    /// Writes what waits; true when nothing does any more.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.tls.wants_write() {
            let mut sink = Sink {
                socket,
                first: &mut self.first,
            };
            match self.tls.write_tls(&mut sink) {
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(err) => return Err(err),
            }
        }
        if self.end == Sending::Ending {
            self.end = Sending::Ended;
            socket::finish_sending(socket)?;
        }
        Ok(true)
    }
}

/// A socket as rustls reads it.
struct Source<'a>(&'a TcpStream);

impl io::Read for Source<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        socket::read_some(self.0, room)
    }
}

/// A socket as rustls writes it.
struct Sink<'a> {
    socket: &'a TcpStream,
    first: &'a mut Vec<u8>,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = socket::write_some(self.socket, bytes)?;
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let missing = FIRST_BYTES.saturating_sub(self.first.len()).min(written);
        self.first
            .extend_from_slice(bytes.get(..missing).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
