//! One stream: a request with its response while they pass, whether or not there is room for their
//! record.

use remora_store::call::{CallError, Detail, Http2, Injected, Omitted, Protocol, Reset, Side};

use super::fields::Facts;
use super::frame::{Data, Section};
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, keep_up_to};
use crate::observe::events::Events;
use crate::observe::grpc::Grpc;
use crate::observe::websocket::WebSocket;

/// The server did not look at the request (RFC 9113 section 8.7).
const REFUSED_STREAM: u32 = 7;

/// What the reading of a stream has to remember, and the record as far as the budget allowed one.
#[derive(Debug)]
pub(super) struct Stream {
    request: Half,
    response: Half,
    tunnel: Tunnel,
    /// Where the response is a stream of events.
    events: Option<Box<Events>>,
    pub(super) record: Budgeted,
}

/// Whether what passes is another protocol (RFC 9113 section 8.5, RFC 8441).
#[derive(Debug)]
enum Tunnel {
    No,
    /// The client asked for one, perhaps for a WebSocket.
    Asked {
        websocket: bool,
    },
    /// Its bytes are counted.
    Open,
    WebSocket(Box<WebSocket>),
}

/// Why a stream ends before its response was complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    error: CallError,
    /// When, where the connection goes on without it.
    at: Option<u64>,
}

impl Failure {
    /// The stream is given up, and the connection goes on.
    pub(super) fn alone(error: CallError, at: u64) -> Self {
        let at = Some(at);
        Self { error, at }
    }

    /// What failed the connection, if something did, fails its streams.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let error = connection.failure()?;
        Some(Self { error, at: None })
    }
}

/// One direction of it.
#[derive(Debug, Default)]
struct Half {
    /// The head that is no interim one has come.
    has_head: bool,
    ended: bool,
    /// How much of the body is to come, where its length was told.
    left: Option<u64>,
    /// The body is made of gRPC messages.
    grpc: Option<Grpc>,
}

impl Stream {
    /// A stream that the client opens.
    pub(super) fn open(connection: &mut Connection, id: u32, facts: &Facts) -> Self {
        let protocol = match facts.grpc {
            true => Protocol::Grpc,
            false => Protocol::Http2,
        };
        let record = connection.begin_numbered(protocol, id);
        let mut stream = Self {
            request: Half::default(),
            response: Half::default(),
            tunnel: match facts.connect {
                true => Tunnel::Asked {
                    websocket: facts.websocket,
                },
                false => Tunnel::No,
            },
            events: None,
            record,
        };
        if facts.grpc
            && let Some(draft) = stream.record.draft()
        {
            draft.expect_messages();
        }
        stream
    }

    /// The first stream of a connection that was upgraded: its request came over HTTP/1.
    pub(super) fn upgraded(mut record: Budgeted) -> Self {
        if let Some(draft) = record.draft() {
            draft.protocol = Protocol::Http2;
            draft.phases.response_last = None;
        }
        Self {
            request: Half {
                has_head: true,
                ended: true,
                ..Half::default()
            },
            response: Half::default(),
            tunnel: Tunnel::No,
            events: None,
            record,
        }
    }

    /// A stream that the server promised, with the request that it made up.
    pub(super) fn promised(connection: &mut Connection, id: u32, facts: &Facts) -> Self {
        let mut stream = Self::open(connection, id, facts);
        if let Some(draft) = stream.record.draft() {
            draft.detail = Detail::Http2(Http2 {
                reset: None,
                pushed: true,
            });
        }
        stream
    }

    /// A field section came: a head, an interim one, or trailers.
    pub(super) fn fields(
        &mut self,
        connection: &mut Connection,
        from: Side,
        section: &Section,
        text: &[u8],
        at: u64,
    ) {
        let Section { opening, facts } = section;
        let is_interim = from == Side::Server
            && facts
                .status
                .is_some_and(|status| (100..200).contains(&status))
            && !opening.ends_stream;
        let half = self.half(from);
        if half.has_head {
            self.keep_trailers(connection, from, text, at);
        } else if is_interim {
            self.keep_interim(connection, text);
        } else {
            half.has_head = true;
            half.left = facts.length;
            half.grpc = facts.grpc.then(Grpc::default);
            self.keep_head(connection, from, section, text, at);
            if from == Side::Server {
                self.answer_tunnel(facts.status);
                if let Some(draft) = self.record.draft().filter(|_| facts.events()) {
                    draft.expect_messages();
                    self.events = Some(Box::default());
                }
            }
        }
        if opening.ends_stream {
            self.end(from, at);
        }
    }

    fn keep_head(
        &mut self,
        connection: &mut Connection,
        from: Side,
        section: &Section,
        text: &[u8],
        at: u64,
    ) {
        self.record.keep(connection, |draft, connection| {
            let first = Some(section.opening.began);
            match from {
                Side::Server => {
                    draft.phases.response_first = first;
                    draft.last_byte = Some(at);
                }
                Side::Client | Side::Sidecar => {
                    draft.phases.request_first = first;
                    draft.probe = section.facts.probe;
                }
            }
            let (message, grant) = draft.message(from);
            message.keep_head(text, &connection.limits, grant)
        });
    }

    fn keep_interim(&mut self, connection: &mut Connection, text: &[u8]) {
        self.record.keep(connection, |draft, connection| {
            let limit = connection.limits.head_bytes;
            if keep_up_to(&mut draft.interim, text, limit, &mut draft.grant)? {
                draft.response.omitted = Some(Omitted::Head);
            }
            Ok(())
        });
    }

    fn keep_trailers(&mut self, connection: &Connection, from: Side, text: &[u8], at: u64) {
        if let Some(draft) = self.record.draft() {
            if from == Side::Server {
                draft.last_byte = Some(at);
            }
            let (message, grant) = draft.message(from);
            message.keep_trailers(text, &connection.limits, grant);
        }
    }

    /// A piece of a body came.
    pub(super) fn data(&mut self, connection: &Connection, from: Side, data: &Data<'_>, at: u64) {
        let half = match from {
            Side::Server => &mut self.response,
            Side::Client | Side::Sidecar => &mut self.request,
        };
        let expected = match data.last_frame {
            true => Some(data.left as u64),
            false => half.left,
        };
        let size = data.bytes.len() as u64;
        half.left = half.left.map(|left| left.saturating_sub(size));
        if let Some(draft) = self.record.draft() {
            let limits = &connection.limits;
            if from == Side::Server {
                draft.last_byte = Some(at);
            }
            match (&mut self.tunnel, &mut half.grpc) {
                (Tunnel::WebSocket(websocket), _) => {
                    websocket.bytes(draft, limits, from, data.bytes, at);
                }
                (Tunnel::Asked { .. } | Tunnel::Open, _) => {
                    let (message, _) = draft.message(from);
                    message.body_size = message.body_size.saturating_add(size);
                    message.omitted = Some(Omitted::Opaque);
                }
                (Tunnel::No, Some(grpc)) => grpc.data(draft, limits, from, data.bytes, at),
                (Tunnel::No, None) => {
                    let (message, grant) = draft.message(from);
                    message.keep_body(data.bytes, expected, limits, grant);
                    if let Some(events) = self.events.as_mut().filter(|_| from == Side::Server) {
                        events.bytes(draft, data.bytes, at);
                    }
                }
            }
        }
        if data.ends_stream {
            self.end(from, at);
        }
    }

    /// The head of the final response came: it says what becomes of a tunnel.
    fn answer_tunnel(&mut self, status: Option<u16>) {
        let Tunnel::Asked { websocket } = self.tunnel else {
            return;
        };
        self.tunnel = match (status, self.record.draft()) {
            (Some(200..300), Some(draft)) if websocket => {
                Tunnel::WebSocket(Box::new(WebSocket::open(draft)))
            }
            (Some(200..300), _) => Tunnel::Open,
            _ => Tunnel::No,
        };
    }

    /// A fault does something to it.
    pub(super) fn struck(&mut self, fault: Injected) {
        if let Some(draft) = self.record.draft() {
            draft.struck(fault);
        }
    }

    /// One direction is complete.
    pub(super) fn end(&mut self, from: Side, at: u64) {
        self.half(from).ended = true;
        if let Some(draft) = self.record.draft() {
            match from {
                Side::Server => draft.phases.response_last = Some(at),
                Side::Client | Side::Sidecar => draft.phases.request_last = Some(at),
            }
        }
    }

    /// One side gave the stream up. What was complete by then stays so, such as a response to a
    /// request of which the server did not want to see the rest.
    pub(super) fn reset(&mut self, by: Side, code: u32, at: u64) {
        let Some(draft) = self.record.draft() else {
            return;
        };
        let pushed = matches!(draft.detail, Detail::Http2(Http2 { pushed: true, .. }));
        let by = match by {
            Side::Server if draft.is_reset_by_fault() => Side::Sidecar,
            by => by,
        };
        draft.detail = Detail::Http2(Http2 {
            reset: Some(Reset { by, code }),
            pushed,
        });
        if !self.response.ended {
            draft.phases.closed = Some(at);
            draft.error.get_or_insert(match (by, code) {
                (Side::Server, REFUSED_STREAM) => CallError::ServerRefused,
                (Side::Server, _) => CallError::ServerCancelled,
                _ => CallError::ClientCancelled,
            });
        }
    }

    /// The client's direction cannot be read any more. A response may still come.
    pub(super) fn fail_request(&mut self) {
        if self.request.ended {
            return;
        }
        self.request.ended = true;
        if let Some(draft) = self.record.draft() {
            draft.error.get_or_insert(CallError::MalformedRequest);
        }
    }

    /// Nothing can be added to its record.
    pub(super) fn is_over(&self, connection: &Connection) -> bool {
        (self.request.ended || connection.client_ended())
            && (self.response.ended || connection.server_ended())
    }

    /// The response is complete.
    pub(super) fn is_answered(&self) -> bool {
        self.response.ended
    }

    /// Gives out the record. `failure` is why the stream is not complete, if it is not.
    pub(super) fn finish(
        mut self,
        connection: &Connection,
        failure: Option<Failure>,
        out: &mut Vec<Recorded>,
    ) {
        let failure = failure.filter(|_| !self.response.ended);
        let mut error = failure.map(|it| it.error);
        if let Some(draft) = self.record.draft() {
            draft.phases.closed = draft.phases.closed.or(failure.and_then(|it| it.at));
            if let Tunnel::WebSocket(websocket) = self.tunnel {
                websocket.finish(draft, error.take());
            }
            for (half, from) in [(self.request, Side::Client), (self.response, Side::Server)] {
                if let Some(grpc) = half.grpc {
                    grpc.end(draft, from);
                }
            }
        }
        self.record.finish(connection, error, out);
    }

    fn half(&mut self, from: Side) -> &mut Half {
        match from {
            Side::Server => &mut self.response,
            Side::Client | Side::Sidecar => &mut self.request,
        }
    }
}
