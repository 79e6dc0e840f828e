//! Field lines the way they are shown: as text, and without losing a line. [`super::fields`] leaves
//! out what is no field; here it is shown.

use super::{lines, response_status, skip_empty_lines};

/// The field lines of a head, in order: name and value, as sent but for the white space around them.
/// Those of HTTP/2 begin with its pseudo fields, such as `:method`.
///
/// A line without a colon is shown as a name without a value; a folded line belongs to the one
/// before it (RFC 9112 section 5.2).
pub fn fields(head: &[u8]) -> Vec<(String, String)> {
    let head = skip_empty_lines(head);
    let start_lines = usize::from(head.first() != Some(&b':'));
    field_lines(lines(head).skip(start_lines))
}

/// The same for trailers, which have no start line.
pub fn trailers(lines: &[u8]) -> Vec<(String, String)> {
    field_lines(self::lines(lines))
}

fn field_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let folded = line
            .first()
            .is_some_and(|&byte| byte == b' ' || byte == b'\t');
        match fields.last_mut() {
            Some((_, value)) if folded => {
                value.push(' ');
                value.push_str(text(line).trim());
            }
            _ => {
                let pseudo =
                    line.first() == Some(&b':') && line.get(1).is_some_and(u8::is_ascii_alphabetic);
                let behind = line.get(usize::from(pseudo)..).unwrap_or_default();
                let colon =
                    memchr::memchr(b':', behind).map_or(line.len(), |at| at + usize::from(pseudo));
                let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
                let value = value.get(1..).unwrap_or_default();
                fields.push((text(name).trim().to_owned(), text(value).trim().to_owned()));
            }
        }
    }
    fields
}

/// The head of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its status.
    pub status: Option<u16>,
    /// Its field lines.
    pub fields: Vec<(String, String)>,
}

/// The responses of a row of heads, one after the other.
pub fn responses(heads: &[u8]) -> Vec<ResponseHead> {
    let lines: Vec<&[u8]> = lines(heads).collect();
    let heads = lines.split(|line| line.is_empty());
    let heads = heads.filter_map(|lines| {
        let (start, fields) = lines.split_first()?;
        Some(ResponseHead {
            status: response_status(start),
            fields: field_lines(fields.iter().copied()),
        })
    });
    heads.collect()
}

/// Bytes as text: UTF-8 where it is, else each byte as the character of that number, as browsers
/// take field values.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn order_case_and_doubles_are_kept() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-B: 2\r\nx-a:1\r\nX-B:  3 \r\n\r\n";
        assert_eq!(
            fields(head),
            pairs(&[("Host", "a"), ("X-B", "2"), ("x-a", "1"), ("X-B", "3")])
        );
    }

    #[test]
    fn pseudo_fields_are_shown_with_their_colon() {
        let head = b":method: GET\r\n:path: /a:b\r\nx-a: 1\r\n\r\n";
        assert_eq!(
            fields(head),
            pairs(&[(":method", "GET"), (":path", "/a:b"), ("x-a", "1")])
        );
    }

    #[test]
    fn empty_lines_before_a_request_do_not_make_a_field_of_it() {
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(fields(head), pairs(&[("Host", "a")]));
    }

    #[test]
    fn odd_lines_are_shown_and_not_lost() {
        let head = b"GET / HTTP/1.1\nNoColon\nFolded: a\n b\nLatin: caf\xe9\n: empty\n";
        assert_eq!(
            fields(head),
            pairs(&[
                ("NoColon", ""),
                ("Folded", "a b"),
                ("Latin", "caf\u{e9}"),
                ("", "empty")
            ])
        );
    }

    #[test]
    fn interim_responses_come_apart() {
        let heads = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let found = responses(heads);
        let expected = [(100, pairs(&[])), (103, pairs(&[("Link", "</a>")]))];
        let expected = expected.map(|(status, fields)| ResponseHead {
            status: Some(status),
            fields,
        });
        assert_eq!(found, expected);
    }
}
