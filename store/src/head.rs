//! What a verbatim head says: method, target, host, status, fields.
//!
//! Reads heads as they came, so it forgives whatever came: a head that makes no sense gives empty
//! facts, never an error. Whether a head is well formed was the observer's question.

pub mod shown;

use std::borrow::Cow;

/// Longest method that is taken for one; more is not HTTP.
const MAX_METHOD_BYTES: usize = 64;

/// The facts of a request's head that calls are looked for by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// `GET` and the like, as sent.
    pub method: Cow<'a, str>,
    /// Authority of an absolute target, else the `Host` field, else `:authority`; without user
    /// information.
    pub host: Cow<'a, str>,
    /// Path without the query: `*` for the asterisk form, empty for `CONNECT`.
    pub path: Cow<'a, str>,
    /// Query without its `?`.
    pub query: Cow<'a, str>,
}

impl<'a> RequestHead<'a> {
    /// Reads a request's head: HTTP/1 as sent, or HTTP/2 written as `:method: GET` lines.
    ///
    /// Bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn parse(head: &'a [u8]) -> Self {
        let head = skip_empty_lines(head);
        if head.first() == Some(&b':') {
            Self::from_pseudo_fields(head)
        } else {
            Self::from_request_line(head)
        }
    }

    fn from_pseudo_fields(head: &'a [u8]) -> Self {
        let value = |wanted| find_field(head, wanted).unwrap_or_default();
        let method = value(b":method");
        let authority = match find_field(head, b":authority") {
            Some(authority) => authority,
            None => value(b"host"),
        };
        let (path, query) = split_query(value(b":path"));
        Self {
            method: String::from_utf8_lossy(method),
            host: String::from_utf8_lossy(without_user(authority)),
            path: String::from_utf8_lossy(path),
            query: String::from_utf8_lossy(query),
        }
    }

    fn from_request_line(head: &'a [u8]) -> Self {
        let (line, fields) = split_line(head);
        let Some((method, target)) = split_request_line(line) else {
            return Self::default();
        };
        let (authority, origin) = split_target(method, target);
        let (path, query) = split_query(origin);
        let host = match authority {
            Some(authority) => authority,
            None => find_field(fields, b"host").unwrap_or_default(),
        };
        Self {
            method: String::from_utf8_lossy(method),
            host: String::from_utf8_lossy(without_user(host)),
            path: String::from_utf8_lossy(path),
            query: String::from_utf8_lossy(query),
        }
    }
}

/// Status in a response's head: HTTP/1 as sent, or HTTP/2 written as a `:status: 200` line.
pub fn response_status(head: &[u8]) -> Option<u16> {
    let head = skip_empty_lines(head);
    let digits = if head.first() == Some(&b':') {
        find_field(head, b":status")?
    } else {
        let (line, _) = split_line(head);
        let rest = line.strip_prefix(b"HTTP/")?;
        let space = memchr::memchr(b' ', rest)?;
        rest.get(space..)?.trim_ascii_start()
    };
    match digits {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
            if !rest.first().is_some_and(u8::is_ascii_digit) =>
        {
            Some(
                [a, b, c]
                    .iter()
                    .fold(0, |status, digit| status * 10 + u16::from(**digit - b'0')),
            )
        }
        _ => None,
    }
}

/// Version in the first line of an HTTP/1 head, such as `HTTP/1.1`; `HTTP/2` for a head of HTTP/2;
/// empty where neither can be read.
pub fn http_version(head: &[u8]) -> &str {
    let head = skip_empty_lines(head);
    if head.first() == Some(&b':') {
        return "HTTP/2";
    }
    let (line, _) = split_line(head);
    let mut words = line.split(|byte| *byte == b' ');
    let version = words.find(|word| word.starts_with(b"HTTP/"));
    version
        .and_then(|word| str::from_utf8(word).ok())
        .unwrap_or_default()
}

/// Reason phrase in the first line of an HTTP/1 response; empty where there is none.
pub fn reason(head: &[u8]) -> Cow<'_, str> {
    let (line, _) = split_line(skip_empty_lines(head));
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let is_response = words.next().is_some_and(|word| word.starts_with(b"HTTP/"));
    match words.nth(1) {
        Some(reason) if is_response => String::from_utf8_lossy(reason.trim_ascii()),
        _ => Cow::Borrowed(""),
    }
}

/// The field lines of a head or of trailers, in order, as sent: name and value without the white
/// space around it. The start line, and lines that are no fields, are left out.
///
/// A continuation line (RFC 9112 section 5.2, obsolete) is left out as well.
pub fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(head).filter_map(split_field)
}

/// The value of the first field of this name, whatever the case; `name` is in lower case.
pub fn find_field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines(head).find_map(|line| {
        let (start, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = split_line(rest);
        rest = after;
        Some(line)
    })
}

/// The first line without its end, and what follows it.
fn split_line(head: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr::memchr(b'\n', head) {
        Some(end) => {
            let (line, rest) = head.split_at(end);
            (line, rest.get(1..).unwrap_or_default())
        }
        None => (head, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // The names of HTTP/2's pseudo fields begin with the colon.
    let colon = 1 + memchr::memchr(b':', line.get(1..)?)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..)?.trim_ascii();
    let bare = name.strip_prefix(b":").unwrap_or(name);
    is_token(bare).then_some((name, value))
}

/// A server forgives empty lines before a request (RFC 9112 section 2.2), and so do we.
fn skip_empty_lines(head: &[u8]) -> &[u8] {
    let start = head
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(head.len());
    head.get(start..).unwrap_or_default()
}

/// Method and target. The version may be missing (HTTP/0.9), and a target with spaces in it, which
/// is malformed, is kept whole.
fn split_request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', line)?;
    let (method, rest) = line.split_at(space);
    if method.len() > MAX_METHOD_BYTES || !is_token(method) {
        return None;
    }
    let target = match memchr::memrchr(b' ', rest) {
        Some(last)
            if rest
                .get(last + 1..)
                .is_some_and(|version| version.starts_with(b"HTTP/")) =>
        {
            rest.get(..last)?
        }
        _ => rest,
    };
    Some((method, target.trim_ascii()))
}

/// Authority, where the target names one, and the path with the query (RFC 9112 section 3.2).
fn split_target<'a>(method: &[u8], target: &'a [u8]) -> (Option<&'a [u8]>, &'a [u8]) {
    if target.starts_with(b"/") || target == b"*" {
        return (None, target);
    }
    if method == b"CONNECT" {
        return (Some(target), b"");
    }
    let Some(scheme) = memchr::memmem::find(target, b"://") else {
        return (None, target);
    };
    let rest = target.get(scheme + 3..).unwrap_or_default();
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    // An absolute target without a path means the root.
    let origin = if origin.is_empty() { b"/" } else { origin };
    (Some(authority), origin)
}

fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', target) {
        Some(mark) => {
            let (path, query) = target.split_at(mark);
            (path, query.get(1..).unwrap_or_default())
        }
        None => (target, b""),
    }
}

/// `user:password@host` is a host with a secret before it.
fn without_user(authority: &[u8]) -> &[u8] {
    match memchr::memrchr(b'@', authority) {
        Some(at) => authority.get(at + 1..).unwrap_or_default(),
        None => authority,
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("GET /a/b?c=d HTTP/1.1\r\nHost: shop\r\n\r\n", ["GET", "shop", "/a/b", "c=d"]; "origin form")]
    #[test_case("GET / HTTP/1.1\r\nA: b\r\nhOST:  shop:80 \r\n\r\n", ["GET", "shop:80", "/", ""]; "any case and white space")]
    #[test_case("GET http://u:p@shop:8080/x?y HTTP/1.1\r\nHost: other\r\n\r\n", ["GET", "shop:8080", "/x", "y"]; "absolute form wins over Host")]
    #[test_case("GET http://shop HTTP/1.1\r\n\r\n", ["GET", "shop", "/", ""]; "absolute form without a path")]
    #[test_case("GET http://shop?q HTTP/1.1\r\n\r\n", ["GET", "shop", "", "q"]; "absolute form with only a query")]
    #[test_case("CONNECT db:5432 HTTP/1.1\r\nHost: x\r\n\r\n", ["CONNECT", "db:5432", "", ""]; "authority form")]
    #[test_case("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", ["OPTIONS", "x", "*", ""]; "asterisk form")]
    #[test_case("GET /old\r\n", ["GET", "", "/old", ""]; "no version")]
    #[test_case("GET /a b HTTP/1.1\nHost: h\n\n", ["GET", "h", "/a b", ""]; "spaces and bare line feeds")]
    #[test_case("\r\n\r\nGET / HTTP/1.1\r\n\r\n", ["GET", "", "/", ""]; "empty lines before the request")]
    #[test_case(":method: GET\r\n:scheme: http\r\n:authority: shop\r\n:path: /a?b\r\n\r\n", ["GET", "shop", "/a", "b"]; "pseudo fields")]
    #[test_case(":method: GET\r\n:path: /\r\nhost: shop\r\n\r\n", ["GET", "shop", "/", ""]; "pseudo fields with Host")]
    #[test_case("", ["", "", "", ""]; "nothing")]
    #[test_case("no-space", ["", "", "", ""]; "one word")]
    #[test_case("\u{1}\u{2} / HTTP/1.1\r\n", ["", "", "", ""]; "a method that is none")]
    fn a_request_head_says(head: &str, expected: [&str; 4]) {
        let facts = RequestHead::parse(head.as_bytes());
        assert_eq!(
            [&*facts.method, &*facts.host, &*facts.path, &*facts.query],
            expected
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let facts = RequestHead::parse(b"GET /\xff HTTP/1.1\r\n\r\n");
        assert_eq!(facts.path, "/\u{fffd}");
    }

    #[test_case("HTTP/1.1 200 OK\r\n\r\n", Some(200); "with a reason")]
    #[test_case("HTTP/1.0 404\r\n\r\n", Some(404); "without a reason")]
    #[test_case(":status: 503\r\n\r\n", Some(503); "pseudo field")]
    #[test_case("HTTP/1.1 2000 OK\r\n\r\n", None; "too many digits")]
    #[test_case("HTTP/1.1 099 OK\r\n\r\n", None; "no class")]
    #[test_case("SSH-2.0-x\r\n", None; "another protocol")]
    #[test_case("", None; "nothing")]
    fn a_response_head_has_a_status(head: &str, expected: Option<u16>) {
        assert_eq!(response_status(head.as_bytes()), expected);
    }

    #[test_case("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0", ""; "a request")]
    #[test_case("HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1", "Not Found"; "a response")]
    #[test_case("HTTP/1.1 204\r\n\r\n", "HTTP/1.1", ""; "no reason")]
    #[test_case(":status: 200\r\n\r\n", "HTTP/2", ""; "pseudo fields")]
    #[test_case("", "", ""; "nothing")]
    fn a_start_line_has_a_version_and_a_reason(head: &str, version: &str, said: &str) {
        assert_eq!(http_version(head.as_bytes()), version);
        assert_eq!(reason(head.as_bytes()), said);
    }

    #[test]
    fn fields_are_read_in_order_as_sent() {
        let head = b"GET / HTTP/1.1\r\nB: 1\r\na:2\r\nnot a field\r\nB:  3 \r\n\r\n";
        let found: Vec<_> = fields(head).collect();
        assert_eq!(found, [(&b"B"[..], &b"1"[..]), (b"a", b"2"), (b"B", b"3"),]);
    }

    proptest! {
        #[test]
        fn what_a_strict_parser_reads_is_read_alike(
            head in "[A-Z!]{1,8} /[!-~]{0,20} HTTP/1\\.[01]\r\n([A-Za-z-]{1,6}:[ \t]{0,2}[!-~]([ -~]{0,9}[!-~])?[ \t]{0,2}\r\n){0,5}\r\n",
        ) {
            let mut parsed = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut parsed);
            prop_assume!(request.parse(head.as_bytes()).is_ok_and(|status| status.is_complete()));
            let facts = RequestHead::parse(head.as_bytes());
            prop_assert_eq!(Some(&*facts.method), request.method);
            let (path, query) = request.path.unwrap().split_once('?').unwrap_or((request.path.unwrap(), ""));
            prop_assert_eq!((&*facts.path, &*facts.query), (path, query));
            let expected: Vec<_> = request
                .headers
                .iter()
                .map(|field| (field.name.as_bytes(), field.value))
                .collect();
            prop_assert_eq!(fields(head.as_bytes()).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_are_read(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let facts = RequestHead::parse(&head);
            prop_assert!(facts.path.len() <= 3 * head.len());
            response_status(&head);
            fields(&head).count();
        }
    }
}
