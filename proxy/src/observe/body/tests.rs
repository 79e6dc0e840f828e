use test_case::test_case;

use super::*;

/// What a chunked body in `pieces` of bytes amounts to: content, trailers, how it ended, and what
/// was left unread.
fn chunked(bytes: &[u8], piece: usize) -> (String, String, &'static str, usize) {
    let mut body = Body::Chunked(Chunk::START);
    let (mut data, mut trailers) = (Vec::new(), Vec::new());
    let mut read = 0;
    for mut rest in bytes.chunks(piece) {
        while !rest.is_empty() {
            let before = rest.len();
            let part = body.next(&mut rest);
            read += before - rest.len();
            let ended = match part {
                Part::Data(bytes) => {
                    data.extend_from_slice(bytes);
                    continue;
                }
                Part::Trailers(bytes) => {
                    trailers.extend_from_slice(bytes);
                    continue;
                }
                Part::Framing => continue,
                Part::End => "end",
                Part::Malformed => "malformed",
            };
            let text = |bytes| String::from_utf8(bytes).unwrap();
            return (text(data), text(trailers), ended, bytes.len() - read);
        }
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(data), text(trailers), "more", 0)
}

#[test_case("5\r\nhello\r\n0\r\n\r\n", "hello", "", "end", 0; "one chunk")]
#[test_case("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world", "", "end", 3; "two chunks and the next message")]
#[test_case("A\r\n0123456789\r\n0a\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789", "", "end", 0; "case and leading zeros")]
#[test_case("5;name=value;q=\"a;b\"\r\nhello\r\n0;last\r\n\r\n", "hello", "", "end", 0; "extensions")]
#[test_case("5 \r\nhello\r\n0\r\n\r\n", "hello", "", "end", 0; "space behind a size")]
#[test_case("5\nhello\n0\n\n", "hello", "", "end", 0; "bare line feeds")]
#[test_case("0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "", "X-Sum: 1\r\nY: 2\r\n", "end", 0; "trailers")]
#[test_case("\r\nhello", "", "", "malformed", 7; "no size")]
#[test_case("g\r\n", "", "", "malformed", 3; "no digit")]
#[test_case("-5\r\n", "", "", "malformed", 4; "a sign")]
#[test_case("0x5\r\n", "", "", "malformed", 4; "a prefix")]
#[test_case("11111111111111111\r\n", "", "", "malformed", 3; "more than 64 bits")]
#[test_case("5\r\nhelloX\r\n", "hello", "", "malformed", 3; "data longer than its size")]
#[test_case("5\r\nhel", "hel", "", "more", 0; "cut off")]
fn a_chunked_body_is_taken_apart(
    bytes: &str,
    data: &str,
    trailers: &str,
    ended: &'static str,
    unread: usize,
) {
    let expected = (data.to_owned(), trailers.to_owned(), ended, unread);
    for piece in 1..=bytes.len() {
        assert_eq!(chunked(bytes.as_bytes(), piece), expected, "in {piece}s");
    }
}
