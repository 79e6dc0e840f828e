use test_case::test_case;

use super::*;

fn request(head: &[u8]) -> Progress {
    HeadReader::request().read(head).1
}

fn facts(head: &str) -> Facts {
    match request(head.as_bytes()) {
        Progress::Done(facts) => facts,
        other => panic!("{head:?} gave {other:?}"),
    }
}

fn fields(lines: &str) -> (Length, Coding) {
    let facts = facts(&format!("POST / HTTP/1.1\r\n{lines}\r\n"));
    (facts.length, facts.coding)
}

#[test_case("", Length::Absent, Coding::Absent; "no framing field")]
#[test_case("Content-Length: 5\r\n", Length::Bytes(5), Coding::Absent; "a length")]
#[test_case("CONTENT-length:5\r\n", Length::Bytes(5), Coding::Absent; "names ignore case")]
#[test_case("Content-Length: 5\n", Length::Bytes(5), Coding::Absent; "a bare line feed ends a line")]
#[test_case("Content-Length: 5, 5\r\n", Length::Bytes(5), Coding::Absent; "equal lengths in a list")]
#[test_case("Content-Length: 5\r\nContent-Length: 5\r\n", Length::Bytes(5), Coding::Absent; "equal lengths in two fields")]
#[test_case("Content-Length: 5\r\nContent-Length: 6\r\n", Length::Invalid, Coding::Absent; "lengths that differ")]
#[test_case("Content-Length: 5, 6\r\n", Length::Invalid, Coding::Absent; "lengths in a list that differ")]
#[test_case("Content-Length: +5\r\n", Length::Invalid, Coding::Absent; "a sign")]
#[test_case("Content-Length: 0x5\r\n", Length::Invalid, Coding::Absent; "hexadecimal")]
#[test_case("Content-Length:\r\n", Length::Invalid, Coding::Absent; "an empty length")]
#[test_case("Content-Length: 18446744073709551616\r\n", Length::Invalid, Coding::Absent; "more than 64 bits")]
#[test_case("Content-Length : 5\r\n", Length::Invalid, Coding::Absent; "a space before the colon")]
#[test_case("Transfer-Encoding: chunked\r\n", Length::Absent, Coding::Chunked; "chunked")]
#[test_case("Transfer-Encoding: gzip, Chunked\r\n", Length::Absent, Coding::Chunked; "chunked last in a list")]
#[test_case("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Length::Absent, Coding::Chunked; "chunked in the last field")]
#[test_case("Transfer-Encoding: gzip\r\n", Length::Absent, Coding::Other; "another coding")]
#[test_case("Transfer-Encoding: chunked, gzip\r\n", Length::Absent, Coding::Invalid; "chunked not last")]
#[test_case("Transfer-Encoding: chunked, chunked\r\n", Length::Absent, Coding::Invalid; "chunked twice")]
#[test_case("Transfer-Encoding: xchunked\r\n", Length::Absent, Coding::Other; "a coding that resembles chunked")]
#[test_case("Transfer-Encoding:\r\n chunked\r\n", Length::Absent, Coding::Invalid; "a folded coding")]
#[test_case("Transfer-Encoding : chunked\r\n", Length::Absent, Coding::Invalid; "a coding with a space before the colon")]
#[test_case("X-A: 1\r\n folded\r\nContent-Length: 5\r\n", Length::Bytes(5), Coding::Absent; "folding elsewhere does no harm")]
#[test_case("junk\r\nContent-Length: 5\r\n", Length::Bytes(5), Coding::Absent; "a line without a colon does no harm")]
fn framing_fields_are_read(lines: &str, length: Length, coding: Coding) {
    assert_eq!(fields(lines), (length, coding));
}

#[test_case("GET / HTTP/1.1", Some(Method::Other); "the usual")]
#[test_case("HEAD / HTTP/1.0", Some(Method::Head); "head")]
#[test_case("CONNECT a:443 HTTP/1.1", Some(Method::Connect); "connect")]
#[test_case("head / HTTP/1.1", Some(Method::Other); "methods are told apart by case")]
#[test_case("GET http://a/b HTTP/1.1", Some(Method::Other); "absolute form")]
#[test_case("GET /a b HTTP/1.1", Some(Method::Other); "a space in the target")]
#[test_case("GET /", None; "no version")]
#[test_case("GET HTTP/1.1", None; "no target")]
#[test_case(" / HTTP/1.1", None; "no method")]
#[test_case("G@T / HTTP/1.1", None; "a method that is no token")]
#[test_case("GET / HTTP/2.0", None; "another version")]
fn a_request_line_is_recognised(line: &str, method: Option<Method>) {
    let expected = match method {
        Some(_) => Progress::More,
        None => Progress::BadStart,
    };
    assert_eq!(request(format!("{line}\r\n").as_bytes()), expected);
    assert_eq!(request_line(line.as_bytes()), method);
}

#[test_case("HTTP/1.1 200 OK", Some(200); "the usual")]
#[test_case("HTTP/1.0 404", Some(404); "no reason")]
#[test_case("HTTP/1.1 299 ", Some(299); "an empty reason")]
#[test_case("HTTP/1.1 2000 OK", None; "four digits")]
#[test_case("HTTP/1.1 20 OK", None; "two digits")]
#[test_case("HTTP/1.1 099 OK", None; "below every class")]
#[test_case("HTTP/2 200", None; "another version")]
#[test_case("ICY 200 OK", None; "another protocol")]
fn a_status_line_is_recognised(line: &str, status: Option<u16>) {
    assert_eq!(status_line(line.as_bytes()), status);
}

#[test]
fn a_head_ends_with_its_empty_line() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    let (used, progress) = HeadReader::request().read(bytes);
    assert_eq!(used, bytes.len() - 4);
    assert!(matches!(progress, Progress::Done(_)));
}

#[test]
fn a_kubelet_is_known_by_its_agent() {
    assert!(facts("GET /healthz HTTP/1.1\r\nUser-Agent: kube-probe/1.31\r\n\r\n").probe);
    assert!(!facts("GET / HTTP/1.1\r\nUser-Agent: curl/8 kube-probe/1\r\n\r\n").probe);
}

#[test]
fn a_long_line_is_read_alike_however_it_is_cut() {
    let target = "x".repeat(20_000);
    let head = format!(
        "GET /{target} HTTP/1.1\r\nCookie: {target}\r\nContent-Length: 3\r\n\
         X: {target}\r\n\r\n"
    );
    let whole = facts(&head);
    assert_eq!(whole.length, Length::Bytes(3));
    for size in [1, 7, 1023, 1024, 1025, 9000] {
        let mut reader = HeadReader::request();
        let mut last = Progress::More;
        for piece in head.as_bytes().chunks(size) {
            assert_eq!(last, Progress::More);
            last = reader.read(piece).1;
            assert!(reader.cut.bytes.len() <= LINE_BYTES + LINE_TAIL_BYTES);
        }
        assert_eq!(last, Progress::Done(whole.clone()), "in pieces of {size}");
    }
}
