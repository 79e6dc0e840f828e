use super::*;

/// Everything that is asked for.
fn grant(_: usize) -> bool {
    true
}

fn vector16(content: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(content);
    bytes
}

/// A hello with a server name, two protocols, two versions, and padding of `padding` bytes.
fn handshake(padding: usize) -> Vec<u8> {
    handshake_with(b"shop.example", padding)
}

fn handshake_with(server_name: &[u8], padding: usize) -> Vec<u8> {
    let extension = |kind: u16, content: &[u8]| {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend(vector16(content));
        bytes
    };
    let name = [&[0][..], &vector16(server_name)].concat();
    let extensions = [
        extension(0, &vector16(&name)),
        extension(16, &vector16(b"\x02h2\x08http/1.1")),
        extension(43, b"\x04\x03\x04\x03\x03"),
        extension(21, &vec![0; padding]),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(b"\0\0\x02\x13\x01\x01\0");
    body.extend(vector16(&extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

/// The same bytes in records of at most `size`.
fn records(handshake: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| [&[0x16, 3, 1][..], &vector16(piece)].concat();
    handshake.chunks(size).flat_map(record).collect()
}

fn expected() -> Hello {
    Hello {
        said: TlsHello {
            sni: Some("shop.example".to_owned()),
            alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
            versions: vec![0x0304, 0x0303],
            random: [7; 32],
        },
        is_encrypted: false,
    }
}

#[test]
fn a_hello_is_read_over_any_number_of_records_and_segments() {
    for (padding, record, segment) in [
        (0, 16_384, 16_384),
        (0, 1, 1),
        (300, 50, 7),
        (40_000, 16_384, 1_448),
    ] {
        let bytes = records(&handshake(padding), record);
        let mut reader = HelloReader::default();
        let mut last = Progress::More;
        for piece in bytes.chunks(segment) {
            assert_eq!(last, Progress::More);
            last = reader.read(piece, grant);
        }
        assert_eq!(last, Progress::Done(expected()));
    }
}

#[test]
fn a_hello_that_says_more_than_it_has_is_malformed() {
    let whole = handshake(0);
    for end in 4..whole.len() {
        let mut cut = whole[..end].to_vec();
        let length = u32::try_from(end - 4).unwrap().to_be_bytes();
        cut[1..4].copy_from_slice(&length[1..]);
        let progress = HelloReader::default().read(&records(&cut, 16_384), grant);
        // A hello may end before its extensions; cut anywhere else it is none.
        let legacy = matches!(&progress, Progress::Done(hello) if hello.said.versions == [0x0303]);
        assert!(
            progress == Progress::Malformed || legacy,
            "cut at {end}: {progress:?}"
        );
    }
}

#[test]
fn a_hello_has_a_longest_size() {
    let mut reader = HelloReader::default();
    let bytes = records(&[&[1, 0, 0xff, 0xff][..], &[0; 70_000]].concat(), 16_000);
    let progress = reader.read(&bytes, grant);
    assert_eq!(progress, Progress::Malformed);
    assert!(reader.kept_bytes() <= 2 * HELLO_BYTES);
}

#[test]
fn other_records_are_no_hello() {
    for bytes in [
        &b"\x17\x03\x03\x00\x05hello"[..],
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x04\x02\0\0\0",
    ] {
        let progress = HelloReader::default().read(bytes, grant);
        assert_eq!(progress, Progress::Malformed);
    }
}

#[test]
fn of_a_server_name_no_more_is_kept_than_a_name_can_have() {
    let hello = handshake_with(&[0xff; 20_000], 0);
    let mut reader = HelloReader::default();
    let Progress::Done(hello) = reader.read(&records(&hello, 16_000), grant) else {
        panic!("a long name makes a hello unreadable");
    };
    assert_eq!(hello.said.sni.unwrap().chars().count(), 255);
}

#[test]
fn a_hello_that_may_hold_another_says_so() {
    let mut whole = handshake(0);
    let extension = b"\xfe\x0d\0\x01\0";
    whole.extend(extension);
    let body = u32::try_from(whole.len() - 4).unwrap().to_be_bytes();
    whole[1..4].copy_from_slice(&body[1..]);
    let place = 4 + 2 + 32 + 1 + 4 + 2;
    let extensions = u16::try_from(whole.len() - place - 2).unwrap();
    whole[place..place + 2].copy_from_slice(&extensions.to_be_bytes());
    let Progress::Done(hello) = HelloReader::default().read(&records(&whole, 16_000), grant) else {
        panic!("it cannot be read");
    };
    assert!(hello.is_encrypted);
    assert_eq!(hello.said, expected().said);
}

#[test]
fn nothing_is_kept_that_is_not_granted() {
    let bytes = records(&handshake(4_000), 16_000);
    let mut reader = HelloReader::default();
    let mut granted = 0;
    let progress = reader.read(&bytes, |bytes| {
        granted += bytes;
        true
    });
    assert_eq!(progress, Progress::Done(expected()));
    assert_eq!(granted, reader.kept_bytes());
    assert_eq!(
        HelloReader::default().read(&bytes, |_| false),
        Progress::Malformed
    );
}
