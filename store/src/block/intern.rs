//! Numbers for texts and addresses: each distinct one is kept once per block.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::COLUMN_TEXT_BYTES;

/// Distinct texts in one run of bytes. Number 0 is the empty text.
#[derive(Default)]
pub(super) struct Texts {
    bytes: String,
    /// Length of each text from number 1 on.
    lengths: Vec<u32>,
    /// Where each text ends, from number 0 on.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    /// The number of a text, which is cut where it is longer than [`COLUMN_TEXT_BYTES`].
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let text = text
            .get(..text.floor_char_boundary(COLUMN_TEXT_BYTES))
            .unwrap_or(text);
        let hash = self.hasher.hash_one(text);
        let found = self.numbers.find(hash, |&number| {
            slice(&self.bytes, &self.ends, number) == text
        });
        if let Some(&number) = found {
            return number;
        }
        if self.ends.is_empty() {
            self.ends.push(0);
        }
        let number = self.ends.len() as u32;
        self.bytes.push_str(text);
        self.lengths.push(text.len() as u32);
        self.ends.push(self.bytes.len());
        let Self {
            bytes,
            ends,
            numbers,
            hasher,
            ..
        } = self;
        numbers.insert_unique(hash, number, |&number| {
            hasher.hash_one(slice(bytes, ends, number))
        });
        number
    }

    /// The text of a number that [`Self::number`] gave.
    pub(super) fn text(&self, number: u32) -> &str {
        slice(&self.bytes, &self.ends, number)
    }

    /// How many there are beside the empty one.
    pub(super) fn count(&self) -> u32 {
        self.lengths.len() as u32
    }

    pub(super) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_bytes()
    }
}

fn slice<'a>(bytes: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before));
    match (start, ends.get(number)) {
        (Some(&start), Some(&end)) => bytes.get(start..end).unwrap_or_default(),
        _ => "",
    }
}

/// Distinct addresses.
#[derive(Default)]
pub(super) struct Addresses {
    all: Vec<SocketAddr>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Addresses {
    pub(super) fn number(&mut self, address: SocketAddr) -> u32 {
        let Self {
            all,
            numbers,
            hasher,
        } = self;
        let hash = hasher.hash_one(address);
        let is_it = |&number: &u32| all.get(number as usize) == Some(&address);
        if let Some(&number) = numbers.find(hash, is_it) {
            return number;
        }
        let number = all.len() as u32;
        all.push(address);
        numbers.insert_unique(hash, number, |&number| {
            all.get(number as usize)
                .map_or(0, |address| hasher.hash_one(address))
        });
        number
    }

    pub(super) fn all(&self) -> &[SocketAddr] {
        &self.all
    }
}
