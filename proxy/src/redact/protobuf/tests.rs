use proptest::prelude::*;

use super::*;
use crate::keys::RedactionKey;
use crate::redact::tests::untagged;
use crate::redact::{Redaction, Redactor};

fn redactor() -> Redactor {
    let key = RedactionKey::new("k".to_owned(), &[7; 32]);
    Redactor::new(&key, &Redaction::default())
}

fn redacted(payload: &[u8], cut: bool) -> Option<Bytes> {
    let look = Look {
        rules: &redactor().rules,
        by_form: true,
    };
    masked(look, payload, cut)
}

/// A field with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    put_varint(&mut bytes, content.len() as u64);
    bytes.extend(content);
    bytes
}

/// The contents of a message's fields with a length, if the message is whole.
fn contents(message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let fields: Option<Vec<_>> = Fields::of(message, false).collect();
    let with_content = fields?.into_iter().filter_map(|field| {
        let (_, content) = field.content?;
        Some((field.number, content))
    });
    Some(with_content.collect())
}

const TOKEN: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIiwicm9sZSI6ImFkbWluIn0.c2lnbmF0dXJlLWJ5dGVz";

#[test]
fn a_secret_in_a_nested_message_leaves_every_length_right() {
    let inner = [field(1, b"anna"), field(2, TOKEN.as_bytes())].concat();
    let payload = [vec![0x08, 0x2a], field(3, &inner), field(4, b"last")].concat();
    let masked = redacted(&payload, false).expect("there is a token");
    let outer = contents(&masked).expect("the message is whole");
    assert_eq!(outer[1], (4, &b"last"[..]));
    let inner = contents(outer[0].1).expect("so is the one in it");
    assert_eq!(inner[0], (1, &b"anna"[..]));
    assert_eq!(
        untagged(&Bytes::copy_from_slice(inner[1].1)),
        "[redacted jwt #]"
    );
    assert_eq!(masked[..2], payload[..2]);
}

#[test]
fn the_value_of_an_entry_with_a_secret_name_is_masked() {
    let entry = [field(1, b"password"), field(2, b"hunter2")].concat();
    let masked = redacted(&field(5, &entry), false).expect("there is a password");
    let outer = contents(&masked).unwrap();
    let entry = contents(outer[0].1).expect("the entry is whole");
    assert_eq!(entry[0].1, b"password");
    let value = untagged(&Bytes::copy_from_slice(entry[1].1));
    assert_eq!(value, "[redacted secret # 7 text]");
}

#[test]
fn a_text_that_is_no_message_is_masked_as_a_text() {
    let masked = redacted(br#"{"password":"hunter2"}"#, false).unwrap();
    assert_eq!(
        untagged(&masked),
        r#"{"password":"[redacted secret # 7 text]"}"#
    );
}

#[test]
fn of_a_message_that_was_cut_the_length_tells_how_much_is_missing() {
    let long = format!("{TOKEN} and more");
    let mut payload = field(1, long.as_bytes());
    payload.truncate(payload.len() - 5);
    let masked = redacted(&payload, true).expect("there is a token");
    let [Some(field)] = &Fields::of(&masked, true).collect::<Vec<_>>()[..] else {
        panic!("there is one field");
    };
    let (declared, kept) = field.content.unwrap();
    assert_eq!(declared - kept.len(), 5);
}

proptest! {
    #[test]
    fn whatever_the_bytes_are_a_token_inside_is_found(
        before in prop::collection::vec(any::<u8>(), 0..40),
        after in prop::collection::vec(any::<u8>(), 0..40),
        cut in any::<bool>(),
    ) {
        // A letter before or behind it would belong to it.
        let payload = [&before[..], b" ", TOKEN.as_bytes(), b" ", &after].concat();
        let masked = redacted(&payload, cut).expect("there is a token");
        let kept = memchr::memmem::find(&masked, &TOKEN.as_bytes()[20..60]);
        prop_assert_eq!(kept, None);
    }
}
