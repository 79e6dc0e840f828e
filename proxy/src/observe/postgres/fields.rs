//! Reads the fields of a message, as far as they were kept.

/// What is left of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn int16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    pub(super) fn int32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text up to its zero byte, which may have been cut off.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let end = memchr::memchr(0, self.0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }

    /// A list of numbers behind their count.
    pub(super) fn int16s(&mut self) -> Option<Vec<u16>> {
        let count = self.int16()?;
        (0..count).map(|_| self.int16()).collect()
    }

    /// A value behind its length; `Some(None)` for NULL. What was cut off is given as far as it goes.
    pub(super) fn value(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.int32()?;
        if length == u32::MAX {
            return Some(None);
        }
        let length = usize::try_from(length).ok()?.min(self.0.len());
        self.bytes(length).map(Some)
    }
}
