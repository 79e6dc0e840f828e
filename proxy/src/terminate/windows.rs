//! How much HTTP/2 may have on its way through the sidecar: in one connection, and in all of a thread.
//!
//! What a window allows comes to lie here where its receiver does not read. So every connection has a narrow one,
//! and a wider one while more streams run than would fit, as long as there is something left to give.

use std::cell::Cell;

/// What a stream may hold: the window that each begins with (RFC 9113 section 6.9.2).
const STREAM_WINDOW_BYTES: u32 = 65_535;

/// So many streams fit into the narrow window.
const NARROW_STREAMS: u32 = 4;

/// What may be on its way in one direction of any connection.
pub(super) const NARROW_BYTES: u32 = NARROW_STREAMS * STREAM_WINDOW_BYTES;

/// What all connections of a thread have together beyond that.
const STORE_BYTES: u32 = /* 16 MiB */ 16 * 1024 * 1024;

/// What is left to be given.
#[derive(Debug)]
pub(crate) struct Windows {
    left_bytes: Cell<u32>,
}

impl Windows {
    /// Nothing is given yet.
    pub(crate) fn new() -> Self {
        Self {
            left_bytes: Cell::new(STORE_BYTES),
        }
    }
}

/// The window of one direction of a connection. What it has beyond a narrow one is given back when it goes.
#[derive(Debug)]
pub(super) struct Window<'a> {
    windows: &'a Windows,
    share_bytes: u32,
}

impl<'a> Window<'a> {
    /// A narrow one.
    pub(super) fn new(windows: &'a Windows) -> Self {
        Self {
            windows,
            share_bytes: 0,
        }
    }

    /// Has it fit so many streams, as far as there is room; its size in bytes where that changes. One that gets
    /// narrower does so as it is used: its sender was told of the wider one.
    pub(super) fn fit(&mut self, streams: u32) -> Option<u32> {
        let wanted = streams
            .saturating_sub(NARROW_STREAMS)
            .saturating_mul(STREAM_WINDOW_BYTES);
        let before = self.share_bytes;
        let there = self.windows.left_bytes.get() + before;
        self.share_bytes = wanted.min(there);
        self.windows.left_bytes.set(there - self.share_bytes);
        (self.share_bytes != before).then_some(NARROW_BYTES + self.share_bytes)
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.windows
            .left_bytes
            .update(|left| left + self.share_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_wide_as_its_streams_need() {
        let windows = Windows::new();
        let mut window = Window::new(&windows);
        assert_eq!(window.fit(NARROW_STREAMS), None);
        assert_eq!(window.fit(6), Some(6 * STREAM_WINDOW_BYTES));
        assert_eq!(window.fit(6), None);
        assert_eq!(window.fit(0), Some(NARROW_BYTES));
    }

    #[test]
    fn all_windows_together_have_no_more_than_there_is() {
        let windows = Windows::new();
        let mut greedy = Window::new(&windows);
        assert_eq!(greedy.fit(u32::MAX), Some(NARROW_BYTES + STORE_BYTES));
        let mut late = Window::new(&windows);
        assert_eq!(late.fit(100), None, "nothing is left");
        drop(greedy);
        assert_eq!(late.fit(100), Some(100 * STREAM_WINDOW_BYTES));
        drop(late);
        assert_eq!(windows.left_bytes.get(), STORE_BYTES);
    }
}
