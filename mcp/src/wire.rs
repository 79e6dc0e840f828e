//! The fields of a protobuf message whose type is not known, as the wire tells them (pure).
//!
//! As `protoc --decode_raw` does it: bytes that parse as a message whole are shown as one, else as
//! text where they are text. That is a guess, and the shape of the answer says so by its types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Deepest nesting that is shown; below it, bytes stay bytes.
const MAX_DEPTH: usize = 16;
/// Most fields of one payload that are shown, nested ones included.
pub const MAX_FIELDS: usize = 256;
/// Largest number that every reader of JSON takes exactly.
const MAX_EXACT: u64 = 1 << 53;

/// What was read of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    /// Each with its number, its type on the wire and its value, in the order of the wire.
    pub fields: Vec<Value>,
    /// There are more than are shown.
    pub cut: bool,
}

/// Reads the fields of a message. `None` where the bytes are no message; of a message that is known
/// to be `cut` short, the last field may be missing.
pub fn fields(payload: &[u8], cut: bool) -> Option<Fields> {
    let mut left = MAX_FIELDS;
    let fields = message(payload, 0, cut, &mut left)?;
    Some(Fields {
        cut: left == 0 || cut,
        fields,
    })
}

fn message(mut rest: &[u8], depth: usize, cut: bool, left: &mut usize) -> Option<Vec<Value>> {
    let mut fields = Vec::new();
    while !rest.is_empty() && *left > 0 {
        match field(&mut rest, depth, left) {
            Some(field) => fields.push(field),
            None if cut => break,
            None => return None,
        }
    }
    Some(fields)
}

/// Takes one field off the front. `None` where there is none.
fn field(rest: &mut &[u8], depth: usize, left: &mut usize) -> Option<Value> {
    let key = varint(rest)?;
    // Numbers of fields have 29 bits.
    let number = u32::try_from(key >> 3).ok()?;
    if number == 0 || number >= 1 << 29 {
        return None;
    }
    *left -= 1;
    let (kind, value) = match key & 7 {
        0 => ("varint", whole(varint(rest)?)),
        1 => ("fixed64", whole(u64::from_le_bytes(take(rest)?))),
        5 => ("fixed32", json!(u32::from_le_bytes(take(rest)?))),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            delimited(bytes, depth, left)
        }
        _ => return None,
    };
    Some(json!({"field": number, "type": kind, "value": value}))
}

/// Text that a person would write is text; else what parses is a message; else bytes.
fn delimited(bytes: &[u8], depth: usize, left: &mut usize) -> (&'static str, Value) {
    let text = std::str::from_utf8(bytes).ok();
    let plain = |text: &&str| !text.contains(|c: char| c.is_control() && !"\n\r\t".contains(c));
    if let Some(text) = text.filter(plain) {
        return ("string", json!(text));
    }
    if depth < MAX_DEPTH {
        let before = *left;
        match message(bytes, depth + 1, false, left) {
            Some(fields) => return ("message", Value::Array(fields)),
            // What was no message has used up nothing.
            None => *left = before,
        }
    }
    match text {
        Some(text) => ("string", json!(text)),
        None => ("bytes", json!(STANDARD.encode(bytes))),
    }
}

fn whole(number: u64) -> Value {
    match number <= MAX_EXACT {
        true => json!(number),
        false => json!(number.to_string()),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

/// At most ten bytes of seven bits each, the least first.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let [byte] = take(rest)?;
        let bits = u64::from(byte & 0x7f);
        if place == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case(b"\x08\x96\x01", json!([{"field": 1, "type": "varint", "value": 150}]); "a number")]
    #[test_case(b"\x12\x03tea", json!([{"field": 2, "type": "string", "value": "tea"}]); "a text")]
    #[test_case(b"\x1a\x02\x08\x01", json!([{"field": 3, "type": "message", "value": [{"field": 1, "type": "varint", "value": 1}]}]); "a message")]
    #[test_case(b"\x1a\x02\xff\xfe", json!([{"field": 3, "type": "bytes", "value": "//4="}]); "bytes")]
    #[test_case(b"\x0d\x01\x00\x00\x00", json!([{"field": 1, "type": "fixed32", "value": 1}]); "four bytes")]
    #[test_case(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", json!([{"field": 1, "type": "varint", "value": "18446744073709551615"}]); "a large number")]
    #[test_case(b"", json!([]); "nothing")]
    fn a_message_has_fields(payload: &[u8], expected: Value) {
        assert_eq!(
            fields(payload, false).map(|read| json!(read.fields)),
            Some(expected)
        );
    }

    #[test_case(b"\x00\x01"; "field zero")]
    #[test_case(b"\x08"; "a number without its bytes")]
    #[test_case(b"\x12\x05tea"; "a text that ends early")]
    #[test_case(b"\x0b\x0c"; "a group")]
    #[test_case(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"; "a number beyond 64 bits")]
    fn what_is_no_message_has_none(payload: &[u8]) {
        assert_eq!(fields(payload, false), None);
    }

    #[test]
    fn of_a_message_that_was_cut_the_whole_fields_are_shown() {
        let read = fields(b"\x08\x01\x12\x05tea", true).unwrap();
        assert_eq!((read.fields.len(), read.cut), (1, true));
    }

    #[test]
    fn many_fields_and_deep_ones_are_bounded() {
        let many = b"\x08\x01".repeat(10_000);
        let read = fields(&many, false).unwrap();
        assert_eq!((read.fields.len(), read.cut), (MAX_FIELDS, true));
        let mut deep = b"\x08\x01".to_vec();
        for _ in 0..30 {
            let length = u8::try_from(deep.len()).unwrap();
            deep.splice(0..0, [0x1a, length]);
        }
        assert!(fields(&deep, false).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(payload in proptest::collection::vec(any::<u8>(), 0..400), cut in any::<bool>()) {
            if let Some(read) = fields(&payload, cut) {
                prop_assert!(json!(read.fields).to_string().len() <= 60 * payload.len() + 2);
            }
        }
    }
}
