//! Edits to a text: found in one pass, made in one copy, none at all where nothing was found.

use std::ops::Range;

use bytes::Bytes;

/// A range to be replaced.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: Vec<u8>,
}

/// Edits to one text, in any order; where two overlap, the one that begins first wins and takes
/// the range of both.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<Edit>);

impl Edits {
    pub(super) fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        if !range.is_empty() {
            self.0.push(Edit {
                range,
                with: with.into(),
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over the edits of a part of the text that begins at `offset`.
    pub(super) fn absorb(&mut self, part: Edits, offset: usize) {
        for edit in part.0 {
            let range = edit.range.start + offset..edit.range.end + offset;
            self.replace(range, edit.with);
        }
    }

    /// The edits one by one, to be changed before they are made.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Edit> {
        self.0.into_iter()
    }

    /// The text with all edits made; `None` if there are none.
    pub(super) fn apply(mut self, text: &[u8]) -> Option<Bytes> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|edit| edit.range.start);
        let mut out = Vec::with_capacity(text.len() + 32 * self.0.len());
        let mut copied = 0;
        for edit in self.0 {
            if edit.range.start >= copied {
                out.extend_from_slice(text.get(copied..edit.range.start).unwrap_or_default());
                out.extend_from_slice(&edit.with);
            }
            copied = copied.max(edit.range.end);
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Some(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_order_of_place() {
        let mut edits = Edits::default();
        edits.replace(6..11, "there");
        edits.replace(0..5, "hi");
        assert_eq!(edits.apply(b"hello world!").unwrap(), "hi there!");
    }

    #[test]
    fn of_two_that_overlap_nothing_of_either_is_left() {
        let mut edits = Edits::default();
        edits.replace(3..8, "B");
        edits.replace(1..5, "A");
        assert_eq!(edits.apply(b"0123456789").unwrap(), "0A89");
    }

    #[test]
    fn no_edit_means_no_copy() {
        assert!(Edits::default().apply(b"text").is_none());
    }
}
