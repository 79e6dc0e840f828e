//! HTTP/2: which frames belong to which stream, and where each stream ends (RFC 9113).
//!
//! Every frame is read whatever becomes of the records, so that the tables of both directions stay
//! in step. Where a direction makes no sense any more, what follows is counted as one opaque call.

mod fields;
mod frame;
mod stream;

use std::collections::VecDeque;

use remora_store::call::{Call, CallError, Injected, Side};

use super::Recorded;
use super::connection::Connection;
use super::draft::Budgeted;
use super::opaque::Opaque;
use frame::{Event, FrameReader, Section};
use stream::{Failure, Stream};

/// Most streams of one connection that are recorded at a time; those beyond are counted as dropped.
/// Servers allow 100 to 250.
const STREAMS: usize = 1024;

/// Room that is kept for the text of the next section.
const TEXT_BYTES: usize = 4 * 1024;

/// Both directions of an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Http2 {
    client: Direction,
    server: Direction,
    streams: Streams,
    /// The section that is being read, as it will be kept.
    text: Vec<u8>,
    rest: Option<Box<Opaque>>,
}

/// How one direction is read.
#[derive(Debug)]
enum Direction {
    Frames(Box<FrameReader>),
    /// Not any more: the bytes are counted as opaque.
    Blind,
}

/// The streams that are running, in the order of their numbers.
#[derive(Debug, Default)]
struct Streams {
    running: VecDeque<(u32, Box<Stream>)>,
    /// The highest stream that the client opened: those below are over, or running.
    last_opened: u32,
    /// The highest stream that the server promised.
    last_promised: u32,
    /// The client cannot be read any more, and what it sends has the next number: none is given to
    /// what is promised since.
    closed: bool,
    /// What the server said it will not look at: streams of the client above this one.
    last_taken: Option<u32>,
}

impl Http2 {
    pub(super) fn new() -> Self {
        Self {
            client: Direction::Frames(Box::new(FrameReader::of_client())),
            server: Direction::Frames(Box::new(FrameReader::of_server())),
            streams: Streams::default(),
            text: Vec::new(),
            rest: None,
        }
    }

    /// A connection that was upgraded: its first stream is the request that asked for it, of which
    /// this is the record.
    pub(super) fn upgraded(request: Budgeted) -> Self {
        let mut http2 = Self::new();
        let stream = Box::new(Stream::upgraded(request));
        http2.streams.running.push_back((1, stream));
        http2.streams.last_opened = 1;
        http2
    }

    pub(super) fn bytes(
        &mut self,
        connection: &mut Connection,
        from: Side,
        bytes: &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let direction = match from {
                Side::Server => &mut self.server,
                Side::Client | Side::Sidecar => &mut self.client,
            };
            let before = rest.len();
            let event = match direction {
                Direction::Frames(reader) => {
                    let limit = connection.limits.head_bytes;
                    reader.next(&mut rest, at, &mut self.text, limit)
                }
                Direction::Blind => {
                    let bytes = std::mem::take(&mut rest);
                    if let Some(opaque) = &mut self.rest {
                        opaque.bytes(connection, from, bytes, at);
                    }
                    Event::Nothing
                }
            };
            if from != Side::Server {
                connection.client_bytes += (before - rest.len()) as u64;
            }
            self.event(connection, from, event, at, out);
        }
        if self.text.capacity() > TEXT_BYTES {
            self.text = Vec::new();
        }
    }

    fn event(
        &mut self,
        connection: &mut Connection,
        from: Side,
        event: Event<'_>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let streams = &mut self.streams;
        match event {
            Event::Nothing => {}
            Event::Fields(section) => {
                streams.fields(connection, from, &section, &self.text, at, out);
            }
            Event::Data(data) => {
                let ends = data.ends_stream;
                if let Some(stream) = streams.find(data.stream) {
                    stream.data(connection, from, &data, at);
                    if ends {
                        streams.finish_if_over(connection, data.stream, out);
                    }
                }
            }
            Event::Reset { stream, code } => {
                if let Some(mut stream) = streams.take(stream) {
                    stream.reset(from, code, at);
                    stream.finish(connection, Failure::of(connection), out);
                }
            }
            Event::GoAway { last } if from == Side::Server => {
                streams.last_taken = Some(last);
                streams.finish_where(
                    connection,
                    |id, stream| id > last && id % 2 == 1 && !stream.is_answered(),
                    Some(Failure::alone(CallError::ServerRefused, at)),
                    out,
                );
            }
            Event::GoAway { .. } => {}
            Event::Malformed(reason) => self.go_blind(connection, from, reason, at, out),
        }
    }

    /// Ends the reading of one direction. Without the client's, responses to what was read are
    /// still awaited; without the server's, nothing is.
    fn go_blind(
        &mut self,
        connection: &Connection,
        from: Side,
        reason: &'static str,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        self.client = Direction::Blind;
        let streams = &mut self.streams;
        streams.closed = true;
        if from == Side::Server {
            self.server = Direction::Blind;
            let failure = Some(Failure::alone(CallError::MalformedResponse, at));
            streams.finish_where(connection, |_, _| true, failure, out);
        } else {
            for (_, stream) in &mut streams.running {
                stream.fail_request();
            }
            streams.finish_where(
                connection,
                |_, stream| stream.is_over(connection),
                None,
                out,
            );
        }
        self.rest.get_or_insert_with(|| {
            let mut opaque = Opaque::rest(connection.client_bytes, reason);
            opaque.name(Some("h2c".to_owned()));
            Box::new(opaque)
        });
    }

    /// A fault does something to the request of a stream.
    pub(super) fn struck(&mut self, stream: u32, fault: Injected) {
        if let Some(stream) = self.streams.find(stream) {
            stream.struck(fault);
        }
    }

    /// One side ended its direction in order.
    pub(super) fn end(&mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        self.streams.finish_where(
            connection,
            |_, stream| stream.is_over(connection),
            Failure::of(connection),
            out,
        );
    }

    /// The connection is over: everything open is finished.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        let failure = Failure::of(connection);
        self.streams
            .finish_where(connection, |_, _| true, failure, out);
        if let Some(rest) = &mut self.rest {
            rest.finish(connection, out);
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        let running = self.streams.running.iter();
        out.extend(running.filter_map(|(_, stream)| stream.record.partial(connection, at)));
        let rest = self.rest.iter();
        out.extend(rest.filter_map(|rest| rest.open_call(connection, at)));
    }
}

impl Streams {
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.running.binary_search_by_key(&id, |(id, _)| *id)
    }

    fn find(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id).ok()?;
        self.running.get_mut(place).map(|(_, stream)| &mut **stream)
    }

    fn take(&mut self, id: u32) -> Option<Stream> {
        let place = self.place(id).ok()?;
        self.running.remove(place).map(|(_, stream)| *stream)
    }

    /// A field section came, perhaps the first of its stream. One of a stream that is over, or that
    /// was never opened, belongs to no call.
    fn fields(
        &mut self,
        connection: &mut Connection,
        from: Side,
        section: &Section,
        text: &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let id = section.opening.stream;
        match (from, section.opening.promised) {
            (Side::Server, Some(promised)) => {
                // What is promised has an even number above those before (RFC 9113 section 5.1.1).
                if promised % 2 == 1 || promised <= self.last_promised {
                    return;
                }
                self.last_promised = promised;
                if self.closed {
                    return connection.count_dropped();
                }
                let mut stream = Stream::promised(connection, promised, &section.facts);
                stream.fields(connection, Side::Client, section, text, at);
                stream.end(Side::Client, at);
                self.run(connection, promised, stream);
            }
            (Side::Client, None) if id % 2 == 1 && id > self.last_opened => {
                self.last_opened = id;
                let mut stream = Stream::open(connection, id, &section.facts);
                stream.fields(connection, from, section, text, at);
                if self.last_taken.is_some_and(|last| id > last) {
                    return stream.finish(
                        connection,
                        Some(Failure::alone(CallError::ServerRefused, at)),
                        out,
                    );
                }
                self.run(connection, id, stream);
            }
            (_, None) => {
                if let Some(stream) = self.find(id) {
                    stream.fields(connection, from, section, text, at);
                    self.finish_if_over(connection, id, out);
                }
            }
            (_, Some(_)) => {}
        }
    }

    /// Follows a new stream, if there are not too many.
    fn run(&mut self, connection: &mut Connection, id: u32, stream: Stream) {
        if self.running.len() >= STREAMS {
            return connection.count_dropped();
        }
        if let Err(place) = self.place(id) {
            self.running.insert(place, (id, Box::new(stream)));
        }
    }

    fn finish_if_over(&mut self, connection: &Connection, id: u32, out: &mut Vec<Recorded>) {
        if let Some(stream) = self.find(id)
            && stream.is_over(connection)
            && let Some(stream) = self.take(id)
        {
            stream.finish(connection, Failure::of(connection), out);
        }
    }

    /// Gives out the records of streams, with the reason why they are not complete.
    fn finish_where(
        &mut self,
        connection: &Connection,
        wanted: impl Fn(u32, &Stream) -> bool,
        failure: Option<Failure>,
        out: &mut Vec<Recorded>,
    ) {
        for (id, stream) in std::mem::take(&mut self.running) {
            match wanted(id, &stream) {
                true => stream.finish(connection, failure, out),
                false => self.running.push_back((id, stream)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
