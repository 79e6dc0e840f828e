//! The compression of WebSocket messages (RFC 7692), undone within bounds.
//!
//! It is undone here, off the way of the traffic, and not while bytes pass: there it would take a
//! window of 32 KiB per direction for as long as the connection lives. What is kept are the first
//! messages of each side without a gap, and more is not needed. Once they cannot be followed, their
//! payloads are not kept ([`Omitted::Uninspectable`]): nobody could look for secrets in them, and
//! nobody could read them later without those before.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use remora_store::call::{Call, Omitted, Protocol, Side, StreamMessage};
use remora_store::coding;

use crate::extensions::Extensions;

/// What the sender leaves out at the end of each message (RFC 7692 section 7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// Final blocks in one message beyond which it is not followed; senders that use them need one.
const FINAL_BLOCKS: usize = 16;

/// Bytes for which room is made at once.
const PIECE: usize = 4 * 1024;

/// Inflates the messages of a WebSocket in place.
pub(super) fn inflate(call: &mut Call) {
    if call.protocol != Protocol::WebSocket {
        return;
    }
    let Some(stream) = &mut call.stream else {
        return;
    };
    if !stream.messages.iter().any(|message| message.compressed) {
        return;
    }
    let extensions = match call.response.omitted {
        Some(Omitted::Head) => Extensions::Unknown,
        _ => Extensions::in_head(&call.response.head),
    };
    let (mut client, mut server) = match extensions {
        Extensions::Deflate(deflate) => (
            Inflater::new(deflate.client_resets),
            Inflater::new(deflate.server_resets),
        ),
        Extensions::None | Extensions::Unknown => (Inflater::lost(), Inflater::lost()),
    };
    for message in &mut stream.messages {
        let (inflater, direction) = match message.from {
            Side::Server => (&mut server, &mut call.response),
            Side::Client | Side::Sidecar => (&mut client, &mut call.request),
        };
        if message.compressed && message.payload.is_empty() && message.omitted.is_some() {
            // Nothing of it was kept, for a reason that stays.
            inflater.miss();
        } else if message.compressed && inflater.message(message).is_err() {
            message.payload = Bytes::new();
            message.omitted = Some(Omitted::Uninspectable);
            direction.omitted.get_or_insert(Omitted::Uninspectable);
        }
    }
}

/// The payload cannot be had.
struct Lost;

/// Follows one direction.
struct Inflater {
    /// Its window, from the first compressed message on.
    state: Option<Decompress>,
    /// Messages do not refer to those before.
    resets: bool,
    lost: bool,
    /// Bytes in and out so far.
    coded: usize,
    inflated: usize,
}

impl Inflater {
    fn new(resets: bool) -> Self {
        Self {
            state: None,
            resets,
            lost: false,
            coded: 0,
            inflated: 0,
        }
    }

    fn lost() -> Self {
        Self {
            lost: true,
            ..Self::new(false)
        }
    }

    /// A message is not there: only who begins anew can be followed behind it.
    fn miss(&mut self) {
        self.lost |= !self.resets;
    }

    fn message(&mut self, message: &mut StreamMessage) -> Result<(), Lost> {
        if self.lost {
            return Err(Lost);
        }
        let whole = message.omitted.is_none();
        let result = self.inflate(&message.payload, whole);
        // Who lacks a part of this message cannot follow the next, unless that begins anew.
        self.lost = !self.resets && (!whole || !matches!(result, Ok((_, true))));
        let (payload, _) = result?;
        message.payload = Bytes::from(payload);
        message.decoded = true;
        Ok(())
    }

    /// The content of one message, and whether the next one can refer to it.
    fn inflate(&mut self, payload: &[u8], whole: bool) -> Result<(Vec<u8>, bool), Lost> {
        let mut state = match self.state.take() {
            Some(mut state) => {
                if self.resets {
                    state.reset(false);
                }
                state
            }
            None => Decompress::new(false),
        };
        self.coded += payload.len();
        let room = coding::limit_bytes(self.coded).saturating_sub(self.inflated);
        let mut content = Vec::new();
        let mut goes_on = run(&mut state, payload, &mut content, room)?;
        if whole {
            goes_on &= run(&mut state, TAIL, &mut content, room)?;
        }
        self.inflated += content.len();
        self.state = Some(state);
        Ok((content, goes_on))
    }
}

/// Inflates `input` to its end. False if a final block was in it, behind which the window is gone
/// (RFC 7692 section 7.2.3.5 allows those).
fn run(
    state: &mut Decompress,
    mut input: &[u8],
    content: &mut Vec<u8>,
    room: usize,
) -> Result<bool, Lost> {
    let mut finals = 0;
    loop {
        if content.len() > room || finals > FINAL_BLOCKS {
            return Err(Lost);
        }
        if content.len() == content.capacity() {
            content.reserve(PIECE);
        }
        let before = (state.total_in(), content.len());
        let status = state
            .decompress_vec(input, content, FlushDecompress::None)
            .map_err(|_| Lost)?;
        let used = usize::try_from(state.total_in() - before.0).map_err(|_| Lost)?;
        input = input.get(used..).unwrap_or_default();
        if status == Status::StreamEnd {
            state.reset(false);
            finals += 1;
        } else if used == 0 && content.len() == before.1 && content.len() < content.capacity() {
            // Nothing went in or out although there was room: more input would be needed.
            return if input.is_empty() {
                Ok(finals == 0)
            } else {
                Err(Lost)
            };
        }
        if input.is_empty() && content.len() < content.capacity() {
            return Ok(finals == 0);
        }
    }
}

#[cfg(test)]
mod tests;
