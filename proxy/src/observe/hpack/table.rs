//! The table of fields that a connection's field blocks point into (RFC 7541 section 2.3).
//!
//! Names and values of the dynamic entries lie one behind the other in one run of bytes, the oldest
//! first, so that an entry costs no allocation and is given out as it lies.

use std::collections::VecDeque;
use std::ops::Range;

/// What an entry is counted for beside its bytes (RFC 7541 section 4.1).
const ENTRY_BYTES: usize = 32;

/// Size until the sender says something else (RFC 9113 section 6.5.2).
const INITIAL_BYTES: usize = 4096;

/// Bytes of evicted entries that may lie around before the others are moved to the front.
const GONE_BYTES: usize = 4096;

/// The dynamic table of one direction; the static one is the same for all.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// The newest first, as the indices count.
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    name_bytes: usize,
    value_bytes: usize,
}

impl Entry {
    fn name(&self) -> Range<usize> {
        self.start..self.start + self.name_bytes
    }

    fn value(&self) -> Range<usize> {
        let start = self.start + self.name_bytes;
        start..start + self.value_bytes
    }

    fn size(&self) -> usize {
        self.name_bytes + self.value_bytes + ENTRY_BYTES
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            limit: INITIAL_BYTES,
        }
    }

    /// The field with this index, from 1.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(index - STATIC.len())?;
        Some((
            self.bytes.get(entry.name())?,
            self.bytes.get(entry.value())?,
        ))
    }

    /// Begins an entry with the name of another; [`Table::insert`] ends it.
    pub(super) fn begin_with_name_of(&mut self, index: usize) -> Option<usize> {
        let index = index.checked_sub(1)?;
        if let Some((name, _)) = STATIC.get(index) {
            self.bytes.extend_from_slice(name.as_bytes());
            return Some(name.len());
        }
        let entry = self.entries.get(index - STATIC.len())?;
        self.bytes.extend_from_within(entry.name());
        Some(entry.name_bytes)
    }

    /// Where the bytes of an entry are appended that [`Table::insert`] ends.
    pub(super) fn unfinished(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes an entry of the last bytes that were appended, shows it, and evicts what has no room
    /// beside it: perhaps the entry itself (RFC 7541 section 4.4).
    pub(super) fn insert(
        &mut self,
        name_bytes: usize,
        value_bytes: usize,
        show: impl FnOnce(&[u8], &[u8]),
    ) {
        let entry = Entry {
            start: self.bytes.len().saturating_sub(name_bytes + value_bytes),
            name_bytes,
            value_bytes,
        };
        if let (Some(name), Some(value)) =
            (self.bytes.get(entry.name()), self.bytes.get(entry.value()))
        {
            show(name, value);
        }
        self.entries.push_front(entry);
        self.size += entry.size();
        self.evict();
    }

    /// Changes how much the table may hold.
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let Some(entry) = self.entries.pop_back() else {
                break;
            };
            self.size -= entry.size();
        }
        let gone = self.entries.back().map_or(self.bytes.len(), |e| e.start);
        // Never more often than as many bytes were evicted as are moved.
        if gone > GONE_BYTES.max(self.bytes.len() - gone) || gone == self.bytes.len() {
            self.bytes.drain(..gone);
            for entry in &mut self.entries {
                entry.start -= gone;
            }
            // Neither a long field that had no room nor a table that was larger leaves room behind.
            let room = 2 * self.limit + 2 * GONE_BYTES;
            if self.bytes.capacity() > 2 * room {
                self.bytes.shrink_to(room);
            }
        }
    }
}

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
