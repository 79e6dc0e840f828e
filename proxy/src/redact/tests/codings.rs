//! Bodies that have to be decoded first.

use test_case::test_case;

use super::*;

#[test]
fn a_compressed_body_is_decoded_only_if_a_secret_is_inside() {
    let clean = gzip(br#"{"a":"b"}"#);
    let kept = redacted(coded("gzip", clean.clone()));
    assert_eq!((kept.body, kept.decoded), (Bytes::from(clean), false));

    let masked = redacted(coded("GZIP", gzip(br#"{"password":"hunter2"}"#)));
    assert_eq!(
        untagged(&masked.body),
        r#"{"password":"[redacted secret # 7 text]"}"#
    );
    assert!(masked.decoded && masked.omitted.is_none());
}

#[test]
fn every_usual_coding_is_undone() {
    let content = br#"{"password":"hunter2"}"#;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(content).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(content).unwrap();
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    for (coding, body) in [
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd.clone()),
        ("br", stored_brotli(content)),
        ("gzip, identity", gzip(content)),
        ("zstd, gzip", gzip(&zstd)),
        ("", gzip(content)),
    ] {
        let masked = redacted(coded(coding, body));
        assert!(masked.decoded, "{coding}");
        assert!(!text(&masked.body).contains("hunter2"), "{coding}");
    }
}

#[test_case("compress", b"abc".to_vec(); "an unknown coding")]
#[test_case("gzip", b"not gzip at all".to_vec(); "broken data")]
#[test_case("gzip", gzip(&vec![0; 8 << 20]); "a bomb")]
#[test_case("gzip, gzip, gzip, gzip", gzip(b"x"); "too many layers")]
fn what_cannot_be_looked_through_is_not_kept(coding: &str, body: Vec<u8>) {
    let size = body.len() as u64;
    let masked = redacted(coded(coding, body));
    assert!(masked.body.is_empty() && !masked.decoded);
    assert_eq!(masked.omitted, Some(Omitted::Uninspectable));
    assert_eq!(masked.body_size, size);
}

#[test]
fn what_follows_a_compressed_body_is_not_kept() {
    let content = br#"{"a":"b"}"#;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(content).unwrap();
    for (coding, mut body) in [
        ("gzip", gzip(content)),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::encode_all(&content[..], 1).unwrap()),
        ("br", stored_brotli(content)),
    ] {
        assert_eq!(
            redacted(coded(coding, body.clone())).omitted,
            None,
            "{coding}"
        );
        body.extend_from_slice(b"password=hunter2");
        let masked = redacted(coded(coding, body));
        assert_eq!(masked.omitted, Some(Omitted::Uninspectable), "{coding}");
    }
}

#[test]
fn a_cut_compressed_body_is_looked_through_as_far_as_it_goes() {
    let mut content = br#"{"password":"hunter2","a":["#.to_vec();
    for number in 0..4000 {
        write!(content, "{},", number * 7919 % 10007).unwrap();
    }
    let mut body = gzip(&content);
    let size = body.len();
    body.truncate(size / 2);
    let mut cut = coded("gzip", body);
    cut.body_size = size as u64;
    cut.omitted = Some(Omitted::Limit);
    let masked = redacted(cut);
    assert!(masked.decoded);
    assert_eq!(masked.omitted, Some(Omitted::Limit));
    assert!(masked.body.starts_with(br#"{"password":"[redacted"#));
}
