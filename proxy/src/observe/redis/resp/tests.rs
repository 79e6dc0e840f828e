use proptest::prelude::*;
use redis_protocol::resp3::decode::complete::decode;
use redis_protocol::resp3::types::OwnedFrame;

use super::*;

/// What a reader finds in `input`, shown to it in pieces of `size`: where values of the outermost level
/// end, and the text that was told.
///
/// Where it is malformed, the last place is how far it was read.
fn read(input: &[u8], size: usize) -> (Vec<usize>, Vec<u8>, bool) {
    let mut reader = Reader::default();
    let (mut ends, mut text, mut at) = (Vec::new(), Vec::new(), 0);
    for piece in input.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = reader.read(rest);
            text.extend(&rest[step.text.0..step.text.1]);
            rest = &rest[step.used..];
            at += step.used;
            if step.found == Some(Found::Malformed) {
                ends.push(at);
                return (ends, text, true);
            }
            if step.ended == Some(0) {
                assert!(reader.is_between());
                ends.push(at);
            }
        }
    }
    (ends, text, false)
}

/// A value of RESP3 on the wire.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let line = |mark: &'static str| {
        "[ -~]{0,40}".prop_map(move |text| format!("{mark}{text}\r\n").into_bytes())
    };
    let sized = |mark: &'static str, bytes: Vec<u8>| {
        let mut wire = format!("{mark}{}\r\n", bytes.len()).into_bytes();
        wire.extend(bytes);
        wire.extend(b"\r\n");
        wire
    };
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let leaf = prop_oneof![
        line("+"),
        line("-"),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        bytes().prop_map(move |bytes| sized("$", bytes)),
        bytes().prop_map(move |bytes| sized("!", bytes)),
        Just(b"_\r\n".to_vec()),
        Just(b"#t\r\n".to_vec()),
        Just(b",1.5\r\n".to_vec()),
        Just(b"(123\r\n".to_vec()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let many = |mark: &'static str, each: usize| {
            move |values: Vec<Vec<u8>>| {
                let count = values.len() / each;
                let mut wire = format!("{mark}{count}\r\n").into_bytes();
                wire.extend(values.into_iter().take(count * each).flatten());
                wire
            }
        };
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(many("*", 1)),
            prop::collection::vec(inner, 0..6).prop_map(many(">", 1)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_end_where_another_reader_finds_their_end(wire in value(), behind in any::<u8>()) {
        let frame: Option<(OwnedFrame, usize)> = decode(&wire).expect("it is well formed");
        let (_, length) = frame.expect("it is whole");
        let mut longer = wire.clone();
        longer.push(behind);
        let (ends, _, _) = read(&longer, usize::MAX);
        // A push inside of something ends no value there, which the other reader knows nothing of.
        if !wire[1..].windows(3).any(|w| w[0] == b'\n' && w[1] == b'>') {
            prop_assert_eq!(ends.first(), Some(&length));
        }
    }

    #[test]
    fn the_pieces_do_not_matter(wire in value(), more in value(), size in 1usize..9) {
        let wire = [wire, more].concat();
        prop_assert_eq!(read(&wire, usize::MAX), read(&wire, size));
    }

    #[test]
    fn what_is_malformed_is_so_at_the_same_place(
        wire in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), size in 1usize..9
    ) {
        let mut wire = wire;
        let at = at.index(wire.len());
        wire[at] = byte;
        wire.extend([b'1'; 40]);
        prop_assert_eq!(read(&wire, usize::MAX), read(&wire, size));
    }

    #[test]
    fn any_bytes_are_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..9) {
        let (ends, _, malformed) = read(&bytes, usize::MAX);
        let (other_ends, _, also) = read(&bytes, size);
        prop_assert_eq!((ends, malformed), (other_ends, also));
    }
}

#[test]
fn a_value_is_not_gathered() {
    let mut reader = Reader::default();
    reader.read(b"$536870912\r\n");
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..512 {
        let step = reader.read(&piece);
        assert_eq!((step.used, step.found), (1 << 20, None));
    }
    let step = reader.read(b"\r\n");
    assert_eq!(step.ended, Some(0));
    assert_eq!(reader.text().len(), PREFIX_BYTES);
}

#[test]
fn what_cannot_be_read_is_told() {
    for malformed in [
        &b"hello\r\n"[..],
        b"$5\r\nhellooo",
        b"$x\r\n",
        b"$-2\r\n",
        b"*99999999999999999999999\r\n",
        b"*4294967296\r\n",
        b"+OK\n",
        b";4\r\n",
        b".\r\n",
        b"*1\r\n.\r\n",
        b"%-1\r\n",
        b"$1234567890123456789012345",
    ] {
        let text = malformed.escape_ascii().to_string();
        assert!(read(malformed, usize::MAX).2, "{text}");
        assert!(read(malformed, 1).2, "{text}");
    }
    let deep = "*1\r\n".repeat(DEPTH + 1);
    assert!(read(deep.as_bytes(), usize::MAX).2);
}
