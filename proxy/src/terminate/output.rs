//! What is written to a socket, put right: heads leave as they came, not as hyper would write them.
//!
//! hyper says when a message begins and ends and frames its body. Of its heads nothing is kept: the one
//! that was read goes out in its place, and trailers follow whether they were announced or not. Pure.

use std::cell::{Cell, RefCell};
use std::mem::take;

use hyper::HeaderMap;

/// What hyper says of itself when it begins to read a body that the client holds back.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The end of a chunked body without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One direction, as it is written. Shared by the wire, which writes, and the exchange, which knows what.
#[derive(Debug)]
pub(super) struct Output {
    stage: Cell<Stage>,
    /// The head that is due.
    head: RefCell<Vec<u8>>,
    /// Trailer lines that are due.
    trailers: RefCell<Vec<u8>>,
    /// What hyper was told of the end of the message that it is writing.
    end: Cell<Option<End>>,
    /// What was put right and could not be written yet.
    pending: RefCell<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is due: what hyper says is of its own making, and is left out.
    Silent,
    /// A head is due.
    Head,
    /// Within a message.
    Message,
    /// A message broke off, and all of it that there is was written.
    Cut,
    /// Everything is written as it is.
    Open,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
}

impl Output {
    /// What is not put right, until somebody says so.
    pub(super) fn new() -> Self {
        Self {
            stage: Cell::new(Stage::Open),
            head: RefCell::default(),
            trailers: RefCell::default(),
            end: Cell::new(None),
            pending: RefCell::default(),
        }
    }

    /// From now on only messages are written that were begun.
    pub(super) fn be_silent(&self) {
        self.stage.set(Stage::Silent);
    }

    /// hyper is about to write a message: this is its head.
    pub(super) fn begin(&self, head: Vec<u8>) {
        self.head.replace(head);
        self.end.set(None);
        self.stage.set(Stage::Head);
    }

    /// hyper was given the end of the message.
    pub(super) fn finish(&self) {
        self.end.set(Some(End::Whole));
    }

    /// The same, of one with trailers.
    pub(super) fn finish_with(&self, trailers: &HeaderMap) {
        let mut lines = Vec::new();
        for (name, value) in trailers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        self.trailers.replace(lines);
        self.finish();
    }

    /// There will be no end of the message.
    pub(super) fn break_off(&self) {
        self.end.set(Some(End::Cut));
    }

    /// Interim responses go ahead of the response that hyper has not begun.
    pub(super) fn insert(&self, interim: Vec<u8>) {
        self.pending.borrow_mut().extend(interim);
    }

    /// How much waits for the receiver.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.borrow().len()
    }

    /// Everything that hyper was given to write has left it.
    pub(super) fn is_silent(&self) -> bool {
        self.stage.get() == Stage::Silent
    }

    /// A head is due that hyper has not written.
    pub(super) fn is_due(&self) -> bool {
        self.stage.get() == Stage::Head
    }

    /// A message broke off.
    pub(super) fn is_cut(&self) -> bool {
        self.stage.get() == Stage::Cut
    }

    /// What is written in place of `said`; `None` if it goes out as it is.
    pub(super) fn put_right(&self, said: &[u8]) -> Option<Vec<u8>> {
        match self.stage.get() {
            Stage::Silent | Stage::Cut => Some(Vec::new()),
            Stage::Open => None,
            Stage::Message if self.trailers.borrow().is_empty() => None,
            Stage::Message => Some(self.add_trailers(said.to_vec())),
            Stage::Head => {
                let said = said.strip_prefix(CONTINUE).unwrap_or(said);
                if said.is_empty() {
                    return Some(Vec::new());
                }
                // hyper writes a head at once, and what follows behind it.
                let end = memchr::memmem::find(said, b"\r\n\r\n").map_or(said.len(), |at| at + 4);
                let mut message = take(&mut *self.head.borrow_mut());
                message.extend_from_slice(said.get(end..).unwrap_or_default());
                self.stage.set(Stage::Message);
                Some(self.add_trailers(message))
            }
        }
    }

    /// Trailers are due only once hyper was told of the end, which is the last that it says then.
    fn add_trailers(&self, mut message: Vec<u8>) -> Vec<u8> {
        let mut trailers = self.trailers.borrow_mut();
        if !trailers.is_empty() && message.ends_with(LAST_CHUNK) {
            message.truncate(message.len() - 2);
            message.append(&mut trailers);
            message.extend_from_slice(b"\r\n");
        }
        message
    }

    /// Keeps what could not be written yet.
    pub(super) fn keep(&self, bytes: &[u8]) {
        self.pending.borrow_mut().extend_from_slice(bytes);
    }

    /// Writes what was kept, as far as `write` takes it; it answers how much that is.
    pub(super) fn drain<E>(&self, write: impl FnOnce(&[u8]) -> Result<usize, E>) -> Result<(), E> {
        let mut pending = self.pending.borrow_mut();
        let written = write(&pending)?;
        pending.drain(..written);
        if pending.is_empty() {
            *pending = Vec::new();
        }
        Ok(())
    }

    /// Whether something was kept.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.borrow().is_empty()
    }

    /// hyper has nothing more to write now. True if that ends a message.
    pub(super) fn flushed(&self) -> bool {
        let stage = match (self.stage.get(), self.end.get()) {
            (Stage::Message, Some(End::Whole)) => Stage::Silent,
            (Stage::Head | Stage::Message, Some(End::Cut)) => Stage::Cut,
            _ => return false,
        };
        self.stage.set(stage);
        true
    }

    /// What was kept, for the splice to write.
    pub(super) fn take_pending(&self) -> Vec<u8> {
        self.pending.take()
    }
}

#[cfg(test)]
mod tests;
