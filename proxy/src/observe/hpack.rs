//! Reads field blocks of HTTP/2 (HPACK, RFC 7541) and keeps the table that they refer to.
//!
//! Every block of a direction has to pass here, whatever becomes of its record: a block that is
//! skipped puts all later ones out of step. Fields are shown where they lie and nothing is allocated
//! for one; how much of them is kept is the caller's business. The sender announces each change of
//! the table's size in a block (section 4.2), so the settings of either side need not be known.

mod huffman;
mod table;

use table::Table;

/// Largest table that is followed, in bytes.
const TABLE_BYTES: usize = 64 * 1024;

/// Most bytes that one block may put into the table: a few bytes can copy a long name, and do so
/// again and again.
const BLOCK_INSERTS_BYTES: usize = 1024 * 1024;

/// No length or index is larger; four bytes more than its prefix hold it.
const LARGEST_NUMBER: usize = 1 << 28;

/// Room that is kept from block to block for a field that is not entered into the table.
const SCRATCH_BYTES: usize = 4 * 1024;

/// Why a block cannot be read; none after it can either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It ends within a field.
    End,
    /// An index that stands for nothing.
    Index,
    /// A number that is too large.
    Number,
    /// A Huffman code that is none.
    String,
    /// A table larger than [`TABLE_BYTES`].
    Table,
    /// More than [`BLOCK_INSERTS_BYTES`].
    Inserts,
}

impl Malformed {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::End | Self::Index | Self::Number | Self::String => "malformed field block",
            Self::Table => "field table too large",
            Self::Inserts => "field block too large",
        }
    }
}

/// Who is shown the fields of a block.
pub(super) trait Fields {
    fn field(&mut self, name: &[u8], value: &[u8]);
}

/// Reads the field blocks of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    scratch: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            scratch: Vec::new(),
        }
    }

    /// Reads one whole block.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        fields: &mut impl Fields,
    ) -> Result<(), Malformed> {
        let mut inserts = 0;
        while let Some(first) = block.first().copied() {
            match first {
                0x80.. => {
                    let index = number(&mut block, 7)?;
                    let (name, value) = self.table.get(index).ok_or(Malformed::Index)?;
                    fields.field(name, value);
                }
                0x40.. => {
                    inserts += self.insert(&mut block, fields)?;
                    if inserts > BLOCK_INSERTS_BYTES {
                        return Err(Malformed::Inserts);
                    }
                }
                0x20.. => match number(&mut block, 5)? {
                    limit if limit <= TABLE_BYTES => self.table.resize(limit),
                    _ => return Err(Malformed::Table),
                },
                _ => self.literal(&mut block, fields)?,
            }
        }
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES);
        Ok(())
    }

    /// A field that is entered into the table (section 6.2.1); says how long it is.
    fn insert(&mut self, block: &mut &[u8], fields: &mut impl Fields) -> Result<usize, Malformed> {
        let name_bytes = match number(block, 6)? {
            0 => append(block, self.table.unfinished())?,
            index => {
                let begun = self.table.begin_with_name_of(index);
                begun.ok_or(Malformed::Index)?
            }
        };
        let value_bytes = append(block, self.table.unfinished())?;
        self.table.insert(name_bytes, value_bytes, |name, value| {
            fields.field(name, value);
        });
        Ok(name_bytes + value_bytes)
    }

    /// A field that is not entered (sections 6.2.2 and 6.2.3).
    fn literal(&mut self, block: &mut &[u8], fields: &mut impl Fields) -> Result<(), Malformed> {
        let index = number(block, 4)?;
        self.scratch.clear();
        let name = match index {
            0 => string(block)?,
            _ => Text::Plain(self.table.get(index).ok_or(Malformed::Index)?.0),
        };
        let name_bytes = name.decode(&mut self.scratch)?;
        let value = string(block)?;
        let value_bytes = value.decode(&mut self.scratch)?;
        let (coded_name, coded_value) = self
            .scratch
            .split_at_checked(name_bytes)
            .ok_or(Malformed::End)?;
        debug_assert_eq!(coded_value.len(), value_bytes);
        fields.field(
            name.plain().unwrap_or(coded_name),
            value.plain().unwrap_or(coded_value),
        );
        Ok(())
    }
}

/// A string as it lies in a block (section 5.2).
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    Coded(&'a [u8]),
}

impl<'a> Text<'a> {
    fn plain(self) -> Option<&'a [u8]> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Coded(_) => None,
        }
    }

    /// Appends it if it is coded; says how many bytes that were.
    fn decode(self, out: &mut Vec<u8>) -> Result<usize, Malformed> {
        let before = out.len();
        if let Self::Coded(coded) = self {
            huffman::decode(coded, out)?;
        }
        Ok(out.len() - before)
    }
}

fn string<'a>(block: &mut &'a [u8]) -> Result<Text<'a>, Malformed> {
    let coded = block.first().ok_or(Malformed::End)? & 0x80 != 0;
    let length = number(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Malformed::End)?;
    *block = rest;
    Ok(if coded {
        Text::Coded(text)
    } else {
        Text::Plain(text)
    })
}

/// Appends a string; says how long it is.
fn append(block: &mut &[u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
    match string(block)? {
        Text::Plain(text) => {
            out.extend_from_slice(text);
            Ok(text.len())
        }
        coded => coded.decode(out),
    }
}

/// A number of which the first byte has so many bits (section 5.1).
fn number(block: &mut &[u8], prefix_bits: u32) -> Result<usize, Malformed> {
    let (first, mut rest) = block.split_first().ok_or(Malformed::End)?;
    let most = (1 << prefix_bits) - 1;
    let mut number = usize::from(*first) & most;
    if number == most {
        for shift in [0, 7, 14, 21, 28] {
            let (byte, after) = rest.split_first().ok_or(Malformed::End)?;
            rest = after;
            number += usize::from(byte & 0x7f) << shift;
            if number > LARGEST_NUMBER || (shift == 28 && byte & 0x80 != 0) {
                return Err(Malformed::Number);
            }
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(number)
}

#[cfg(test)]
mod tests;
