//! Secrets in messages of Protocol Buffers, of which no schema is known: masked so that what is left
//! is still such a message.
//!
//! A field with a length may be a text or another message, and some bytes can be read as either.
//! Both readings are looked through: as a message first, whose lengths are set anew up to the top,
//! then as a text. A secret that only shows across fields is masked too; that the lengths are wrong
//! then is the smaller harm.

use bytes::Bytes;

use super::credentials::{self, Dress};
use super::echo::{self, Part};
use super::edit::Edits;
use super::names::Place;
use super::{Rules, cards, text};

/// Messages within messages that are followed.
const DEPTH: u8 = 8;

/// Wire types (the encoding page of the Protocol Buffers documentation, "Message Structure").
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Look<'r> {
    pub(super) rules: &'r Rules,
    /// Secrets by their form and name; else only those that the call told before.
    pub(super) by_form: bool,
}

/// The payload with its secrets masked; `None` if there are none. `cut` says that it goes on behind
/// what was kept.
pub(super) fn masked(look: Look<'_>, payload: &[u8], cut: bool) -> Option<Bytes> {
    if !look.may_hold_secrets(payload, cut) {
        return None;
    }
    look.content(payload, cut, DEPTH).map(Bytes::from)
}

impl Look<'_> {
    /// One quick pass: most messages hold none of the words that announce secrets.
    fn may_hold_secrets(&self, payload: &[u8], cut: bool) -> bool {
        if cut || !self.told(payload, cut).is_empty() {
            return true;
        }
        let mut found = false;
        if self.by_form {
            self.rules.words.each(payload, |place, _| {
                found = true;
                place.end.max(payload.len())
            });
            found |= cards::places(payload).next().is_some();
        }
        found
    }

    fn told(&self, text: &[u8], cut: bool) -> Edits {
        let mut found = Edits::default();
        echo::find(&self.rules.tagger, text, Part::Body { cut }, &mut found);
        found
    }

    /// The content of a field, or a whole payload: a message, a text, or either.
    fn content(&self, content: &[u8], cut: bool, depth: u8) -> Option<Vec<u8>> {
        let message = self.message(content, cut, depth);
        let read = message.as_deref().unwrap_or(content);
        let mut found = self.told(read, cut);
        if self.by_form {
            found.absorb(text::scan(self.rules, read, cut), 0);
        }
        found.apply(read).map(Vec::from).or(message)
    }

    /// The message with the fields masked that have a length; `None` if it is none, or clean.
    fn message(&self, message: &[u8], cut: bool, depth: u8) -> Option<Vec<u8>> {
        let depth = depth.checked_sub(1)?;
        if !Fields::of(message, cut).all(|field| field.is_some()) {
            return None;
        }
        let mut out = Vec::new();
        let mut copied = 0;
        let mut name = None;
        for field in Fields::of(message, cut).flatten() {
            let Some((declared, content)) = field.content else {
                continue;
            };
            let cut = content.len() < declared;
            let masked = match name {
                // An entry of a map, or another pair of a name and its value.
                Some(name) if field.number == 2 => self.named(name, content),
                _ => None,
            };
            name = (field.number == 1).then_some(content);
            if let Some(masked) = masked.or_else(|| self.content(content, cut, depth)) {
                out.extend_from_slice(message.get(copied..field.length_start)?);
                put_varint(&mut out, (declared - content.len() + masked.len()) as u64);
                out.extend_from_slice(&masked);
                copied = field.end;
            }
        }
        if copied == 0 {
            return None;
        }
        out.extend_from_slice(message.get(copied..)?);
        Some(out)
    }

    fn named(&self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        if !self.by_form {
            return None;
        }
        let class = self.rules.names.classify(name, Place::Field)?;
        let found = credentials::mask(self.rules, class, value, Dress::Shaped);
        found.apply(value).map(Vec::from)
    }
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// Length as it is written, and as much of the content as there is, of a field that has one.
    content: Option<(usize, &'a [u8])>,
    /// Where its length stands.
    length_start: usize,
    end: usize,
}

/// The fields of a message one by one; `None` stands for bytes that are no field, and is the last.
struct Fields<'a> {
    message: &'a [u8],
    at: usize,
    cut: bool,
    failed: bool,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8], cut: bool) -> Self {
        Self {
            message,
            at: 0,
            cut,
            failed: message.is_empty(),
        }
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let (key, length_start) = self.varint(self.at)?;
        let number = key >> 3;
        let mut content = None;
        let end = match key & 7 {
            VARINT => self.varint(length_start)?.1,
            FIXED64 => length_start.checked_add(8)?,
            FIXED32 => length_start.checked_add(4)?,
            LENGTH => {
                let (declared, start) = self.varint(length_start)?;
                let declared = usize::try_from(declared).ok()?;
                let end = start.checked_add(declared)?;
                let kept = self.message.get(start..end.min(self.message.len()))?;
                content = Some((declared, kept));
                end
            }
            _ => return None,
        };
        if number == 0 || (end > self.message.len() && !self.cut) {
            return None;
        }
        Some(Field {
            number,
            content,
            length_start,
            end: end.min(self.message.len()),
        })
    }

    /// A number and where it ends; at the end of a message that was cut, it may be cut too.
    fn varint(&self, start: usize) -> Option<(u64, usize)> {
        let mut number = 0_u64;
        for (place, byte) in self.message.get(start..)?.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(7 * place as u32)?;
            if byte & 0x80 == 0 {
                return Some((number, start + place + 1));
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Option<Field<'a>>> {
        if self.failed || self.at >= self.message.len() {
            return None;
        }
        let field = self.field();
        match &field {
            Some(field) => self.at = field.end,
            None => self.failed = true,
        }
        // What a cut leaves of a field without a length holds no secret.
        match field.is_none() && self.cut && self.message.len() - self.at < 20 {
            true => None,
            false => Some(field),
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
