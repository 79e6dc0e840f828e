//! A socket as hyper and h2 see it, and as the tap does.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use remora_store::call::Side;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::input::{Handed, Input};
use super::output::Output;
use super::windows::Window;
use crate::faults::{Injection, Subject};
use crate::link::Link;
use crate::metrics::Traffic;
use crate::observe::End;
use crate::splice::{Rest, Scratch, Watchers};
use crate::tap::Tap;

/// Most that is read at once, and most that is read ahead.
const READ_BYTES: usize = 16 * 1024;

/// Most of interim responses that waits for a client that does not read.
const INTERIMS_LIMIT_BYTES: usize = /* 64 KiB */ 64 * 1024;

/// One end of a terminated connection.
pub(super) struct Wire<'a> {
    side: Side,
    link: Link<'a>,
    scratch: &'a Scratch,
    traffic: &'a Traffic,
    /// Sees what passes here; there is none at the server's end.
    tap: Option<&'a Tap>,
    /// What faults see of the connection.
    subject: Option<&'a Subject>,
    pub(super) input: RefCell<Input>,
    pub(super) output: Rc<Output>,
    /// Where interim responses that are read here go.
    interims: Option<Rc<Output>>,
    broken: Cell<bool>,
    /// The socket takes nothing more for now.
    blocked: Cell<bool>,
}

impl<'a> Wire<'a> {
    /// The client's end, where calls are recorded: they are as the client sent and got them.
    pub(super) fn of_client(link: Link<'a>, watchers: Watchers<'a>) -> Rc<Self> {
        Rc::new(Self {
            tap: watchers.tap,
            ..Self::new(Side::Client, link, watchers)
        })
    }

    /// The server's end.
    pub(super) fn of_server(
        link: Link<'a>,
        watchers: Watchers<'a>,
        interims: &Rc<Output>,
    ) -> Rc<Self> {
        Rc::new(Self {
            interims: Some(Rc::clone(interims)),
            ..Self::new(Side::Server, link, watchers)
        })
    }

    fn new(side: Side, link: Link<'a>, watchers: Watchers<'a>) -> Self {
        Self {
            side,
            link,
            scratch: watchers.scratch,
            traffic: watchers.traffic,
            tap: None,
            subject: watchers.subject,
            input: RefCell::new(Input::new()),
            output: Rc::new(Output::new()),
            interims: None,
            broken: Cell::new(false),
            blocked: Cell::new(false),
        }
    }

    /// What a fault does to a request that was read here: that of a stream of HTTP/2, or the one whose
    /// turn it is. The record of the call says so.
    pub(super) fn strike(
        &self,
        stream: Option<u32>,
        head: impl FnOnce() -> Vec<u8>,
    ) -> Option<Injection> {
        let injection = self.subject?.strike(head)?;
        if let Some(tap) = self.tap {
            tap.struck(stream, &injection);
        }
        Some(injection)
    }

    /// This was read before, and shown.
    pub(super) fn take_up(&self, rest: Rest) {
        let mut input = self.input.borrow_mut();
        input.push(&rest.bytes);
        if rest.at_end {
            input.end();
        }
    }

    /// A window of HTTP/2 for one direction.
    pub(super) fn window(&self) -> Window<'a> {
        Window::new(&self.scratch.windows)
    }

    /// The connection was reset, or broke.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Notes that it did.
    pub(super) fn note_broken(&self) {
        self.broken.set(true);
    }

    /// Something waits until the socket takes more.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// The sender closed.
    pub(super) fn is_at_end(&self) -> bool {
        self.input.borrow().is_at_end()
    }

    /// Reads while nobody asks, so that a close is noticed. What was read has to be looked at again.
    pub(super) fn look_ahead(&self, cx: &mut Context<'_>) {
        if self.is_broken() || !self.input.borrow().has_room() {
            return;
        }
        if self.fill(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Reads once, and keeps what came.
    pub(super) fn fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read = self.scratch.read_into(self.link, READ_BYTES, cx, |bytes| {
            let mut input = self.input.borrow_mut();
            if bytes.is_empty() {
                input.end();
                if let Some(tap) = self.tap {
                    tap.end(self.side, End::Closed);
                }
                return;
            }
            self.traffic.count(self.side, bytes.len());
            if let Some(tap) = self.tap {
                tap.bytes(self.side, bytes);
            }
            input.push(bytes);
        });
        read.map_err(|err| self.broke(err))
    }

    fn poll_hand(&self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut input = self.input.borrow_mut();
            let handed = input.hand(room);
            if let Some(interims) = &self.interims {
                interims.insert(input.take_aside());
                if interims.pending_bytes() > INTERIMS_LIMIT_BYTES {
                    return Poll::Ready(Err(self.broke(unusable("too many interim responses"))));
                }
            }
            drop(input);
            match handed {
                Handed::Malformed => {
                    return Poll::Ready(Err(self.broke(unusable("chunks that are no chunks"))));
                }
                Handed::Bytes | Handed::End => return Poll::Ready(Ok(())),
                Handed::Held => return Poll::Pending,
                Handed::Nothing => ready!(self.fill(cx))?,
            }
        }
    }

    /// Writes what was kept.
    fn drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.output.has_pending() {
            ready!(self.link.poll_write_ready(cx)).map_err(|err| self.broke(err))?;
            let wrote = self.output.drain(|bytes| self.write(bytes));
            wrote.map_err(|err| self.broke(err))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the socket takes now, which may be nothing.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.link.write_some(bytes)?;
        self.show_written(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    /// Ends the reading: everything that was read and not made use of, in which `unread` is what whoever
    /// was handed it has given back.
    pub(super) fn take_unused(&self, unread: &[u8]) -> Vec<u8> {
        self.input.replace(Input::new()).into_rest(unread)
    }

    /// These bytes go to this end.
    pub(super) fn show_written(&self, bytes: &[u8]) {
        if let Some(tap) = self.tap.filter(|_| !bytes.is_empty()) {
            tap.bytes(Side::Server, bytes);
        }
    }

    fn poll_put(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.drain(cx))?;
        if let Some(right) = self.output.put_right(bytes) {
            self.output.keep(&right);
            // What does not fit now is written before anything else is taken.
            let _ = self.drain(cx)?;
            return Poll::Ready(Ok(bytes.len()));
        }
        loop {
            ready!(self.link.poll_write_ready(cx)).map_err(|err| self.broke(err))?;
            match self.write(bytes) {
                Ok(0) => {}
                wrote => return Poll::Ready(wrote.map_err(|err| self.broke(err))),
            }
        }
    }

    fn broke(&self, err: io::Error) -> io::Error {
        self.broken.set(true);
        err
    }
}

/// The handle that hyper and h2 hold.
pub(super) struct Handle<'a>(pub(super) Rc<Wire<'a>>);

impl AsyncRead for Handle<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_hand(cx, room)
    }
}

/// What a peer sent cannot be passed on.
fn unusable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl AsyncWrite for Handle<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let put = self.0.poll_put(cx, bytes);
        self.0.blocked.set(put.is_pending());
        put
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.0.drain(cx);
        self.0.blocked.set(drained.is_pending());
        ready!(drained)?;
        if self.0.output.flushed() {
            // The exchange may wait for just that, in the same task.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// The sockets are closed where both ends are known.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
