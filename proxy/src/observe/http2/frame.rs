//! Reads one direction of an HTTP/2 connection: frames (RFC 9113 section 4), and the field blocks
//! that are spread over them, decoded in order.
//!
//! Holds no more than one field block, however the bytes are cut; data is handed out where it lies.
//! What the parts mean for a stream is not decided here.

mod event;
mod header;

use crate::observe::hpack::Decoder;
use crate::observe::http2::fields::FieldWriter;
pub(super) use event::{Data, Event, Opening, Section};
use header::{FrameHeader, STREAM_BITS, flag, kind};

/// What a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest field block that is read, in bytes as sent. Servers take 8 to 64 KiB.
const BLOCK_BYTES: usize = 256 * 1024;

/// Room that is kept for the next block that is cut.
const BLOCK_ROOM_BYTES: usize = 4 * 1024;

/// Bytes of GOAWAY that are looked at.
const GOAWAY_BYTES: usize = 8;

/// The priority of a stream in HEADERS.
const PRIORITY_BYTES: usize = 5;

/// Reads one direction.
#[derive(Debug)]
pub(super) struct FrameReader {
    place: Place,
    header: FrameHeader,
    /// When the first byte of the frame came.
    began: u64,
    /// Beginning of a frame's header or of its payload, as far as it came cut.
    cut: Vec<u8>,
    /// The first frame has to be SETTINGS.
    settled: bool,
    /// A field block of which more frames are to come.
    block: Option<Box<Block>>,
    decoder: Decoder,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Preface {
        read: usize,
    },
    Header,
    /// Within a payload that is kept up to `wanted` bytes; `left` are to come.
    Payload {
        left: usize,
        wanted: usize,
    },
    /// Before the length of the padding of a DATA frame.
    PadLength,
    /// Within the data, and the padding behind it.
    Data {
        left: usize,
        padding: usize,
    },
}

#[derive(Debug)]
struct Block {
    opening: Opening,
    bytes: Vec<u8>,
}

impl FrameReader {
    pub(super) fn of_client() -> Self {
        Self::at(Place::Preface { read: 0 })
    }

    pub(super) fn of_server() -> Self {
        Self::at(Place::Header)
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            header: FrameHeader::default(),
            began: 0,
            cut: Vec::new(),
            settled: false,
            block: None,
            decoder: Decoder::new(),
        }
    }

    /// Takes the next part off the front of `rest`, which is not empty. The text of a section is
    /// written to `text`, of which no more than `limit` bytes are of use.
    pub(super) fn next<'a>(
        &mut self,
        rest: &mut &'a [u8],
        at: u64,
        text: &mut Vec<u8>,
        limit: usize,
    ) -> Event<'a> {
        match self.place {
            Place::Preface { read } => self.preface(rest, read),
            Place::Header => self.frame_header(rest, at, text, limit),
            Place::PadLength => self.pad_length(rest),
            Place::Data { left, padding } => self.data(rest, left, padding),
            Place::Payload { left, wanted } => self.payload(rest, left, wanted, text, limit),
        }
    }

    /// Where the bytes begin to differ must not depend on how they were cut: only what fits is taken.
    fn preface(&mut self, rest: &mut &[u8], read: usize) -> Event<'static> {
        let wanted = PREFACE.get(read..).unwrap_or_default();
        let fits = wanted.iter().zip(*rest).take_while(|(a, b)| a == b).count();
        take(rest, fits);
        if fits < wanted.len() && !rest.is_empty() {
            return Event::Malformed("malformed preface");
        }
        let read = read + fits;
        self.place = match read == PREFACE.len() {
            true => Place::Header,
            false => Place::Preface { read },
        };
        Event::Nothing
    }

    fn frame_header(
        &mut self,
        rest: &mut &[u8],
        at: u64,
        text: &mut Vec<u8>,
        limit: usize,
    ) -> Event<'static> {
        if self.cut.is_empty() {
            self.began = at;
        }
        let header = match rest.first_chunk::<{ FrameHeader::BYTES }>() {
            Some(bytes) if self.cut.is_empty() => {
                take(rest, bytes.len());
                FrameHeader::read(bytes)
            }
            _ => {
                let wanted = FrameHeader::BYTES - self.cut.len();
                self.cut.extend_from_slice(take(rest, wanted));
                FrameHeader::read(&self.cut)
            }
        };
        let Some(header) = header else {
            return Event::Nothing;
        };
        self.cut.clear();
        self.header = header;
        match self.begin_frame() {
            Ok(()) => {}
            Err(reason) => return Event::Malformed(reason),
        }
        // What has no payload ends here.
        match (self.place, header.length) {
            (Place::Data { .. }, 0) => self.end_data(&[], 0),
            (Place::Payload { .. }, 0) => self.end_frame(&[], text, limit),
            _ => Event::Nothing,
        }
    }

    /// The header of a frame is read: finds out what to do with the payload.
    fn begin_frame(&mut self) -> Result<(), &'static str> {
        let FrameHeader {
            length,
            kind,
            stream,
            ..
        } = self.header;
        let goes_on = self.block.as_ref().map(|block| block.opening.stream);
        let continues = kind == kind::CONTINUATION && goes_on == Some(stream);
        if (goes_on.is_some() || kind == kind::CONTINUATION) && !continues {
            return Err("malformed frames");
        }
        if !self.settled && kind != kind::SETTINGS {
            return Err("no settings");
        }
        self.settled = true;
        let of_stream = matches!(
            kind,
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE | kind::RST_STREAM
        );
        if of_stream && stream == 0 {
            return Err("malformed frames");
        }
        let wanted = match kind {
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
                let held = self.block.as_ref().map_or(0, |block| block.bytes.len());
                if held + length > BLOCK_BYTES {
                    return Err("field block too large");
                }
                length
            }
            kind::RST_STREAM if length == 4 => length,
            kind::GOAWAY if length >= GOAWAY_BYTES => GOAWAY_BYTES,
            kind::RST_STREAM | kind::GOAWAY => return Err("malformed frames"),
            _ => 0,
        };
        self.place = match kind {
            kind::DATA if self.header.has(flag::PADDED) => match length {
                0 => return Err("malformed frames"),
                _ => Place::PadLength,
            },
            kind::DATA => Place::Data {
                left: length,
                padding: 0,
            },
            _ => Place::Payload {
                left: length,
                wanted,
            },
        };
        Ok(())
    }

    fn pad_length(&mut self, rest: &mut &[u8]) -> Event<'static> {
        let Some(padding) = take(rest, 1).first().map(|byte| usize::from(*byte)) else {
            return Event::Nothing;
        };
        let Some(left) = (self.header.length - 1).checked_sub(padding) else {
            return Event::Malformed("malformed frames");
        };
        self.place = Place::Data { left, padding };
        match left + padding {
            0 => self.end_data(&[], 0),
            _ => Event::Nothing,
        }
    }

    fn data<'a>(&mut self, rest: &mut &'a [u8], left: usize, padding: usize) -> Event<'a> {
        let bytes = take(rest, left);
        let to_come = left - bytes.len();
        let padding = match to_come {
            0 => padding - take(rest, padding).len(),
            _ => padding,
        };
        if to_come + padding == 0 {
            return self.end_data(bytes, left);
        }
        self.place = Place::Data {
            left: to_come,
            padding,
        };
        match bytes {
            [] => Event::Nothing,
            _ => Event::Data(Data {
                stream: self.header.stream,
                bytes,
                left,
                last_frame: self.header.has(flag::END_STREAM),
                ends_stream: false,
            }),
        }
    }

    fn end_data<'a>(&mut self, bytes: &'a [u8], left: usize) -> Event<'a> {
        self.place = Place::Header;
        let last = self.header.has(flag::END_STREAM);
        Event::Data(Data {
            stream: self.header.stream,
            bytes,
            left,
            last_frame: last,
            ends_stream: last,
        })
    }

    fn payload(
        &mut self,
        rest: &mut &[u8],
        left: usize,
        wanted: usize,
        text: &mut Vec<u8>,
        limit: usize,
    ) -> Event<'static> {
        let piece = take(rest, left);
        let to_come = left - piece.len();
        if to_come == 0 && left == self.header.length {
            return self.end_frame(piece, text, limit);
        }
        let room = wanted - self.cut.len();
        self.cut
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
        if to_come > 0 {
            self.place = Place::Payload {
                left: to_come,
                wanted,
            };
            return Event::Nothing;
        }
        let mut whole = std::mem::take(&mut self.cut);
        let event = self.end_frame(&whole, text, limit);
        whole.clear();
        whole.shrink_to(BLOCK_ROOM_BYTES);
        self.cut = whole;
        event
    }

    /// A frame that is no data is complete; `payload` is the part of it that is of interest.
    fn end_frame(&mut self, payload: &[u8], text: &mut Vec<u8>, limit: usize) -> Event<'static> {
        self.place = Place::Header;
        let number = payload.first_chunk().map_or(0, |n| u32::from_be_bytes(*n));
        match self.header.kind {
            kind::HEADERS | kind::PUSH_PROMISE => match self.open_section(payload) {
                Some((opening, block)) if self.header.has(flag::END_HEADERS) => {
                    self.section(opening, block, text, limit)
                }
                Some((opening, block)) => {
                    let bytes = block.to_vec();
                    self.block = Some(Box::new(Block { opening, bytes }));
                    Event::Nothing
                }
                None => Event::Malformed("malformed frames"),
            },
            kind::CONTINUATION => {
                let Some(mut block) = self.block.take() else {
                    return Event::Malformed("malformed frames");
                };
                block.bytes.extend_from_slice(payload);
                if self.header.has(flag::END_HEADERS) {
                    return self.section(block.opening, &block.bytes, text, limit);
                }
                self.block = Some(block);
                Event::Nothing
            }
            kind::RST_STREAM => Event::Reset {
                stream: self.header.stream,
                code: number,
            },
            kind::GOAWAY => Event::GoAway {
                last: number & STREAM_BITS,
            },
            _ => Event::Nothing,
        }
    }

    /// What the first frame of a section says of it, and its part of the field block.
    fn open_section<'p>(&self, payload: &'p [u8]) -> Option<(Opening, &'p [u8])> {
        let header = &self.header;
        let mut block = payload;
        if header.has(flag::PADDED) {
            let (padding, rest) = block.split_first()?;
            block = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
        }
        let promises = header.kind == kind::PUSH_PROMISE;
        if !promises && header.has(flag::PRIORITY) {
            block = block.get(PRIORITY_BYTES..)?;
        }
        let mut promised = None;
        if promises {
            let (id, rest) = block.split_first_chunk()?;
            promised = Some(u32::from_be_bytes(*id) & STREAM_BITS);
            block = rest;
        }
        let opening = Opening {
            stream: header.stream,
            promised,
            ends_stream: !promises && header.has(flag::END_STREAM),
            began: self.began,
        };
        Some((opening, block))
    }

    fn section(
        &mut self,
        opening: Opening,
        block: &[u8],
        text: &mut Vec<u8>,
        limit: usize,
    ) -> Event<'static> {
        text.clear();
        let mut fields = FieldWriter::new(text, limit);
        match self.decoder.decode(block, &mut fields) {
            Ok(()) => Event::Fields(Section {
                opening,
                facts: fields.into_facts(),
            }),
            Err(malformed) => Event::Malformed(malformed.reason()),
        }
    }
}

/// Takes at most `count` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count.min(rest.len()));
    *rest = left;
    taken
}
