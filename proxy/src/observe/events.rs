//! Server-sent events: how many came in a body, and when (WHATWG HTML, section 9.2.6).
//!
//! Their text stays in the body; what is listed are their sizes, which add up to their places there.
//! An event is told when its empty line came, as a browser dispatches it: one without data is none,
//! and neither is the one that the end of the stream cut off. A stream in a content coding is not
//! taken apart: the body is decoded when the record is sealed, and the times would be lost by then.

use memchr::memchr2;
use remora_store::call::{MessageKind, Side};

use super::draft::Draft;
use super::messages::Ended;

/// What a stream may begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of a line's beginning that are looked at: a byte order mark, and `data:`.
const LINE_BYTES: usize = 8;

/// Whether the value of a Content-Type field names a stream of events.
pub(super) fn is_event_stream(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|b| *b == b';').next();
    media_type.is_some_and(|media_type| {
        media_type
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Finds the events of one body.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Line,
    /// The first line is over.
    begun: bool,
    /// The last byte was a CR, which a LF may belong to.
    after_cr: bool,
    /// That CR ended an event that is listed.
    just_listed: bool,
    /// A `data` field came since the last event.
    has_data: bool,
    /// Bytes since the end of the last event.
    size: u64,
}

/// The line that is being read.
#[derive(Debug, Default)]
struct Line {
    beginning: [u8; LINE_BYTES],
    length: usize,
}

impl Events {
    /// Reads the next piece of the body; the events in it are counted in the draft's messages.
    pub(super) fn bytes(&mut self, draft: &mut Draft, piece: &[u8], at: u64) {
        let mut rest = piece;
        while let Some((first, behind)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest = behind;
                self.end_pair(draft);
                continue;
            }
            let end = memchr2(b'\r', b'\n', rest);
            let (text, behind) = rest.split_at(end.unwrap_or(rest.len()));
            self.line.push(text);
            self.size = self.size.saturating_add(text.len() as u64);
            let Some((terminator, behind)) = behind.split_first() else {
                return;
            };
            rest = behind;
            self.size = self.size.saturating_add(1);
            self.after_cr = *terminator == b'\r';
            self.end_line(draft, at);
        }
    }

    /// The CR before turned out to be half of a line end.
    fn end_pair(&mut self, draft: &mut Draft) {
        match (self.just_listed, &mut draft.messages) {
            (true, Some(messages)) => messages.lengthen_last_event(),
            _ => self.size = self.size.saturating_add(1),
        }
        self.just_listed = false;
    }

    fn end_line(&mut self, draft: &mut Draft, at: u64) {
        self.just_listed = false;
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.begun, true);
        if line.is_data(is_first) {
            self.has_data = true;
        } else if line.is_empty(is_first) && std::mem::take(&mut self.has_data) {
            let ended = Ended {
                kind: MessageKind::Event,
                size: std::mem::take(&mut self.size),
                compressed: false,
                at,
            };
            if let Some(messages) = &mut draft.messages {
                self.just_listed = messages.end(Side::Server, ended, &mut draft.grant);
            }
        }
    }
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        let room = self.beginning.get_mut(self.length..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(text) {
            *place = *byte;
        }
        self.length = self.length.saturating_add(text.len());
    }

    /// The line, as far as it was kept, without a byte order mark.
    fn text(&self, is_first: bool) -> &[u8] {
        let text = self.beginning.get(..self.length).unwrap_or(&self.beginning);
        match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(text) if is_first => text,
            _ => text,
        }
    }

    fn is_empty(&self, is_first: bool) -> bool {
        self.text(is_first).is_empty()
    }

    /// A field named `data`, with a value or without.
    fn is_data(&self, is_first: bool) -> bool {
        let text = self.text(is_first);
        text == b"data" || text.starts_with(b"data:")
    }
}

#[cfg(test)]
mod tests;
