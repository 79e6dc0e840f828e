//! Reads the ClientHello out of the first records of a TLS connection.
//!
//! RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301. A hello may lie in any number of
//! records, and a record in any number of segments; what comes after the hello is not looked at.

use remora_store::call::TlsHello;

/// Longest hello that is read. Post-quantum key shares need some thousand bytes.
const HELLO_BYTES: usize = 64 * 1024;

/// Longest name of a host (RFC 1035 section 2.3.4).
const NAME_BYTES: usize = 255;

/// Most names or versions that are kept of a list.
const LIST_ITEMS: usize = 32;

/// The extension `encrypted_client_hello` (RFC 9849 section 5), which some clients also send filled with noise.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// A ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// What it says in the clear.
    pub(crate) said: TlsHello,
    /// There is, or could be, another one inside that says something else.
    pub(crate) is_encrypted: bool,
}

/// What a piece of the client's bytes brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The hello goes on.
    More,
    /// The bytes are no ClientHello that can be read.
    Malformed,
    /// The hello is complete.
    Done(Hello),
}

/// Puts the hello together.
#[derive(Debug, Default)]
pub(crate) struct HelloReader {
    /// Handshake bytes, record headers removed.
    handshake: Vec<u8>,
    /// The record header that is being read.
    header: Vec<u8>,
    /// Bytes of the current record that are still to come.
    record_left: usize,
}

impl HelloReader {
    /// Reads on. Asks `grant` for the bytes that it puts aside; where that refuses, there is no hello.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        mut grant: impl FnMut(usize) -> bool,
    ) -> Progress {
        while let Some((first, rest)) = bytes.split_first() {
            if self.record_left == 0 {
                self.header.push(*first);
                bytes = rest;
                if !self.read_header() {
                    return Progress::Malformed;
                }
                continue;
            }
            let (piece, rest) = bytes.split_at(self.record_left.min(bytes.len()));
            bytes = rest;
            self.record_left -= piece.len();
            if !self.keep(piece, &mut grant) {
                return Progress::Malformed;
            }
            match self.parse() {
                Progress::More => {}
                progress => return progress,
            }
        }
        Progress::More
    }

    /// What was taken from the grant.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.handshake.capacity()
    }

    fn keep(&mut self, piece: &[u8], mut grant: impl FnMut(usize) -> bool) -> bool {
        let kept = &mut self.handshake;
        if kept.len() + piece.len() > HELLO_BYTES {
            return false;
        }
        if piece.len() > kept.capacity() - kept.len() {
            let before = kept.capacity();
            let after = kept.len() + piece.len().max(kept.len());
            if !grant(after - before) {
                return false;
            }
            kept.reserve_exact(after - kept.len());
        }
        kept.extend_from_slice(piece);
        true
    }

    /// Takes a whole record header, if it is one; says whether the bytes can be TLS.
    fn read_header(&mut self) -> bool {
        let [kind, major, _, high, low] = self.header[..] else {
            return true;
        };
        self.header.clear();
        self.record_left = usize::from(u16::from_be_bytes([high, low]));
        kind == 0x16 && major == 3 && self.record_left > 0
    }

    fn parse(&self) -> Progress {
        let mut handshake = Reader(&self.handshake);
        let (Some(kind), Some(length)) = (handshake.u8(), handshake.u24()) else {
            return Progress::More;
        };
        if kind != 1 || length > HELLO_BYTES {
            return Progress::Malformed;
        }
        let Some(body) = handshake.take(length) else {
            return Progress::More;
        };
        match client_hello(Reader(body)) {
            Some(hello) => Progress::Done(hello),
            None => Progress::Malformed,
        }
    }
}

fn client_hello(mut body: Reader<'_>) -> Option<Hello> {
    let legacy_version = body.u16()?;
    let random = body.take(32)?.try_into().ok()?;
    body.vector8()?; // session id
    body.vector16()?; // cipher suites
    body.vector8()?; // compression methods
    let mut hello = TlsHello {
        versions: vec![legacy_version],
        random,
        ..TlsHello::default()
    };
    let mut is_encrypted = false;
    if body.0.is_empty() {
        return Some(Hello {
            said: hello,
            is_encrypted,
        });
    }
    let mut extensions = Reader(body.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = Reader(extensions.vector16()?);
        match kind {
            0 => hello.sni = server_name(content),
            16 => hello.alpn = protocols(content)?,
            43 => hello.versions = versions(content)?,
            ENCRYPTED_CLIENT_HELLO => is_encrypted = true,
            _ => {}
        }
    }
    Some(Hello {
        said: hello,
        is_encrypted,
    })
}

fn server_name(mut content: Reader<'_>) -> Option<String> {
    let mut names = Reader(content.vector16()?);
    while !names.0.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        if kind == 0 {
            // What is kept of the hello outlives the room that was taken for it.
            let name = name.get(..NAME_BYTES).unwrap_or(name);
            return Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    None
}

fn protocols(mut content: Reader<'_>) -> Option<Vec<String>> {
    let mut list = Reader(content.vector16()?);
    let mut protocols = Vec::new();
    while !list.0.is_empty() && protocols.len() < LIST_ITEMS {
        protocols.push(String::from_utf8_lossy(list.vector8()?).into_owned());
    }
    Some(protocols)
}

fn versions(mut content: Reader<'_>) -> Option<Vec<u16>> {
    let mut list = Reader(content.vector8()?);
    let mut versions = Vec::new();
    while !list.0.is_empty() && versions.len() < LIST_ITEMS {
        versions.push(list.u16()?);
    }
    Some(versions)
}

/// Takes numbers and vectors off the front (RFC 8446 section 3).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u24(&mut self) -> Option<usize> {
        let high = usize::from(self.u8()?);
        Some(high << 16 | usize::from(self.u16()?))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
