//! The summary of a block, counted from its columns.

use super::columns::ColumnsBuilder;
use super::{BlockSummary, Columns};
use crate::call::Protocol;

/// Most distinct words of one kind that a summary lists, and most bytes that they may have.
pub(super) const MAX_WORDS: usize = 64;
const MAX_WORD_BYTES: usize = 4 * 1024;

/// Most distinct statuses that a summary lists.
pub(super) const MAX_STATUSES: usize = 64;

impl BlockSummary {
    pub(super) fn of(built: &ColumnsBuilder, open: Option<u32>) -> Self {
        let columns = &built.columns;
        let mut statuses = [0; 6];
        for &status in &columns.status {
            if let Some(count) = statuses.get_mut(usize::from(status / 100)) {
                *count += 1;
            }
        }
        let longest = columns.latency_ns.iter().copied().max().unwrap_or(0);
        Self {
            calls: columns.len() as u32,
            first_ns: columns.time_ns.iter().copied().min().unwrap_or(0),
            last_ns: columns.time_ns.iter().copied().max().unwrap_or(0),
            statuses,
            status_codes: distinct_statuses(&columns.status),
            errors: count(&columns.error, |&error| error != 0),
            probes: count(&columns.probe, |&probe| probe),
            protocols: distinct_codes(&columns.protocol),
            legs: distinct_codes(&columns.leg),
            methods: distinct_words(built, &columns.method),
            hosts: distinct_words(built, &columns.host),
            routes: distinct_words(built, &columns.route),
            request_bytes: sum(&columns.request_size),
            response_bytes: sum(&columns.response_size),
            longest_ns: longest.saturating_sub(1),
            open,
        }
    }
}

impl Columns {
    /// How many calls they describe.
    pub fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// Whether they describe none.
    pub fn is_empty(&self) -> bool {
        self.time_ns.is_empty()
    }

    /// Whether an injected fault met the call in a row: then its end and its time say nothing of a service.
    pub fn is_injected(&self, row: usize) -> bool {
        self.faults.get(row).is_some_and(|&code| code != 0)
    }

    /// What the call in a row says of how fast its server is, in nanoseconds: its latency; `None` where
    /// it has no end, and for a stream ([`crate::call::Call::is_stream`]).
    pub fn pace_ns(&self, row: usize) -> Option<u64> {
        let of_websocket = self.protocol.get(row) == Some(&Protocol::WebSocket.code());
        // Blocks from before streams were told have their protocol.
        let is_stream = of_websocket || *self.streams.get(row)?;
        let latency_ns = self.latency_ns.get(row)?.checked_sub(1);
        latency_ns.filter(|_| !is_stream)
    }
}

fn count<T>(column: &[T], is_counted: impl Fn(&T) -> bool) -> u32 {
    column.iter().filter(|value| is_counted(value)).count() as u32
}

fn sum(column: &[u64]) -> u64 {
    column.iter().fold(0, |sum, size| sum.saturating_add(*size))
}

fn distinct_codes(column: &[u8]) -> Vec<u8> {
    let mut seen = [false; 256];
    for &code in column {
        if let Some(seen) = seen.get_mut(usize::from(code)) {
            *seen = true;
        }
    }
    (0..=u8::MAX)
        .zip(seen)
        .filter_map(|(code, seen)| seen.then_some(code))
        .collect()
}

fn distinct_statuses(column: &[u16]) -> Option<Vec<u16>> {
    let mut statuses = Vec::new();
    for status in column {
        if let Err(place) = statuses.binary_search(status) {
            if statuses.len() == MAX_STATUSES {
                return None;
            }
            statuses.insert(place, *status);
        }
    }
    Some(statuses)
}

fn distinct_words(built: &ColumnsBuilder, column: &[u32]) -> Option<Vec<String>> {
    let mut seen = vec![false; built.texts.count() as usize + 1];
    for &number in column {
        if let Some(seen) = seen.get_mut(number as usize) {
            *seen = true;
        }
    }
    let mut words = Vec::new();
    let mut bytes = 0;
    for (number, _) in (0..).zip(&seen).filter(|(_, seen)| **seen) {
        let word = built.texts.text(number);
        bytes += word.len();
        if words.len() == MAX_WORDS || bytes > MAX_WORD_BYTES {
            return None;
        }
        words.push(word.to_owned());
    }
    words.sort_unstable();
    Some(words)
}
