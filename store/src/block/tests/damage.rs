//! Bytes that are no block, or were one: an error every time, and never a panic or a large
//! allocation.

use prost::Message as _;

use super::*;
use crate::block::directory::{DirectoryRecord, MetaRecord, PartRecord, SourceRecord};
use crate::block::part::{Kind, read_directory};

const FOOTER_BYTES: usize = 8;

/// Replaces the directory of a block, with checksums that match: what a hostile sidecar can do.
pub(super) fn forge(block: &Bytes, change: impl FnOnce(&mut DirectoryRecord)) -> Bytes {
    let (mut directory, start) = read_directory(block).unwrap();
    change(&mut directory);
    with_directory(&block[..start], &directory.encode_to_vec())
}

pub(super) fn with_directory(parts: &[u8], directory: &[u8]) -> Bytes {
    let mut forged = parts.to_vec();
    forged.extend_from_slice(directory);
    forged.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    forged.extend_from_slice(&crc32fast::hash(directory).to_le_bytes());
    forged.into()
}

/// Makes the checksums of all parts match what lies there.
fn forge_checksums(block: &Bytes) -> Bytes {
    forge(block, |directory| {
        let mut start = crate::block::part::HEADER_BYTES;
        for part in &mut directory.parts {
            let end = start + part.length as usize;
            part.crc32 = crc32fast::hash(&block[start..end]);
            start = end;
        }
    })
}

fn part(directory: &mut DirectoryRecord, kind: Kind) -> &mut PartRecord {
    let is_kind = |part: &&mut PartRecord| Kind::from_code(part.kind) == Some(kind);
    directory.parts.iter_mut().find(is_kind).unwrap()
}

fn read_all(bytes: Bytes) -> Result<(), BlockError> {
    let block = Block::open(bytes)?;
    block.verify()?;
    merge(&[(1, block)])?;
    Ok(())
}

fn small_block(codec: Codec) -> Bytes {
    let calls = calls(3);
    seal(&meta(1), &calls, Some(&calls[..1]), codec)
}

#[test]
fn a_flip_of_any_byte_is_noticed() {
    for codec in CODECS {
        let whole = small_block(codec);
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[at] ^= flip;
                assert!(
                    read_all(bytes.into()).is_err(),
                    "{codec:?}: byte {at} ^ {flip:#x}"
                );
            }
        }
    }
}

#[test]
fn a_block_cut_anywhere_does_not_open() {
    let whole = small_block(Codec::Lz4);
    for end in 0..whole.len() {
        assert!(Block::open(whole.slice(..end)).is_err(), "cut at {end}");
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert!(Block::open(longer.into()).is_err(), "with a byte more");
}

type Lie = dyn Fn(&mut DirectoryRecord);

#[test]
fn a_directory_that_lies_is_refused() {
    let lies: &[(&str, &Lie)] = &[
        ("no summary", &|it| it.summary = None),
        ("no parts", &|it| it.parts.clear()),
        ("columns twice", &|it| part(it, Kind::Bodies).kind = 1),
        ("open calls twice", &|it| part(it, Kind::Bodies).kind = 4),
        ("a part that goes on", &|it| {
            part(it, Kind::Open).length += 1
        }),
        ("a part without end", &|it| {
            part(it, Kind::Heads).length = u64::MAX
        }),
        ("a part too short", &|it| part(it, Kind::Open).length -= 1),
        ("a part too large", &|it| {
            part(it, Kind::Heads).raw_length = 1 << 40
        }),
        ("another raw length", &|it| {
            part(it, Kind::Heads).raw_length += 1
        }),
        ("an unknown codec", &|it| part(it, Kind::Heads).codec = 77),
        ("another codec", &|it| part(it, Kind::Heads).codec = 1),
        ("zstd that is none", &|it| part(it, Kind::Bodies).codec = 2),
        ("fewer columns", &|it| part(it, Kind::Columns).calls = 2),
        ("more heads", &|it| part(it, Kind::Heads).calls = 4),
        ("fewer heads", &|it| part(it, Kind::Heads).calls = 2),
        ("heads that begin late", &|it| {
            part(it, Kind::Heads).first = 1
        }),
        ("bodies of no calls", &|it| part(it, Kind::Bodies).calls = 0),
        ("bodies beyond the calls", &|it| {
            part(it, Kind::Bodies).first = 1
        }),
        ("bodies far beyond", &|it| {
            part(it, Kind::Bodies).first = u32::MAX
        }),
        ("more open calls", &|it| part(it, Kind::Open).calls = 2),
        ("too many open calls", &|it| {
            part(it, Kind::Open).calls = u32::MAX
        }),
        ("sources of other calls", &|it| {
            it.sources = vec![SourceRecord {
                block: 1,
                sequence: 1,
                calls: 2,
            }];
        }),
        ("open calls of no source", &|it| {
            it.sources = vec![SourceRecord {
                block: 1,
                sequence: 1,
                calls: 3,
            }];
            it.open_source = 1;
        }),
    ];
    for (lie, tell) in lies {
        let forged = forge(&small_block(Codec::Raw), tell);
        assert!(read_all(forged).is_err(), "{lie}");
    }
    let true_one = forge(&small_block(Codec::Raw), |_| {});
    assert_eq!(
        read_all(true_one),
        Ok(()),
        "what is not changed still reads"
    );
}

#[test]
fn many_calls_are_refused_before_anything_is_made_of_them() {
    let frame = |kind, first, calls| PartRecord {
        kind,
        first,
        calls,
        crc32: crc32fast::hash(&[]),
        ..PartRecord::default()
    };
    let frames = 20;
    let calls = frames * 4_096;
    let mut parts = vec![frame(1, 0, calls)];
    parts.extend((0..frames).map(|at| frame(2, at * 4_096, 4_096)));
    let summary = BlockSummary {
        calls,
        ..BlockSummary::default()
    };
    let directory = DirectoryRecord {
        summary: Some((&summary).into()),
        parts,
        ..DirectoryRecord::default()
    };
    let forged = with_directory(&small_block(Codec::Raw)[..8], &directory.encode_to_vec());
    let refused = Block::open(forged).unwrap_err();
    assert!(refused.to_string().ends_with("too many calls"), "{refused}");
}

#[test]
fn lists_without_end_are_refused() {
    let lies: &[(&str, &Lie)] = &[
        ("drops", &|it| {
            let mut many = meta(1);
            many.drops = vec![Drop {
                reason: String::new(),
                calls: 1,
                since_ns: 0,
                until_ns: 0,
            }];
            let mut record = MetaRecord::from(&many);
            record.drops = vec![record.drops[0].clone(); 65];
            it.meta = Some(record);
        }),
        ("addresses", &|it| {
            let mut record = MetaRecord::from(&meta(1));
            record.serves = vec![record.serves[0]; 257];
            it.meta = Some(record);
        }),
        ("statuses", &|it| {
            let summary = BlockSummary {
                calls: 3,
                status_codes: Some((200..265).collect()),
                ..BlockSummary::default()
            };
            it.summary = Some((&summary).into());
        }),
        ("sources", &|it| {
            it.sources = vec![SourceRecord::default(); 8_193];
            it.sources[0].calls = 3;
        }),
        ("large", &|it| {
            let mut long = meta(1);
            long.origin.pod = "pod".repeat(50_000);
            it.meta = Some((&long).into());
        }),
    ];
    for (list, tell) in lies {
        let refused = Block::open(forge(&small_block(Codec::Raw), tell)).unwrap_err();
        assert!(refused.to_string().contains(list), "{list}: {refused}");
    }
}

#[test]
fn a_bomb_unpacks_to_no_more_than_it_said() {
    for codec in [Codec::Lz4, Codec::Zstd] {
        let mut bomb = call(0, "/", 200);
        bomb.response.body = vec![0; 3 * 1024 * 1024].into();
        let sealed = seal(&meta(1), &[bomb], None, codec);
        assert!(sealed.len() < 64 * 1024);
        let forged = forge(&sealed, |it| part(it, Kind::Bodies).raw_length = 1_000);
        let refused = Block::open(forged).unwrap().verify().unwrap_err();
        assert!(refused.to_string().contains("bodies"), "{refused}");
    }
}

#[test]
fn lz4_that_promises_more_than_it_can_hold_is_refused_unread() {
    let forged = forge(&small_block(Codec::Raw), |it| {
        let bodies = part(it, Kind::Bodies);
        bodies.codec = 1;
        bodies.raw_length = 16 * 1024 * 1024;
    });
    let refused = Block::open(forged).unwrap().verify().unwrap_err();
    assert!(
        refused.to_string().ends_with("more than lz4 can hold"),
        "{refused}"
    );
}

#[test]
fn a_block_of_another_format_is_told_from_bytes_that_are_none() {
    let mut newer = small_block(Codec::Raw).to_vec();
    newer[7] = 9;
    let refused = Block::open(newer.into()).unwrap_err();
    assert_eq!(
        refused,
        BlockError::Newer {
            version: 9,
            supported: 1
        }
    );
    let refused = Block::open(Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")).unwrap_err();
    assert_eq!(refused, BlockError::NotABlock);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_with_matching_checksums_read_or_do_not(
        calls in vec(any_call(), 0..4),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let whole = seal(&meta(1), &calls, Some(&calls), Codec::Raw);
        let (_, parts_end) = read_directory(&whole).unwrap();
        let mut bytes = whole.to_vec();
        let end = bytes.len() - FOOTER_BYTES;
        for (at, byte) in flips {
            bytes[8 + at.index(end - 8)] = byte;
        }
        let (parts, rest) = bytes.split_at(parts_end);
        let forged = with_directory(parts, &rest[..rest.len() - FOOTER_BYTES]);
        if let Ok((_, start)) = read_directory(&forged)
            && start == parts_end
            && Block::open(forged.clone()).is_ok()
        {
            let forged = forge_checksums(&forged);
            if let Ok(block) = Block::open(forged.clone()) {
                let _ = block.calls();
                let _ = block.call(1);
                let _ = block.heads();
            }
            let _ = read_all(forged);
        }
    }
}
