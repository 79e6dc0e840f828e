//! What the bytes of one direction tell, a part at a time.

use crate::observe::http2::fields::Facts;

/// What bytes of a direction tell.
#[derive(Debug)]
pub(in crate::observe::http2) enum Event<'a> {
    /// Nothing yet, or nothing of interest.
    Nothing,
    /// A field section is complete; its text was written out.
    Fields(Section),
    /// A piece of a body.
    Data(Data<'a>),
    /// RST_STREAM.
    Reset { stream: u32, code: u32 },
    /// GOAWAY: streams above `last` will not be looked at.
    GoAway { last: u32 },
    /// The bytes make no sense, and none after them can.
    Malformed(&'static str),
}

/// A header or trailer section, or a promised request.
#[derive(Debug)]
pub(in crate::observe::http2) struct Section {
    pub(in crate::observe::http2) opening: Opening,
    pub(in crate::observe::http2) facts: Facts,
}

/// What the first frame of a section says.
#[derive(Debug, Clone, Copy)]
pub(in crate::observe::http2) struct Opening {
    pub(in crate::observe::http2) stream: u32,
    /// The stream that a PUSH_PROMISE promises: the fields are its request.
    pub(in crate::observe::http2) promised: Option<u32>,
    pub(in crate::observe::http2) ends_stream: bool,
    /// When the first byte of the frame came.
    pub(in crate::observe::http2) began: u64,
}

/// A piece of a DATA frame.
#[derive(Debug)]
pub(in crate::observe::http2) struct Data<'a> {
    pub(in crate::observe::http2) stream: u32,
    pub(in crate::observe::http2) bytes: &'a [u8],
    /// Bytes of the frame's data that are still to come, with these.
    pub(in crate::observe::http2) left: usize,
    /// The frame ends here, and the stream with it.
    pub(in crate::observe::http2) ends_stream: bool,
    /// The last frame of the stream.
    pub(in crate::observe::http2) last_frame: bool,
}
