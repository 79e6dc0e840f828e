//! Header fields, cookies and query parameters as maps.

use std::borrow::Cow;

use crate::head::fields;

/// The value of a header, found without regard to case; several lines of one name are joined with
/// `, ` (RFC 9110 section 5.3).
pub(crate) fn field_value<'a>(head: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let mut values = fields(head)
        .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| String::from_utf8_lossy(value));
    let first = values.next()?;
    let rest: Vec<_> = values.collect();
    if rest.is_empty() {
        return Some(first);
    }
    let all: Vec<_> = std::iter::once(first).chain(rest).collect();
    Some(Cow::Owned(all.join(", ")))
}

/// The names of the headers, in lower case, each once.
pub(crate) fn field_names(head: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = fields(head)
        .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The cookies of a head: of every part of `cookie`, or of the first part of each `set-cookie`.
pub(crate) fn cookies<'a>(head: &'a [u8], header: &str) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let parts_read = if header == "cookie" { usize::MAX } else { 1 };
    fields(head)
        .filter(|(name, _)| name.eq_ignore_ascii_case(header.as_bytes()))
        .flat_map(|(_, value)| value.split(|byte| *byte == b';').take(parts_read))
        .filter_map(|part| {
            let mark = memchr::memchr(b'=', part)?;
            let (name, value) = part.split_at(mark);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            let value = value.strip_suffix(b"\"").unwrap_or(value);
            let name = String::from_utf8_lossy(name.trim_ascii());
            Some((name, String::from_utf8_lossy(value)))
        })
        .collect()
}

/// The parameters of a query, unescaped; of several with one name the first counts.
pub(crate) fn query_pairs(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name), unescaped(value))
        })
        .collect()
}

/// The names of pairs, each once, in their order.
pub(crate) fn distinct_names(pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in pairs {
        if !names.iter().any(|known| *known == name) {
            names.push(name.into_owned());
        }
    }
    names
}

/// Undoes `%41` and `+`; what is no escape stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = tail;
                }
                _ => bytes.push(b'%'),
            },
            (other, _) => bytes.push(*other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("a=1&b=2", "b", Some("2"))]
    #[test_case("a=1&a=2", "a", Some("1"); "the first counts")]
    #[test_case("q=a%20b+c%2", "q", Some("a b c%2"); "escapes")]
    #[test_case("flag", "flag", Some(""); "no value")]
    #[test_case("", "a", None; "no query")]
    fn query(query: &str, name: &str, expected: Option<&str>) {
        let pairs = query_pairs(query);
        let found = pairs.iter().find(|(other, _)| other == name);
        assert_eq!(found.map(|(_, value)| value.as_ref()), expected);
    }

    #[test]
    fn headers_are_found_in_any_case_and_joined() {
        let head = b"GET / HTTP/1.1\r\nAccept: a\r\nhost: x\r\nACCEPT: b\r\n\r\n";
        assert_eq!(field_value(head, "accept").as_deref(), Some("a, b"));
        assert_eq!(field_value(head, "Host").as_deref(), Some("x"));
        assert_eq!(field_value(head, "absent"), None);
        assert_eq!(field_names(head), ["accept", "host"]);
    }

    #[test]
    fn cookies_of_both_directions() {
        let request = b"GET / HTTP/1.1\r\nCookie: a=1; b=\"2\"\r\n\r\n";
        let found = cookies(request, "cookie");
        assert_eq!(found, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        let response = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: c=3\r\n\r\n";
        let found = cookies(response, "set-cookie");
        assert_eq!(found, [("a".into(), "1".into()), ("c".into(), "3".into())]);
    }
}
