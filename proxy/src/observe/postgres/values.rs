//! Bind values and columns as JSON: what their types are known by, readable.
//!
//! Text stays text. Numbers and truths are written as such where their type was told, and binary forms
//! are read where they are simple, arrays of them included; of others there is the size, since nobody could
//! look for secrets in them.

use std::io::Write as _;

use super::fields::Fields;

/// Object identifiers of types (PostgreSQL's `pg_type.dat`).
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const NAME: u32 = 19;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const OID: u32 = 26;
    pub(super) const JSON: u32 = 114;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const UNKNOWN: u32 = 705;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const UUID: u32 = 2950;
    pub(super) const JSONB: u32 = 3802;
    /// Arrays of the types above.
    pub(super) const ARRAYS: &[u32] = &[
        199, 1000, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 1115, 1182, 1185,
        1231, 2951, 3807,
    ];
}

/// Format of a value, by the list of formats that was sent: none for text, one for all, or one for each.
pub(super) fn is_binary(formats: &[u16], place: usize) -> bool {
    let format = match formats {
        [all] => Some(all),
        each => each.get(place),
    };
    format == Some(&1)
}

/// Appends a value as JSON. `oid` is its type, 0 where that is not known.
pub(super) fn write(value: Option<&[u8]>, oid: u32, is_binary: bool, json: &mut Vec<u8>) {
    match value {
        None => json.extend_from_slice(b"null"),
        Some(value) if is_binary => write_binary(value, oid, json),
        Some(value) => write_text(value, oid, json),
    }
}

/// Appends a text as JSON.
pub(super) fn write_string(text: &[u8], json: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut *json, &*String::from_utf8_lossy(text));
}

fn write_text(value: &[u8], oid: u32, json: &mut Vec<u8>) {
    let is_integer = matches!(oid, oid::INT2 | oid::INT4 | oid::INT8 | oid::OID);
    match value {
        b"t" if oid == oid::BOOL => json.extend_from_slice(b"true"),
        b"f" if oid == oid::BOOL => json.extend_from_slice(b"false"),
        _ if is_integer && is_plain_integer(value) => json.extend_from_slice(value),
        _ => write_string(value, json),
    }
}

/// Whether a text is a number as JSON writes it.
fn is_plain_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_short = (1..=20).contains(&digits.len());
    is_short
        && digits.iter().all(u8::is_ascii_digit)
        && (digits == b"0" || !digits.starts_with(b"0"))
}

fn write_binary(value: &[u8], oid: u32, json: &mut Vec<u8>) {
    let number = |json: &mut Vec<u8>, number: &dyn std::fmt::Display| {
        let _ = write!(json, "{number}");
    };
    match (oid, value) {
        (oid::BOOL, [truth]) => number(json, &(*truth != 0)),
        (oid::INT2, [a, b]) => number(json, &i16::from_be_bytes([*a, *b])),
        (oid::INT4, [a, b, c, d]) => number(json, &i32::from_be_bytes([*a, *b, *c, *d])),
        (oid::OID, [a, b, c, d]) => number(json, &u32::from_be_bytes([*a, *b, *c, *d])),
        (oid::FLOAT4, [a, b, c, d]) => {
            let float = f32::from_be_bytes([*a, *b, *c, *d]);
            write_float(&float, float.is_finite(), json);
        }
        (oid::DATE, [a, b, c, d]) => {
            let text = match i32::from_be_bytes([*a, *b, *c, *d]) {
                i32::MAX => INFINITY.to_owned(),
                i32::MIN => format!("-{INFINITY}"),
                days => date(days.into()),
            };
            write_string(text.as_bytes(), json);
        }
        (oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::UNKNOWN, text) => {
            write_string(text, json)
        }
        (array, value) if oid::ARRAYS.contains(&array) => write_array(value, json),
        (oid::JSONB, [1, text @ ..]) => write_string(text, json),
        (oid::NUMERIC, digits) => match numeric(digits) {
            Some(text) => write_string(text.as_bytes(), json),
            None => write_size(value, json),
        },
        (oid::UUID, bytes) if bytes.len() == 16 => {
            let mut text = String::with_capacity(36);
            for (place, byte) in bytes.iter().enumerate() {
                if matches!(place, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                text.push_str(&format!("{byte:02x}"));
            }
            write_string(text.as_bytes(), json);
        }
        (_, bytes) => match (oid, <[u8; 8]>::try_from(bytes)) {
            (oid::INT8, Ok(bytes)) => number(json, &i64::from_be_bytes(bytes)),
            (oid::FLOAT8, Ok(bytes)) => {
                let float = f64::from_be_bytes(bytes);
                write_float(&float, float.is_finite(), json);
            }
            (oid::TIMESTAMP | oid::TIMESTAMPTZ, Ok(bytes)) => {
                let text = match i64::from_be_bytes(bytes) {
                    i64::MAX => INFINITY.to_owned(),
                    i64::MIN => format!("-{INFINITY}"),
                    micros => timestamp(micros),
                };
                write_string(text.as_bytes(), json);
            }
            _ => write_size(value, json),
        },
    }
}

fn write_float(float: &dyn std::fmt::Display, is_finite: bool, json: &mut Vec<u8>) {
    match is_finite {
        true => drop(write!(json, "{float}")),
        false => drop(write!(json, "\"{float}\"")),
    }
}

fn write_size(bytes: &[u8], json: &mut Vec<u8>) {
    let _ = write!(json, "{{\"bytes\":{}}}", bytes.len());
}

/// An array of one dimension (`array_send`); what was cut off ends with the last element that is there.
fn write_array(value: &[u8], json: &mut Vec<u8>) {
    let mut fields = Fields(value);
    let head = (fields.int32(), fields.int32(), fields.int32());
    let (Some(dimensions @ 0..=1), Some(_), Some(element)) = head else {
        return write_size(value, json);
    };
    // Its length and first index, where it has any.
    let length = (dimensions == 1).then(|| (fields.int32(), fields.int32()));
    let length = length.and_then(|(length, _)| length).unwrap_or(0);
    json.push(b'[');
    for place in 0..length {
        let Some(value) = fields.value() else {
            break;
        };
        if place > 0 {
            json.push(b',');
        }
        // No type of an array in an array, whatever is told.
        match oid::ARRAYS.contains(&element) {
            true => write_size(value.unwrap_or_default(), json),
            false => write(value, element, true, json),
        }
    }
    json.push(b']');
}

/// How a time is told that is later than all others.
const INFINITY: &str = "infinity";

const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds since the beginning of the year 2000.
fn timestamp(micros: i64) -> String {
    let within = micros.rem_euclid(DAY_MICROS);
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let day = date(micros.div_euclid(DAY_MICROS));
    format!(
        "{day} {hours:02}:{minutes:02}:{:02}.{fraction:06}",
        seconds % 60
    )
}

/// Days since the beginning of the year 2000, in the Gregorian calendar.
fn date(days: i64) -> String {
    // Counted from 1 March of the year 0, so that leap days end a year.
    let days = days + 730_425;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = match month {
        0..=9 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

/// Most groups of four digits that are written.
const MOST_GROUPS: usize = 64;

/// A number in groups of four decimal digits (`numeric_send`).
fn numeric(value: &[u8]) -> Option<String> {
    let (head, groups) = value.split_first_chunk::<8>()?;
    let int16 = |place: usize| {
        Some(i16::from_be_bytes([
            *head.get(place)?,
            *head.get(place + 1)?,
        ]))
    };
    let (weight, scale) = (int16(2)?, usize::try_from(int16(6)?).ok()?);
    let sign = u16::from_be_bytes([head[4], head[5]]);
    let groups: Vec<u16> = groups
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .fold(0, |group, byte| group << 8 | u16::from(*byte))
        })
        .collect();
    let whole = i32::from(weight) + 1;
    if groups.len() > MOST_GROUPS || whole > MOST_GROUPS as i32 || scale > 4 * MOST_GROUPS {
        return None;
    }
    let group = |place: i32| {
        let place = usize::try_from(place).ok();
        place
            .and_then(|place| groups.get(place).copied())
            .unwrap_or(0)
    };
    let mut text = match sign {
        0 => String::new(),
        0x4000 => "-".to_owned(),
        _ => return None,
    };
    match whole {
        ..=0 => text.push('0'),
        _ => {
            text.push_str(&group(0).to_string());
            (1..whole).for_each(|place| text.push_str(&format!("{:04}", group(place))));
        }
    }
    if scale > 0 {
        let places = i32::try_from(scale.div_ceil(4)).ok()?;
        let digits: String = (whole..whole + places)
            .map(|place| format!("{:04}", group(place)))
            .collect();
        text.push('.');
        text.push_str(digits.get(..scale)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn written(value: Option<&[u8]>, oid: u32, is_binary: bool) -> String {
        let mut json = Vec::new();
        write(value, oid, is_binary, &mut json);
        String::from_utf8(json).unwrap()
    }

    #[test_case(None, oid::INT4, "null"; "nothing")]
    #[test_case(Some(b"17"), oid::INT4, "17"; "a number")]
    #[test_case(Some(b"017"), oid::INT4, "\"017\""; "no number of JSON")]
    #[test_case(Some(b"17"), 0, "\"17\""; "a type that is not known")]
    #[test_case(Some(b"t"), oid::BOOL, "true"; "a truth")]
    #[test_case(Some(b"a\"b\n"), oid::TEXT, "\"a\\\"b\\n\""; "a text")]
    fn a_text_form(value: Option<&[u8]>, oid: u32, expected: &str) {
        assert_eq!(written(value, oid, false), expected);
    }

    #[test_case(&(-2_i16).to_be_bytes(), oid::INT2, "-2")]
    #[test_case(&17_i32.to_be_bytes(), oid::INT4, "17")]
    #[test_case(&(-1_i64).to_be_bytes(), oid::INT8, "-1")]
    #[test_case(&1.5_f64.to_be_bytes(), oid::FLOAT8, "1.5")]
    #[test_case(&f32::NAN.to_be_bytes(), oid::FLOAT4, "\"NaN\"")]
    #[test_case(&[1], oid::BOOL, "true")]
    #[test_case(b"\x01{}", oid::JSONB, "\"{}\"")]
    #[test_case(&[0xab; 16], oid::UUID, "\"abababab-abab-abab-abab-abababababab\"")]
    #[test_case(&0_i64.to_be_bytes(), oid::TIMESTAMPTZ, "\"2000-01-01 00:00:00.000000\"")]
    #[test_case(&(-1_i64).to_be_bytes(), oid::TIMESTAMP, "\"1999-12-31 23:59:59.999999\"")]
    #[test_case(&9_554_i32.to_be_bytes(), oid::DATE, "\"2026-02-27\"")]
    #[test_case(&59_i32.to_be_bytes(), oid::DATE, "\"2000-02-29\"")]
    #[test_case(b"\0\x02\0\0\0\0\0\x02\0\x0c\x0d\x48", oid::NUMERIC, "\"12.34\"")]
    #[test_case(b"\0\x01\xff\xff\x40\0\0\x03\x04\xd2", oid::NUMERIC, "\"-0.123\"")]
    #[test_case(b"\0\x01\0\x01\0\0\0\0\0\x05", oid::NUMERIC, "\"50000\"")]
    #[test_case(b"\x01\xff", 0, "{\"bytes\":2}"; "a type that is not known")]
    #[test_case(b"\x01", oid::INT4, "{\"bytes\":1}"; "a number of another size")]
    #[test_case(&i32::MAX.to_be_bytes(), oid::DATE, "\"infinity\""; "the latest date")]
    #[test_case(&i64::MIN.to_be_bytes(), oid::TIMESTAMP, "\"-infinity\""; "the earliest time")]
    #[test_case(b"\0\0\0\x01\0\0\0\x01\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\x02a\"\xff\xff\xff\xff", 1009, "[\"a\\\"\",null]"; "an array of texts")]
    #[test_case(b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x07", 1007, "[7]"; "an array that was cut off")]
    #[test_case(b"\0\0\0\0\0\0\0\0\0\0\0\x17", 1007, "[]"; "an empty array")]
    #[test_case(b"\0\0\0\x02\0\0\0\0\0\0\0\x19", 1009, "{\"bytes\":12}"; "an array of two dimensions")]
    fn a_binary_form(value: &[u8], oid: u32, expected: &str) {
        assert_eq!(written(Some(value), oid, true), expected);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_json(value in proptest::collection::vec(any::<u8>(), 0..40), oid in prop_oneof![any::<u32>(), Just(1009_u32), 16_u32..30, 1_082..1_200_u32, Just(oid::NUMERIC)], binary: bool) {
            let json = written(Some(&value), oid, binary);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        }
    }
}
