use super::*;

#[derive(Default)]
struct Shown(Vec<String>);

impl Fields for Shown {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        let text = [name, b": ", value].concat();
        self.0.push(String::from_utf8(text).unwrap());
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut shown = Shown::default();
    decoder.decode(block, &mut shown).map(|()| shown.0)
}

/// Appendices C.3 and C.4: three requests on one connection, plain and in the Huffman code.
#[test_case::test_case([
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
]; "plain")]
#[test_case::test_case([
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
]; "coded")]
fn the_requests_of_the_rfc_are_read(blocks: [&str; 3]) {
    let mut decoder = Decoder::new();
    let requests = blocks.map(|block| read(&mut decoder, &unhex(block)).unwrap().join("\n"));
    insta::assert_snapshot!("requests", requests.join("\n--\n"));
}

/// Appendices C.5 and C.6: three responses with a table of 256 bytes, so that entries are evicted.
#[test_case::test_case([
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
     2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
     54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
     5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
]; "plain")]
#[test_case::test_case([
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
     2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
     77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
     9587 3160 65c0 03ed 4ee5 b106 3d50 07",
]; "coded")]
fn the_responses_of_the_rfc_are_read(blocks: [&str; 3]) {
    let mut decoder = Decoder::new();
    // A table size update to 256, as the settings of the example demand.
    read(&mut decoder, &[0x3f, 0xe1, 0x01]).unwrap();
    let responses = blocks.map(|block| read(&mut decoder, &unhex(block)).unwrap().join("\n"));
    insta::assert_snapshot!("responses", responses.join("\n--\n"));
}

#[test]
fn a_field_that_is_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new();
    assert_eq!(read(&mut decoder, b"\x40\x01a\x01b").unwrap(), ["a: b"]);
    assert_eq!(read(&mut decoder, b"\xbe").unwrap(), ["a: b"]);
    let mut long = b"\x40\x01c\x7f\xd9\x26".to_vec();
    long.extend([b'x'; 127 + 0x59 + (0x26 << 7)]);
    assert_eq!(read(&mut decoder, &long).unwrap()[0].len(), 3 + 5080);
    assert_eq!(read(&mut decoder, b"\xbe"), Err(Malformed::Index));
}

#[test]
fn a_new_entry_may_take_its_name_from_one_that_it_evicts() {
    let mut decoder = Decoder::new();
    read(&mut decoder, b"\x3f\x09").unwrap();
    read(&mut decoder, b"\x40\x04name\x01a").unwrap();
    assert_eq!(read(&mut decoder, b"\x7e\x01b").unwrap(), ["name: b"]);
    assert_eq!(read(&mut decoder, b"\xbe").unwrap(), ["name: b"]);
    assert_eq!(read(&mut decoder, b"\xbf"), Err(Malformed::Index));
}

#[test_case::test_case(b"\x80", Malformed::Index; "index zero")]
#[test_case::test_case(b"\xbe", Malformed::Index; "an empty dynamic table")]
#[test_case::test_case(b"\x7f\xff\xff\xff\xff\xff\xff", Malformed::Number; "an endless number")]
#[test_case::test_case(b"\x40\x05abc", Malformed::End; "a string that is cut")]
#[test_case::test_case(b"\x04", Malformed::End; "a value that is missing")]
#[test_case::test_case(b"\x3f\xe2\xff\x03", Malformed::Table; "a table of 64 KiB and one")]
fn malformed_blocks_are_refused(block: &[u8], why: Malformed) {
    assert_eq!(read(&mut Decoder::new(), block), Err(why));
}

/// Each block copies a long name again: with four bytes, four thousand are moved.
#[test]
fn a_block_that_copies_a_long_name_without_end_is_refused() {
    let mut decoder = Decoder::new();
    let mut block = b"\x40\x7f\xa1\x1e".to_vec();
    block.extend([b'n'; 4000]);
    block.extend(b"\x00");
    block.extend(b"\x7e\x00".repeat(300));
    assert_eq!(read(&mut decoder, &block), Err(Malformed::Inserts));
}

/// The bytes of evicted entries are given up, however many there were.
#[test]
fn a_table_takes_no_more_room_than_its_size_allows() {
    let mut decoder = Decoder::new();
    for number in 0..10_000 {
        let value = format!("{number:08}").repeat(10);
        let mut block = b"\x40\x04name\x50".to_vec();
        block.extend(value.as_bytes());
        assert_eq!(
            read(&mut decoder, &block).unwrap(),
            [format!("name: {value}")]
        );
        assert_eq!(
            read(&mut decoder, b"\xbe").unwrap(),
            [format!("name: {value}")]
        );
    }
    assert!(decoder.table.unfinished().capacity() <= 4 * (4096 + 4096));
}
