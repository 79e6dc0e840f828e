//! Segments are written, damaged and read back.

use std::path::Path;

use test_case::test_case;

use super::*;

const NAME: SegmentName = SegmentName {
    id: 7,
    marker: *b"\xa1\0mark\xff\x07",
};

fn record(number: u64, body: &[u8]) -> Record {
    Record {
        kind: RecordKind::BLOCK,
        number,
        received_ns: 1_000 + number as i64,
        meta: Bytes::from(format!("meta of {number}")),
        body: Bytes::copy_from_slice(body),
    }
}

fn records() -> Vec<Record> {
    vec![
        record(1, b"first"),
        record(2, &vec![b'x'; 3 * 1_024 * 1_024]),
        record(3, b""),
        Record {
            kind: RecordKind(77),
            ..record(0, b"from a later version")
        },
        record(5, b"last"),
    ]
}

fn write(dir: &Path, records: &[Record]) -> Vec<Location> {
    let mut writer = SegmentWriter::create(dir, NAME).unwrap();
    let locations = writer.append(records).unwrap();
    writer.sync().unwrap();
    locations
}

fn scan_all(dir: &Path) -> (Vec<Record>, ScanEnd) {
    let mut found = Vec::new();
    let end = scan(dir, NAME, |location, record| {
        assert_eq!(location.length, record.stored_bytes());
        found.push(record);
        Ok(())
    })
    .unwrap();
    (found, end)
}

fn change(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(NAME.path(dir)).unwrap();
    change(&mut bytes);
    std::fs::write(NAME.path(dir), bytes).unwrap();
}

#[test]
fn a_name_reads_back_as_it_was_written() {
    assert_eq!(SegmentName::parse(&NAME.to_string()), Some(NAME));
    for other in [
        "LOCK",
        "7-a1.seg",
        "0000000007-a1006d61726bff07.seg.tmp",
        "-.seg",
    ] {
        assert_eq!(SegmentName::parse(other), None, "{other}");
    }
}

#[test]
fn records_read_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let locations = write(dir.path(), &records());
    for (location, record) in locations.iter().zip(records()) {
        assert_eq!(read_record(dir.path(), location).unwrap(), record);
    }
    let (found, end) = scan_all(dir.path());
    assert_eq!(found, records());
    assert!(end.damages.is_empty() && end.torn_bytes == 0, "{end:?}");
}

#[test]
fn a_resumed_segment_goes_on_behind_its_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &records());
    change(dir.path(), |bytes| bytes.extend_from_slice(b"half a rec"));
    let (_, end) = scan_all(dir.path());
    assert_eq!(end.torn_bytes, 10);

    let mut writer = SegmentWriter::resume(dir.path(), NAME, end.end).unwrap();
    writer.append(&[record(6, b"after")]).unwrap();
    let (found, end) = scan_all(dir.path());
    assert_eq!(found.len(), 6);
    assert_eq!(end.torn_bytes, 0);
}

#[test_case(0, 5, 0; "the file header")]
#[test_case(20, 4, 1; "a marker")]
#[test_case(40, 4, 1; "a length")]
#[test_case(70, 4, 1; "a payload")]
#[test_case(1_000_000, 4, 2; "the middle of a large block")]
fn a_flipped_byte_costs_one_record_at_most(at: usize, left: usize, lost: usize) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &records());
    change(dir.path(), |bytes| bytes[at] ^= 0x10);

    let (found, end) = scan_all(dir.path());
    assert_eq!(found.len(), left);
    assert_eq!(end.damages.len(), 1, "{end:?}");
    if lost > 0 {
        assert!(found.iter().all(|record| record.number != lost as u64));
    }
}

#[test]
fn bytes_missing_from_the_middle_do_not_hide_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &records());
    change(dir.path(), |bytes| drop(bytes.drain(2_000..900_000)));

    let (found, end) = scan_all(dir.path());
    let numbers: Vec<_> = found.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 3, 0, 5]);
    assert_eq!(end.damages.len(), 1, "{end:?}");
}

#[test]
fn every_cut_is_seen_and_leaves_the_records_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let few = [record(1, b"one"), record(2, b"two")];
    let locations = write(dir.path(), &few);
    let whole = std::fs::read(NAME.path(dir.path())).unwrap();
    for length in 0..whole.len() {
        std::fs::write(NAME.path(dir.path()), &whole[..length]).unwrap();
        let (found, end) = scan_all(dir.path());
        let expected = locations
            .iter()
            .filter(|location| location.offset + location.length <= length as u64)
            .count();
        assert_eq!(found.len(), expected, "cut at {length}");
        let told = end.torn_bytes > 0 || !end.damages.is_empty();
        let between = [16, locations[1].offset].contains(&(length as u64));
        assert!(told || between, "nobody was told of a cut at {length}");
    }
}

#[test]
fn a_record_is_not_served_from_damaged_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let locations = write(dir.path(), &records());
    change(dir.path(), |bytes| {
        bytes[locations[0].offset as usize + 50] ^= 1;
        bytes.truncate(bytes.len() - 1);
    });
    let read = |place: usize| read_record(dir.path(), &locations[place]);
    assert!(matches!(read(0), Err(ReadError::Damaged(_))));
    assert!(matches!(read(4), Err(ReadError::Damaged(_))));
    assert_eq!(read(2).unwrap(), records()[2]);
    std::fs::remove_file(NAME.path(dir.path())).unwrap();
    assert!(matches!(read(2), Err(ReadError::Gone)));
}

#[test]
fn a_failed_append_leaves_the_segment_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::create(dir.path(), NAME).unwrap();
    writer.append(&[record(1, b"one")]).unwrap();
    let length = writer.length();
    writer.fault = Some(Fault::Append);
    let refused = writer.append(&[record(2, b"two")]);
    assert!(matches!(refused, Err(AppendError::Full)));
    assert_eq!(writer.length(), length);
    writer.fault = None;
    writer.append(&[record(3, b"three")]).unwrap();
    let (found, end) = scan_all(dir.path());
    assert_eq!(found.len(), 2);
    assert!(end.damages.is_empty(), "{end:?}");
}
