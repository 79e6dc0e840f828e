//! The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their
//! symbols. So the lengths are all there is to write down, and the tables follow from them.

use super::Malformed;

/// Symbol that no string may hold.
const END_OF_STRING: usize = 256;

const LONGEST: usize = 30;

/// Bits that are looked up at once: enough for the letters, digits and signs of most fields.
const SHORT: u32 = 8;

/// Length of each symbol's code in bits.
#[rustfmt::skip]
const LENGTHS: [u8; END_OF_STRING + 1] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// What the lengths come to.
struct Codes {
    /// Symbols in the order of their codes.
    symbols: [u16; LENGTHS.len()],
    /// For each length: its first code, how many there are, and the place of the first symbol.
    lengths: [(u32, u32, u32); LONGEST + 1],
    /// Symbol and length of the code that begins with these bits; length 0 where it is longer.
    short: [(u8, u8); 1 << SHORT],
}

static CODES: Codes = codes();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses an index out of bounds"
)]
const fn codes() -> Codes {
    let mut codes = Codes {
        symbols: [0; LENGTHS.len()],
        lengths: [(0, 0, 0); LONGEST + 1],
        short: [(0, 0); 1 << SHORT],
    };
    let (mut length, mut code, mut place) = (1, 0, 0);
    while length <= LONGEST {
        code <<= 1;
        let first = code;
        codes.lengths[length] = (first, 0, place as u32);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                codes.symbols[place] = symbol as u16;
                if length <= SHORT as usize {
                    let free = SHORT as usize - length;
                    let mut rest = 0;
                    while rest < 1 << free {
                        let at = (code as usize) << free | rest;
                        codes.short[at] = (symbol as u8, length as u8);
                        rest += 1;
                    }
                }
                code += 1;
                place += 1;
            }
            symbol += 1;
        }
        codes.lengths[length].1 = code - first;
        length += 1;
    }
    codes
}

/// Appends the string that `coded` stands for; at most eight fifths as long.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.reserve(coded.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u64, 0_u32);
    for byte in coded {
        bits = bits << 8 | u64::from(*byte);
        count += 8;
        while count >= SHORT {
            let Some((symbol, length)) = first_symbol(bits, count)? else {
                break;
            };
            out.push(symbol);
            count -= length;
        }
    }
    // What is left is padded with the beginning of the longest code, which is all ones.
    let padding = (1 << SHORT) - 1;
    while count > 0 && count < SHORT {
        let ahead = (bits << (SHORT - count)) & padding | padding >> count;
        let (symbol, length) = short(ahead);
        if length == 0 || length > count {
            break;
        }
        out.push(symbol);
        count -= length;
    }
    let ones = (1_u64 << count) - 1;
    match count < 8 && bits & ones == ones {
        true => Ok(()),
        false => Err(Malformed::String),
    }
}

/// The symbol that the `count` lowest bits of `bits` begin with, and its length; `None` while its
/// end is still to come.
fn first_symbol(bits: u64, count: u32) -> Result<Option<(u8, u32)>, Malformed> {
    let (symbol, length) = short(bits >> (count - SHORT) & 0xff);
    if length > 0 {
        return Ok(Some((symbol, length)));
    }
    let longer = (0..).zip(&CODES.lengths).skip(SHORT as usize + 1);
    for (length, (first, codes, place)) in longer.take_while(|(length, _)| *length <= count) {
        let code = (bits >> (count - length)) as u32 & ((1_u32 << length) - 1);
        let Some(beyond) = code.checked_sub(*first).filter(|beyond| beyond < codes) else {
            continue;
        };
        let symbol = CODES.symbols.get((place + beyond) as usize);
        return match symbol.and_then(|symbol| u8::try_from(*symbol).ok()) {
            Some(symbol) => Ok(Some((symbol, length))),
            None => Err(Malformed::String),
        };
    }
    Ok(None)
}

fn short(bits: u64) -> (u8, u32) {
    let found = CODES.short.get(bits as usize);
    found.map_or((0, 0), |(symbol, length)| (*symbol, u32::from(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<String, Malformed> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let host = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&host).unwrap(), "www.example.com");
        assert_eq!(decoded(&[0x64, 0x02]).unwrap(), "302");
        assert_eq!(decoded(&[]).unwrap(), "");
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones_and_the_end_is_no_symbol() {
        assert_eq!(decoded(&[0x1f]).unwrap(), "a");
        assert_eq!(decoded(&[0x18]), Err(Malformed::String), "zeros");
        assert_eq!(decoded(&[0x1f, 0xff]), Err(Malformed::String), "a byte");
        assert_eq!(decoded(&[0xff; 4]), Err(Malformed::String), "the end");
    }

    #[test]
    fn every_symbol_is_read_back() {
        for symbol in 0..=255_u8 {
            let length = u32::from(LENGTHS[usize::from(symbol)]);
            let (first, _, place) = CODES.lengths[length as usize];
            let sorted = CODES.symbols.iter().position(|s| *s == u16::from(symbol));
            let code = u64::from(first + sorted.unwrap() as u32 - place);
            // Twice, then ones up to the end of a byte.
            let twice = code << length | code;
            let padding = (8 - 2 * length % 8) % 8;
            let padded = ((twice + 1) << padding) - 1;
            let bytes = padded.to_be_bytes();
            let coded = &bytes[8 - ((2 * length + padding) / 8) as usize..];
            let mut out = Vec::new();
            decode(coded, &mut out).unwrap();
            assert_eq!(out, [symbol, symbol]);
        }
    }
}
