//! Frames as both sides send them.

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&header, payload].concat()
}

/// A field block that enters nothing into the table.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    block
}

pub(super) fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

pub(super) fn get(stream: u32) -> Vec<u8> {
    let fields = [(":method", "GET"), (":path", "/"), (":scheme", "http")];
    head(stream, END_STREAM, &fields)
}

pub(super) fn ok(stream: u32, flags: u8) -> Vec<u8> {
    head(stream, flags, &[(":status", "200")])
}

/// A promise of `stream`, with a request that ends with it.
pub(super) fn promise(stream: u32) -> Vec<u8> {
    let fields = block(&[(":method", "GET"), (":path", "/"), (":scheme", "http")]);
    let payload = [&stream.to_be_bytes()[..], &fields].concat();
    frame(PUSH_PROMISE, END_HEADERS, 1, &payload)
}
