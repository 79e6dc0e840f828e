//! Netlink messages: headers, attributes inside attributes, and the answers to a batch.

/// Kinds of message that a transaction is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    NewTable,
    DeleteTable,
    NewChain,
    NewRule,
}

/// Messages that the kernel takes all or none of.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// What each message is about; its place is its sequence number.
    parts: Vec<String>,
}

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const ANSWER: u16 = 2;
const SUBSYSTEM_NFTABLES: u16 = 10;
const FAMILY_UNSPECIFIED: u8 = 0;
const FAMILY_INET: u8 = 1;

const FLAG_REQUEST: u16 = 0x1;
const FLAG_ACKNOWLEDGE: u16 = 0x4;
const FLAG_CREATE: u16 = 0x400;
const FLAG_APPEND: u16 = 0x800;

/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;

const HEADER_BYTES: usize = 16;

impl Batch {
    /// A batch that has begun.
    pub(super) fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            parts: Vec::new(),
        };
        let header = [FAMILY_UNSPECIFIED, 0, 0, SUBSYSTEM_NFTABLES as u8];
        batch.message("nftables", BATCH_BEGIN, FLAG_REQUEST, header, |_| {});
        batch
    }

    /// Adds a message about `part`.
    pub(super) fn push(&mut self, part: &str, kind: Kind, body: impl FnOnce(&mut Attributes<'_>)) {
        let (number, flags) = match kind {
            Kind::NewTable => (0, FLAG_CREATE),
            Kind::DeleteTable => (2, 0),
            Kind::NewChain => (3, FLAG_CREATE),
            Kind::NewRule => (6, FLAG_CREATE | FLAG_APPEND),
        };
        self.message(
            part,
            SUBSYSTEM_NFTABLES << 8 | number,
            FLAG_REQUEST | FLAG_ACKNOWLEDGE | flags,
            [FAMILY_INET, 0, 0, 0],
            body,
        );
    }

    /// Ends the batch; nothing may be added afterwards.
    pub(super) fn finish(&mut self) {
        let header = [FAMILY_UNSPECIFIED, 0, 0, SUBSYSTEM_NFTABLES as u8];
        self.message("the transaction", BATCH_END, FLAG_REQUEST, header, |_| {});
    }

    /// What to send.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn message(
        &mut self,
        part: &str,
        kind: u16,
        flags: u16,
        header: [u8; 4],
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        let sequence = self.parts.len() as u32;
        self.parts.push(part.to_owned());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&header);
        body(&mut Attributes(&mut self.bytes));
        let length = (self.bytes.len() - start) as u32;
        fill(&mut self.bytes, start, &length.to_ne_bytes());
    }

    /// What the kernel says of the batch: `None` if these answers do not tell yet, an error with
    /// the part that it was refused for.
    pub(super) fn verdict(&self, answers: &[u8]) -> Option<Result<(), (&str, i32)>> {
        // The last message before the end is acknowledged last.
        let last = self.parts.len().saturating_sub(2) as u32;
        let mut rest = answers;
        while let Some((answer, next)) = split_answer(rest) {
            rest = next;
            let part = self
                .parts
                .get(answer.sequence as usize)
                .map_or("a message", |part| part);
            match answer.errno {
                Some(errno) if errno != 0 => return Some(Err((part, errno))),
                Some(_) if answer.sequence == last => return Some(Ok(())),
                _ => {}
            }
        }
        None
    }
}

struct Answer {
    sequence: u32,
    /// 0 acknowledges; `None` for a message that answers nothing.
    errno: Option<i32>,
}

fn split_answer(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let message = bytes.get(..length).filter(|_| length >= HEADER_BYTES)?;
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    let sequence = u32::from_ne_bytes(*message.get(8..)?.first_chunk()?);
    let code = message.get(HEADER_BYTES..)?.first_chunk();
    let errno = code
        .filter(|_| kind == ANSWER)
        .map(|code| i32::from_ne_bytes(*code).saturating_neg());
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((Answer { sequence, errno }, rest))
}

/// Writes attributes at the end of a message.
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// A text, with the zero that ends it.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// A number, in network order as everywhere in nftables.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.bytes(kind, &number.to_be_bytes());
    }

    /// Plain bytes.
    pub(super) fn bytes(&mut self, kind: u16, bytes: &[u8]) {
        self.attribute(kind, |buffer| buffer.extend_from_slice(bytes));
    }

    /// Attributes in an attribute.
    pub(super) fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind | NESTED, |buffer| body(&mut Attributes(buffer)));
    }

    fn attribute(&mut self, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        body(self.0);
        let length = (self.0.len() - start) as u16;
        fill(self.0, start, &length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// Overwrites what was left open for a length.
fn fill(buffer: &mut [u8], start: usize, bytes: &[u8]) {
    let slots = buffer.iter_mut().skip(start);
    for (slot, byte) in slots.zip(bytes) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of the kernel to the message with this number.
    fn answer(sequence: u32, errno: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&36_u32.to_ne_bytes());
        bytes.extend_from_slice(&ANSWER.to_ne_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(-errno).to_ne_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes
    }

    fn batch() -> Batch {
        let mut batch = Batch::new();
        batch.push("the table", Kind::NewTable, |_| {});
        batch.push("the rule", Kind::NewRule, |_| {});
        batch.finish();
        batch
    }

    #[test]
    fn the_last_message_speaks_for_all() {
        let batch = batch();
        assert_eq!(batch.verdict(&answer(1, 0)), None);
        let both = [answer(1, 0), answer(2, 0)].concat();
        assert_eq!(batch.verdict(&both), Some(Ok(())));
    }

    #[test]
    fn a_refusal_names_the_part() {
        let answers = [answer(1, 0), answer(2, libc::ENOENT)].concat();
        assert_eq!(
            batch().verdict(&answers),
            Some(Err(("the rule", libc::ENOENT)))
        );
        let unknown = answer(99, libc::EPERM);
        assert_eq!(
            batch().verdict(&unknown),
            Some(Err(("a message", libc::EPERM)))
        );
    }

    #[test]
    fn a_torn_answer_says_nothing() {
        let whole = answer(2, 0);
        for length in 0..whole.len() {
            assert_eq!(batch().verdict(whole.get(..length).unwrap()), None);
        }
        assert_eq!(batch().verdict(&[0; 64]), None);
    }

    #[test]
    fn attributes_are_padded_and_know_their_length() {
        let mut bytes = Vec::new();
        let mut attributes = Attributes(&mut bytes);
        attributes.nested(4, |inner| inner.text(1, "lo"));
        let inner = [7_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat();
        let outer = [12_u16.to_ne_bytes(), (4 | NESTED).to_ne_bytes()].concat();
        assert_eq!(bytes, [outer, inner, b"lo\0\0".to_vec()].concat());
    }
}
