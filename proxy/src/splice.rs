//! The splice: bytes go through unchanged, both ways, and are shown to the tap on the way.
//!
//! One task serves both directions. All connections of a thread share one read buffer, so that an
//! idle connection holds none; only what a slow reader left over is kept, per direction. A message
//! costs one read and one write, as in a plain relay.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use remora_store::call::Side;

use crate::faults::Subject;
use crate::link::Link;
use crate::metrics::Traffic;
use crate::observe::End;
use crate::tap::Tap;
use crate::terminate::Windows;

/// Size of the read buffer that the connections of a thread share.
const SCRATCH_BYTES: usize = 64 * 1024;

/// How much is read at once while slow readers hold much memory already.
const SMALL_READ_BYTES: usize = 8 * 1024;

/// Leftovers of all connections of a thread above which reads get small.
const HELD_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// How much one direction may move before other connections get their turn.
const TURN_BYTES: usize = 4 * SCRATCH_BYTES;

/// The read buffer of a thread, and how much of what was read there still waits to be written, or may come to.
pub(crate) struct Scratch {
    buffer: RefCell<Box<[u8]>>,
    held_bytes: Cell<usize>,
    /// What connections of HTTP/2 may hold that are not spliced.
    pub(crate) windows: Windows,
}

impl Scratch {
    /// A buffer for all connections of one thread.
    pub(crate) fn new() -> Self {
        Self {
            buffer: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
            held_bytes: Cell::new(0),
            windows: Windows::new(),
        }
    }

    /// Reads once, at most `limit` bytes, and shows what came; no bytes are the end of the stream.
    pub(crate) fn read_into(
        &self,
        from: Link<'_>,
        limit: usize,
        cx: &mut Context<'_>,
        show: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut buffer = self.buffer.borrow_mut();
        let size = limit.min(SCRATCH_BYTES);
        let room = buffer.get_mut(..size).expect("reads fit into the buffer");
        let count = ready!(from.poll_read(cx, room))?;
        show(room.get(..count).unwrap_or_default());
        Poll::Ready(Ok(()))
    }

    fn read_size(&self) -> usize {
        if self.held_bytes.get() < HELD_LIMIT_BYTES {
            SCRATCH_BYTES
        } else {
            SMALL_READ_BYTES
        }
    }
}

/// Who watches the bytes go by.
#[derive(Clone, Copy)]
pub(crate) struct Watchers<'a> {
    /// The thread's read buffer.
    pub(crate) scratch: &'a Scratch,
    /// Counts bytes.
    pub(crate) traffic: &'a Traffic,
    /// Shows them to the observer; `None` where recording is off.
    pub(crate) tap: Option<&'a Tap>,
    /// What faults see of the connection; `None` where none are allowed.
    pub(crate) subject: Option<&'a Subject>,
}

impl Watchers<'_> {
    /// Whether a fault may meet the next call of the connection, and the observer is sure that none is
    /// under way: then it can be carried by its messages from here on.
    pub(crate) fn is_to_change(&self, cx: &Context<'_>) -> bool {
        let Some(subject) = self.subject else {
            return false;
        };
        subject.is_to_change(cx, self.tap.is_some(), || self.tap?.family())
            && self.tap.is_some_and(Tap::is_at_rest)
            && subject.is_concerned()
    }

    /// The connection is over.
    pub(crate) fn show_outcome(&self, outcome: Outcome) {
        let Some(tap) = self.tap else { return };
        match outcome {
            Outcome::Closed(first) => tap.closed(first),
            Outcome::Reset(by) => {
                tap.end(by, End::Reset);
                tap.closed(by);
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both sides closed their direction; this one was the first.
    Closed(Side),
    /// This side reset the connection, or its connection broke. The other side is to be reset.
    Reset(Side),
}

/// What another engine leaves of one direction to the splice that goes on from there.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Bytes that were read, and shown, and are still to be written.
    pub(crate) bytes: Vec<u8>,
    /// The sender's close was read, and shown.
    pub(crate) at_end: bool,
    /// It was passed on.
    pub(crate) finished: bool,
}

/// Copies both ways until the connection is over, from where another engine left it. Each close is passed on as
/// it comes.
pub(crate) async fn splice_on(
    client: Link<'_>,
    server: Link<'_>,
    watchers: Watchers<'_>,
    up: Rest,
    down: Rest,
) -> Outcome {
    let outcome = splice_until(client, server, watchers, up, down, |_| false).await;
    // Nobody asks it to stop.
    outcome.unwrap_or(Outcome::Closed(Side::Sidecar))
}

/// The same, until `stop` says so while there is nothing on its way; `None` then.
pub(crate) async fn splice_until(
    client: Link<'_>,
    server: Link<'_>,
    watchers: Watchers<'_>,
    up: Rest,
    down: Rest,
    stop: impl Fn(&Context<'_>) -> bool,
) -> Option<Outcome> {
    let mut up = Flow::new(Side::Client, client, server, watchers, up);
    let mut down = Flow::new(Side::Server, server, client, watchers, down);
    let mut first_closed = None;
    let outcome = poll_fn(|cx| {
        if let Some(by) =
            advance(&mut up, &mut down, cx).or_else(|| advance(&mut down, &mut up, cx))
        {
            return Poll::Ready(Some(Outcome::Reset(by)));
        }
        if first_closed.is_none() {
            first_closed = [&up, &down]
                .into_iter()
                .find(|flow| flow.at_end)
                .map(|flow| flow.sender);
        }
        match first_closed {
            // Both are asked, so that both are heard of.
            Some(first) if up.is_over(cx) & down.is_over(cx) => {
                Poll::Ready(Some(Outcome::Closed(first)))
            }
            None if stop(cx) && up.is_quiet() && down.is_quiet() => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await;
    if let Some(outcome) = outcome {
        watchers.show_outcome(outcome);
    }
    outcome
}

/// Moves one direction on; answers the side that broke when nothing is left to be read from it.
fn advance(flow: &mut Flow<'_>, back: &mut Flow<'_>, cx: &mut Context<'_>) -> Option<Side> {
    match flow.poll(cx) {
        Poll::Pending => None,
        Poll::Ready(broken) if broken == flow.sender || back.finished => Some(broken),
        // The sender broke first, and now what it had sent has nowhere to go either.
        Poll::Ready(_) if flow.sender_broke => Some(flow.sender),
        Poll::Ready(_) => {
            // The receiver takes no more, but what it sent before may still lie in our socket: a
            // response that came just ahead of a reset belongs to the other side.
            flow.receiver_broke = true;
            back.sender_broke = true;
            cx.waker().wake_by_ref();
            None
        }
    }
}

/// One direction of a connection.
struct Flow<'a> {
    sender: Side,
    from: Link<'a>,
    to: Link<'a>,
    watchers: Watchers<'a>,
    /// What was read and could not be written yet.
    rest: Vec<u8>,
    /// The sender closed its direction.
    at_end: bool,
    /// The close was passed on.
    finished: bool,
    /// Writing to the sender failed: its end of stream is a reset whose error was reported there.
    sender_broke: bool,
    receiver_broke: bool,
    /// Its turn ended before there was nothing left to read.
    is_cut_short: bool,
    /// Tells of a reset by the sender while nothing is read from it.
    reset: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

/// Why a direction cannot go on.
enum Failed {
    Reading,
    Writing,
}

impl<'a> Flow<'a> {
    fn new(sender: Side, from: Link<'a>, to: Link<'a>, watchers: Watchers<'a>, rest: Rest) -> Self {
        let held_bytes = &watchers.scratch.held_bytes;
        held_bytes.update(|held| held + rest.bytes.len());
        Self {
            sender,
            from,
            to,
            watchers,
            rest: rest.bytes,
            at_end: rest.at_end,
            finished: rest.finished,
            sender_broke: false,
            receiver_broke: false,
            is_cut_short: false,
            reset: None,
        }
    }

    /// Everything that was read was written, and it goes on.
    fn is_quiet(&self) -> bool {
        let is_written = self.rest.is_empty() && !self.to.holds_back();
        is_written && !self.at_end && !self.receiver_broke && !self.is_cut_short
    }

    /// Moves bytes until it would block or the turn is over; ready with the side that broke.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Side> {
        if self.receiver_broke {
            return Poll::Pending;
        }
        let mut moved_bytes = 0;
        self.is_cut_short = false;
        while !self.finished {
            if !self.rest.is_empty() || self.to.holds_back() {
                match self.write_rest(cx) {
                    Poll::Pending => return self.watch_for_reset(cx),
                    Poll::Ready(Err(_)) => return Poll::Ready(self.receiver()),
                    Poll::Ready(Ok(())) => {}
                }
            } else if self.at_end {
                if self.sender_broke {
                    return Poll::Ready(self.sender);
                }
                if self.to.finish_as(self.from).is_err() {
                    return Poll::Ready(self.receiver());
                }
                self.finished = true;
            } else if moved_bytes >= TURN_BYTES {
                self.is_cut_short = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else {
                match ready!(self.relay(cx)) {
                    Ok(0) if self.sender_broke => return Poll::Ready(self.sender),
                    Ok(0) => self.see_end(),
                    Ok(count) => moved_bytes += count,
                    Err(Failed::Reading) => return Poll::Ready(self.sender),
                    Err(Failed::Writing) => return Poll::Ready(self.receiver()),
                }
            }
        }
        self.watch_for_reset(cx)
    }

    /// Reads once, shows what came, and writes it on as far as the receiver takes it.
    fn relay(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failed>> {
        let scratch = self.watchers.scratch;
        let mut buffer = scratch.buffer.borrow_mut();
        let room = buffer
            .get_mut(..scratch.read_size())
            .expect("reads fit into the buffer");
        let Ok(count) = ready!(self.from.poll_read(cx, room)) else {
            return Poll::Ready(Err(Failed::Reading));
        };
        let bytes = room
            .get(..count)
            .expect("the kernel wrote no more than there is room for");
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.watchers.traffic.count(self.sender, bytes.len());
        if let Some(tap) = self.watchers.tap {
            tap.bytes(self.sender, bytes);
        }
        let Ok(written) = self.to.write_some(bytes) else {
            return Poll::Ready(Err(Failed::Writing));
        };
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            self.rest.extend_from_slice(rest);
            scratch.held_bytes.update(|held| held + rest.len());
        }
        Poll::Ready(Ok(count))
    }

    fn write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.to.poll_write_ready(cx))?;
        if self.rest.is_empty() {
            self.reset = None;
            return Poll::Ready(Ok(()));
        }
        let written = self.to.write_some(&self.rest)?;
        self.rest.drain(..written);
        self.watchers
            .scratch
            .held_bytes
            .update(|held| held - written);
        if self.rest.is_empty() {
            // The memory goes back: the next slow moment of this connection may never come.
            self.rest = Vec::new();
            self.reset = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the close was passed on, and everything before it.
    fn is_over(&self, cx: &mut Context<'_>) -> bool {
        self.finished && (!self.to.holds_back() || self.to.poll_flush(cx).is_ready())
    }

    fn see_end(&mut self) {
        self.at_end = true;
        if let Some(tap) = self.watchers.tap {
            tap.end(self.sender, End::Closed);
        }
    }

    /// While nothing is read from the sender, its reset shows only as an error condition.
    fn watch_for_reset(&mut self, cx: &mut Context<'_>) -> Poll<Side> {
        let from = self.from;
        let reset = self
            .reset
            .get_or_insert_with(|| Box::pin(from.reset_by_peer()));
        reset.as_mut().poll(cx).map(|()| self.sender)
    }

    fn receiver(&self) -> Side {
        match self.sender {
            Side::Client => Side::Server,
            _ => Side::Client,
        }
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        let left = self.rest.len();
        self.watchers.scratch.held_bytes.update(|held| held - left);
    }
}

#[cfg(test)]
mod tests;
