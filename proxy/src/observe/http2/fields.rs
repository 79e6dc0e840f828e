//! Writes a field section down as lines, and notes what of it the reading of a stream needs.

use memchr::memchr3;

use crate::observe::events::is_event_stream;
use crate::observe::hpack::Fields;

/// What a section says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// `:status`, of a response.
    pub(super) status: Option<u16>,
    /// The request opens a tunnel: its method is CONNECT.
    pub(super) connect: bool,
    /// The protocol of that tunnel is WebSocket (RFC 8441 section 4).
    pub(super) websocket: bool,
    /// `content-length`.
    pub(super) length: Option<u64>,
    /// The body is made of gRPC messages.
    pub(super) grpc: bool,
    /// The body is a stream of events.
    event_stream: bool,
    /// The body has a content coding.
    coded: bool,
    /// The request is a kubelet's health check.
    pub(super) probe: bool,
}

impl Facts {
    /// The body is a stream of events that can be read as it comes.
    pub(super) fn events(&self) -> bool {
        self.event_stream && !self.coded
    }
}

/// Writes `name: value` lines, as [`remora_store::call::Message::head`] has them.
#[derive(Debug)]
pub(super) struct FieldWriter<'t> {
    text: &'t mut Vec<u8>,
    limit: usize,
    facts: Facts,
}

impl<'t> FieldWriter<'t> {
    /// Writes to `text`, until it is longer than `limit` bytes.
    pub(super) fn new(text: &'t mut Vec<u8>, limit: usize) -> Self {
        Self {
            text,
            limit,
            facts: Facts::default(),
        }
    }

    pub(super) fn into_facts(self) -> Facts {
        self.facts
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        let facts = &mut self.facts;
        match name {
            b":status" => facts.status = number(value).and_then(|code| code.try_into().ok()),
            b":method" => facts.connect = value == b"CONNECT",
            b":protocol" => facts.websocket = value == b"websocket",
            b"user-agent" => facts.probe = value.starts_with(b"kube-probe/"),
            b"content-type" => {
                facts.grpc = is_grpc(value);
                facts.event_stream = is_event_stream(value);
            }
            b"content-encoding" => facts.coded = !value.eq_ignore_ascii_case(b"identity"),
            b"content-length" => facts.length = number(value),
            _ => {}
        }
    }
}

impl Fields for FieldWriter<'_> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.note(name, value);
        if self.text.len() > self.limit {
            return;
        }
        self.text.reserve(name.len() + value.len() + 4);
        push_line_part(self.text, name);
        self.text.extend_from_slice(b": ");
        push_line_part(self.text, value);
        self.text.extend_from_slice(b"\r\n");
    }
}

/// Appends text with a space for each byte that would end the line (RFC 9113 section 8.2.1).
fn push_line_part(text: &mut Vec<u8>, part: &[u8]) {
    let start = text.len();
    text.extend_from_slice(part);
    if memchr3(0, b'\r', b'\n', part).is_some() {
        for byte in text.iter_mut().skip(start) {
            if matches!(byte, 0 | b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
}

/// `application/grpc`, alone or with a suffix such as `+proto`; gRPC-Web frames its trailers
/// otherwise, and is none.
fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, suffix)) = content_type.split_at_checked(b"application/grpc".len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(b"application/grpc")
        && matches!(suffix.first(), None | Some(b'+' | b';' | b' '))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
