//! Messages of PostgreSQL's protocol (chapter "Message Formats" of its documentation).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest message.
const MESSAGE_BYTES: usize = 1 << 20;

/// A message that is being written; what begins a session has no kind.
#[derive(Debug, Default)]
pub(super) struct Message {
    kind: Option<u8>,
    body: Vec<u8>,
}

impl Message {
    pub(super) fn new(kind: u8) -> Self {
        Self {
            kind: Some(kind),
            body: Vec::new(),
        }
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.body.push(byte);
        self
    }

    pub(super) fn short(mut self, number: i16) -> Self {
        self.body.extend(number.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, number: i32) -> Self {
        self.body.extend(number.to_be_bytes());
        self
    }

    /// A text that ends with a zero.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.body.extend(text.as_bytes());
        self.byte(0)
    }

    /// A value with its length.
    pub(super) fn value(self, value: &[u8]) -> Self {
        let mut message = self.long(i32::try_from(value.len()).unwrap_or_default());
        message.body.extend_from_slice(value);
        message
    }

    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.kind);
        let length = i32::try_from(self.body.len() + 4).unwrap_or_default();
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(&self.body);
    }
}

/// Reads a message's kind and body; `None` where nothing more comes.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(u8, Vec<u8>)>> {
    let kind = match stream.read_u8().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        kind => kind?,
    };
    Ok(Some((kind, read_body(stream).await?)))
}

/// Reads a length, and as much.
pub(super) async fn read_body(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?.checked_sub(4);
    let length = length.and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|length| *length <= MESSAGE_BYTES);
    let mut body = vec![0; length.ok_or_else(malformed)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads the fields of a body one after the other.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn byte(&mut self) -> io::Result<u8> {
        Ok(self.bytes(1)?.first().copied().unwrap_or_default())
    }

    pub(super) fn short(&mut self) -> io::Result<i16> {
        let bytes = self.bytes(2)?.first_chunk().ok_or_else(malformed)?;
        Ok(i16::from_be_bytes(*bytes))
    }

    pub(super) fn long(&mut self) -> io::Result<i32> {
        let bytes = self.bytes(4)?.first_chunk().ok_or_else(malformed)?;
        Ok(i32::from_be_bytes(*bytes))
    }

    pub(super) fn text(&mut self) -> io::Result<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.bytes(end.ok_or_else(malformed)?)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| malformed())
    }

    /// A value with its length; `None` for NULL.
    pub(super) fn value(&mut self) -> io::Result<Option<&'a [u8]>> {
        match usize::try_from(self.long()?) {
            Ok(length) => self.bytes(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// As many numbers as the number before them says.
    pub(super) fn shorts(&mut self) -> io::Result<Vec<i16>> {
        (0..self.short()?).map(|_| self.short()).collect()
    }

    fn bytes(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(bytes)
    }
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "this is no message of PostgreSQL",
    )
}
