//! Messages as both sides send them.

/// A message: type, length, body.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

pub(super) fn untyped(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

pub(super) fn startup() -> Vec<u8> {
    untyped(3 << 16, b"user\0orders\0database\0shop\0\0")
}

/// What a server says to a client that it lets in.
pub(super) fn welcome() -> Vec<u8> {
    [
        message(b'R', &[0, 0, 0, 3]),
        message(b'R', &[0; 4]),
        message(b'S', b"standard_conforming_strings\0on\0"),
        message(b'K', &[7; 8]),
        ready(b'I'),
    ]
    .concat()
}

pub(super) fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

pub(super) fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

pub(super) fn done(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

pub(super) fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0");
    message(b'E', body.as_bytes())
}

pub(super) fn columns(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, oid) in columns {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0; 8]);
    }
    message(b'T', &body)
}

pub(super) fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend_from_slice(&[0xff; 4]),
            Some(value) => {
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(value);
            }
        }
    }
    body
}

pub(super) fn row(row: &[Option<&[u8]>]) -> Vec<u8> {
    message(b'D', &values(row))
}

pub(super) fn parse(name: &str, text: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{text}\0").into_bytes();
    body.extend_from_slice(&(types.len() as u16).to_be_bytes());
    types
        .iter()
        .for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
    message(b'P', &body)
}

pub(super) fn bind(
    portal: &str,
    statement: &str,
    formats: &[u16],
    given: &[Option<&[u8]>],
) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    body.extend_from_slice(&(formats.len() as u16).to_be_bytes());
    formats
        .iter()
        .for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
    body.extend_from_slice(&values(given));
    body.extend_from_slice(&[0, 0]);
    message(b'B', &body)
}

pub(super) fn execute(portal: &str) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

pub(super) fn describe(what: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[what], name.as_bytes(), b"\0"].concat())
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// The unnamed statement and portal, from the text to the execution.
pub(super) fn extended(text: &str, given: &[Option<&[u8]>]) -> Vec<u8> {
    [parse("", text, &[]), bind("", "", &[], given), execute("")].concat()
}

/// A statement by its name, of which the client wants to know what it is made of.
pub(super) fn prepare(name: &str, text: &str) -> Vec<u8> {
    [parse(name, text, &[]), describe(b'S', name)].concat()
}

/// What a server says to that: types of the values, and columns of the rows.
pub(super) fn prepared(types: &[u32], told: &[(&str, u32)]) -> Vec<u8> {
    let mut body = (types.len() as u16).to_be_bytes().to_vec();
    types
        .iter()
        .for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
    [parsed(), message(b't', &body), columns(told)].concat()
}

pub(super) fn parsed() -> Vec<u8> {
    message(b'1', b"")
}

pub(super) fn bound() -> Vec<u8> {
    message(b'2', b"")
}
