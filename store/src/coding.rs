//! Content codings, undone within bounds: to look for secrets inside, and for what is asked.

use std::io::{self, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// Largest body that is made by decoding, in bytes.
const DECODED_LIMIT: usize = 2 * 1024 * 1024;

/// A body may grow by this factor, and by [`RATIO_FREE`] bytes whatever its size.
const RATIO_LIMIT: usize = 250;
const RATIO_FREE: usize = 64 * 1024;

/// No honest sender applies more codings than this.
const CODINGS_LIMIT: usize = 3;

/// Room for what a decoder gives at once, in bytes.
const PIECE: usize = 8 * 1024;

/// Largest window of zstd, as a power of two: what a decoder for the web must take (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// A coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding of this name; `None` for one that changes nothing.
    fn named(name: &[u8]) -> Result<Option<Self>, Undecodable> {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" | b"chunked" => Ok(None),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"deflate" => Ok(Some(Self::Deflate)),
            b"br" => Ok(Some(Self::Brotli)),
            b"zstd" => Ok(Some(Self::Zstd)),
            _ => Err(Undecodable),
        }
    }
}

/// The content cannot be had: an unknown coding, broken data, or too much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content coding is unknown, the data is broken, or there is too much of it")]
pub struct Undecodable;

/// The content of `body` as the fields of `head` code it; `None` if it is not coded. `cut` says that
/// the body goes on behind what was kept.
///
/// # Errors
///
/// A coding is unknown, the data is broken, or there is more of it than an honest sender sends.
pub fn decoded(head: &[u8], body: &[u8], cut: bool) -> Result<Option<Vec<u8>>, Undecodable> {
    let mut codings = codings(head)?;
    if codings.is_empty() {
        codings.extend(known_by_magic(body));
    }
    let mut content: Option<Vec<u8>> = None;
    for coding in codings.into_iter().rev() {
        let input = content.as_deref().unwrap_or(body);
        content = Some(decode(coding, input, cut)?);
    }
    Ok(content)
}

/// Largest content that is made of so many coded bytes: honest senders do not send more.
pub fn limit_bytes(coded_bytes: usize) -> usize {
    DECODED_LIMIT.min(coded_bytes.saturating_mul(RATIO_LIMIT) + RATIO_FREE)
}

/// The content of `message`, which the coding of this name was applied to, such as gRPC's
/// `grpc-encoding` tells it. `cut` says that the message goes on behind what was kept.
///
/// # Errors
///
/// The same as for [`decoded`], and a coding that changes nothing.
pub fn decoded_message(coding: &[u8], message: &[u8], cut: bool) -> Result<Vec<u8>, Undecodable> {
    let coding = Coding::named(coding)?.ok_or(Undecodable)?;
    decode(coding, message, cut)
}

/// The codings that a head tells of, in the order in which they were applied.
fn codings(head: &[u8]) -> Result<Vec<Coding>, Undecodable> {
    let mut found = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        rest = after;
        for word in value_of_codings(line).split(|b| *b == b',') {
            found.extend(Coding::named(word)?);
        }
    }
    match found.len() <= CODINGS_LIMIT {
        true => Ok(found),
        false => Err(Undecodable),
    }
}

/// The value of a line that tells of codings; empty for any other. Of most lines one look at the
/// beginning is enough: every body's head is gone through.
fn value_of_codings(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_start();
    let names: [&[u8]; 2] = [b"content-encoding", b"transfer-encoding"];
    let behind = names.iter().find_map(|name| {
        let (start, rest) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(rest)
    });
    let behind = behind.unwrap_or_default().trim_ascii_start();
    behind.strip_prefix(b":").unwrap_or_default()
}

/// A compressed file, sent without a coding.
fn known_by_magic(body: &[u8]) -> Option<Coding> {
    if body.starts_with(&[0x1f, 0x8b, 8]) {
        Some(Coding::Gzip)
    } else if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Coding::Zstd)
    } else {
        None
    }
}

fn decode(coding: Coding, body: &[u8], cut: bool) -> Result<Vec<u8>, Undecodable> {
    let mut content = Content::of(body, cut);
    match coding {
        Coding::Gzip => {
            let mut decoder = flate2::bufread::MultiGzDecoder::new(body);
            content.drain(&mut decoder)?;
            content.finish(decoder.into_inner())
        }
        Coding::Deflate if is_zlib(body) => {
            let mut decoder = flate2::bufread::ZlibDecoder::new(body);
            content.drain(&mut decoder)?;
            content.finish(decoder.into_inner())
        }
        // Half of the world sends raw deflate under that name.
        Coding::Deflate => {
            let mut decoder = flate2::bufread::DeflateDecoder::new(body);
            content.drain(&mut decoder)?;
            content.finish(decoder.into_inner())
        }
        Coding::Brotli => content.brotli(body),
        Coding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|_| Undecodable)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(|_| Undecodable)?;
            content.drain(&mut decoder)?;
            content.finish(decoder.finish())
        }
    }
}

fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u32::from(*first) << 8 | u32::from(*second)) % 31 == 0
        }
        _ => false,
    }
}

/// What comes out of a decoder, within bounds.
struct Content {
    bytes: Vec<u8>,
    limit: usize,
    cut: bool,
}

impl Content {
    fn of(coded: &[u8], cut: bool) -> Self {
        let limit = limit_bytes(coded.len());
        Self {
            bytes: Vec::with_capacity((coded.len() * 4).min(limit)),
            limit,
            cut,
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), Undecodable> {
        if self.bytes.len() + piece.len() > self.limit {
            return Err(Undecodable);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Reads to the end. A coded body that was cut ends early, which is no fault.
    fn drain(&mut self, decoder: &mut impl Read) -> Result<(), Undecodable> {
        let mut piece = [0u8; PIECE];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => self.push(piece.get(..length).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.cut && ended_early(&error) => return Ok(()),
                Err(_) => return Err(Undecodable),
            }
        }
    }

    fn brotli(mut self, coded: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let alloc = StandardAlloc::default;
        let mut state = BrotliState::new(alloc(), alloc(), alloc());
        let (mut left, mut read, mut total) = (coded.len(), 0, 0);
        let mut piece = [0u8; PIECE];
        loop {
            let (mut room, mut written) = (PIECE, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                coded,
                &mut room,
                &mut written,
                &mut piece,
                &mut total,
                &mut state,
            );
            self.push(piece.get(..written).unwrap_or_default())?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput if self.cut => return Ok(self.bytes),
                BrotliResult::ResultSuccess => {
                    return self.finish(coded.get(read..).unwrap_or_default());
                }
                BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => {
                    return Err(Undecodable);
                }
            }
        }
    }

    /// What follows the coded content was not looked through.
    fn finish(self, rest: &[u8]) -> Result<Vec<u8>, Undecodable> {
        match rest {
            [] => Ok(self.bytes),
            _ => Err(Undecodable),
        }
    }
}

fn ended_early(error: &io::Error) -> bool {
    // The zstd crate says so in words only.
    error.kind() == io::ErrorKind::UnexpectedEof || error.to_string().contains("incomplete frame")
}
