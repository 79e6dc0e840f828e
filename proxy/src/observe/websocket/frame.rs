//! The head of a frame (RFC 6455 section 5.2), however its bytes come.

use remora_store::call::MessageKind;

use super::frames::Malformed;

/// Longest head: two bytes, eight of length, four of mask.
const HEAD_BYTES: usize = 14;

/// Largest payload of a control frame (RFC 6455 section 5.5).
pub(super) const CONTROL_BYTES: usize = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// A further piece of the message that is open.
    Continuation,
    /// The first piece of a text or binary message.
    Message(MessageKind),
    /// Close, Ping or Pong.
    Control(MessageKind),
}

/// A whole head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) fin: bool,
    /// RSV1 to RSV3, as the three lowest bits.
    pub(super) reserved: u8,
    pub(super) opcode: Opcode,
    pub(super) length: u64,
    /// All zero where the payload is not masked. Who has to mask is not checked: a frame reads the
    /// same either way.
    pub(super) mask: [u8; 4],
}

/// Collects the bytes of a head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadReader {
    bytes: [u8; HEAD_BYTES],
    have: usize,
}

impl HeadReader {
    /// Takes bytes off the front of `rest` until the head is whole.
    pub(super) fn read(&mut self, rest: &mut &[u8]) -> Result<Option<Head>, Malformed> {
        loop {
            let missing = self.length().saturating_sub(self.have);
            if missing == 0 {
                return self.head().map(Some);
            }
            let (taken, left) = rest.split_at(missing.min(rest.len()));
            if taken.is_empty() {
                return Ok(None);
            }
            if let Some(room) = self.bytes.get_mut(self.have..self.have + taken.len()) {
                room.copy_from_slice(taken);
            }
            self.have += taken.len();
            *rest = left;
        }
    }

    /// How long the head is, as far as it can be told.
    fn length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let [_, second, ..] = self.bytes;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if second & 0x80 == 0 { 0 } else { 4 }
    }

    fn head(&self) -> Result<Head, Malformed> {
        let [first, second, a, b, c, d, e, f, g, h, ..] = self.bytes;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        };
        let mask = match second & 0x80 {
            0 => None,
            _ => self.bytes.get(..self.have).and_then(<[u8]>::last_chunk),
        };
        let fin = first & 0x80 != 0;
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Message(MessageKind::Text),
            2 => Opcode::Message(MessageKind::Binary),
            8 => Opcode::Control(MessageKind::Close),
            9 => Opcode::Control(MessageKind::Ping),
            10 => Opcode::Control(MessageKind::Pong),
            _ => return Err(Malformed),
        };
        let long_control =
            matches!(opcode, Opcode::Control(_)) && (!fin || length > CONTROL_BYTES as u64);
        if long_control || length > i64::MAX as u64 {
            return Err(Malformed);
        }
        Ok(Head {
            fin,
            reserved: first >> 4 & 0x07,
            opcode,
            length,
            mask: mask.copied().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Option<Head>, Malformed> {
        HeadReader::default().read(&mut bytes)
    }

    #[test]
    fn lengths_of_every_form_are_read() {
        for (bytes, length) in [
            (&[0x81, 5][..], 5),
            (&[0x81, 126, 1, 0], 256),
            (&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
        ] {
            assert_eq!(read(bytes).unwrap().unwrap().length, length);
        }
        let head = read(&[0x82, 254, 1, 2, 9, 8, 7, 6]).unwrap().unwrap();
        assert_eq!((head.length, head.mask), (258, [9, 8, 7, 6]));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bytes in [
            &[0x83, 0][..],
            &[0x09, 0],
            &[0x89, 126, 0, 126],
            &[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(read(bytes), Err(Malformed));
        }
    }

    #[test]
    fn a_head_is_the_same_however_it_comes() {
        let bytes = [0xc1, 254, 1, 2, 9, 8, 7, 6];
        let mut reader = HeadReader::default();
        for byte in &bytes[..7] {
            let mut piece = std::slice::from_ref(byte);
            assert_eq!(reader.read(&mut piece), Ok(None));
        }
        assert_eq!(reader.read(&mut &bytes[7..]), read(&bytes));
    }
}
