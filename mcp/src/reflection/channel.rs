//! One connection to a server of gRPC, and a stream on it: a question goes, an answer comes.
//!
//! Only what reflection takes of gRPC over HTTP/2: messages without compression, one at a time.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request as HttpRequest, StatusCode};
use prost::Message as _;
use remora_store::grpc::status_name;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::messages::{Answer, Question, Request, Response};
use super::{ReflectError, Server};

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Largest message that is taken: what clients of gRPC take if nothing is said.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024; // 4 MiB
/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;
/// Longest message of a status that is shown.
const STATUS_CHARS: usize = 200;
/// The status of gRPC for a service that is not there.
const UNIMPLEMENTED: u32 = 12;

/// A connection. It ends when this is dropped.
pub(super) struct Channel {
    requests: SendRequest<Bytes>,
    server: Server,
    connection: JoinHandle<()>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Channel {
    pub(super) async fn open(server: &Server) -> Result<Self, ReflectError> {
        let connected = timeout(CONNECT_PATIENCE, TcpStream::connect(server.as_str())).await;
        let connected = connected.unwrap_or_else(|slow| Err(slow.into()));
        let tcp = connected.map_err(|source| ReflectError::Connect {
            server: server.clone(),
            source,
        })?;
        let made = h2::client::handshake(tcp).await;
        let (requests, connection) = made.map_err(|source| Ended::Broken(source).of(server))?;
        let connection = tokio::spawn(async move {
            // Whoever waits on the stream is told why it ended.
            let _ = connection.await;
        });
        Ok(Self {
            requests,
            server: server.clone(),
            connection,
        })
    }

    /// Begins a call.
    pub(super) async fn stream(&mut self, path: &str) -> Result<Stream, Ended> {
        let request = HttpRequest::post(format!("http://{}{path}", self.server))
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .body(());
        let request = request.map_err(|_| Ended::Unreadable("an address that is none"))?;
        let mut requests = self.requests.clone().ready().await?;
        let (answer, questions) = requests.send_request(request, false)?;
        Ok(Stream {
            questions,
            answers: Answers::Awaited(answer),
            read: BytesMut::new(),
        })
    }
}

/// A call in which questions are answered one by one.
pub(super) struct Stream {
    questions: SendStream<Bytes>,
    answers: Answers,
    /// What came and is not an answer yet.
    read: BytesMut,
}

enum Answers {
    /// The head may come with the first answer.
    Awaited(ResponseFuture),
    Open(RecvStream),
}

impl Stream {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self, question: Question) -> Result<Answer, Ended> {
        let request = Request {
            question: Some(question),
        };
        let length = request.encoded_len();
        let mut message = BytesMut::with_capacity(PREFIX_BYTES + length);
        message.put_u8(0);
        message.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.extend_from_slice(&request.encode_to_vec());
        // A server that refuses the call has ended it by now, and its answer says why.
        let sent = self.questions.send_data(message.freeze(), false);
        let answer = self.receive().await;
        match (answer, sent) {
            (Err(Ended::Broken(_)), Err(error)) => Err(error.into()),
            (answer, _) => answer,
        }
    }

    async fn receive(&mut self) -> Result<Answer, Ended> {
        if let Answers::Awaited(answer) = &mut self.answers {
            let (head, body) = answer.await?.into_parts();
            if head.status != StatusCode::OK {
                return Err(Ended::Http(head.status));
            }
            if let Some(ended) = Ended::told_in(&head.headers) {
                return Err(ended);
            }
            self.answers = Answers::Open(body);
        }
        let Answers::Open(body) = &mut self.answers else {
            return Err(Ended::Unreadable("no answer"));
        };
        loop {
            if let Some(message) = take_message(&mut self.read)? {
                let response = Response::decode(message);
                let answer = response.ok().and_then(|response| response.answer);
                return answer.ok_or(Ended::Unreadable("a message that is no answer"));
            }
            let Some(piece) = body.data().await.transpose()? else {
                let trailers = body.trailers().await?.unwrap_or_default();
                let ended = Ended::told_in(&trailers);
                return Err(ended.unwrap_or(Ended::Unreadable("less than all answers")));
            };
            body.flow_control().release_capacity(piece.len())?;
            self.read.extend_from_slice(&piece);
        }
    }
}

/// The first whole message of what was read, if there is one.
fn take_message(read: &mut BytesMut) -> Result<Option<Bytes>, Ended> {
    let mut prefix = read.as_ref();
    if prefix.len() < PREFIX_BYTES {
        return Ok(None);
    }
    let flag = prefix.get_u8();
    let length = prefix.get_u32() as usize;
    if flag != 0 {
        return Err(Ended::Unreadable(
            "a compressed message, without being asked",
        ));
    }
    if length > MESSAGE_BYTES {
        return Err(Ended::Unreadable("a message of more than 4 MiB"));
    }
    if prefix.len() < length {
        return Ok(None);
    }
    read.advance(PREFIX_BYTES);
    Ok(Some(read.split_to(length).freeze()))
}

/// How a call ended before its time.
#[derive(Debug)]
pub(super) enum Ended {
    /// With a status of gRPC, and its message.
    Status(u32, String),
    /// With a status of HTTP that is not 200.
    Http(StatusCode),
    /// The connection or the stream broke.
    Broken(h2::Error),
    /// What came is not understood, or more than is taken.
    Unreadable(&'static str),
}

impl From<h2::Error> for Ended {
    fn from(error: h2::Error) -> Self {
        Self::Broken(error)
    }
}

impl Ended {
    /// The status in trailers, or in a head that came without any.
    fn told_in(fields: &HeaderMap) -> Option<Self> {
        let text = |name| fields.get(name)?.to_str().ok();
        let status = text("grpc-status")?.parse().unwrap_or(u32::MAX);
        let message = text("grpc-message").unwrap_or_default();
        Some(Self::Status(
            status,
            message.chars().take(STATUS_CHARS).collect(),
        ))
    }

    /// Whether there is no such service.
    pub(super) fn is_unimplemented(&self) -> bool {
        match self {
            Self::Status(status, _) => *status == UNIMPLEMENTED,
            Self::Http(status) => *status == StatusCode::NOT_FOUND,
            Self::Broken(_) | Self::Unreadable(_) => false,
        }
    }

    /// The same as an error of a server.
    pub(super) fn of(self, server: &Server) -> ReflectError {
        let server = server.clone();
        match self {
            Self::Status(status, message) => {
                let name = status_name(u16::try_from(status).unwrap_or(u16::MAX));
                let separator = if message.is_empty() { "" } else { ": " };
                ReflectError::Refused {
                    server,
                    status: format!("{name}{separator}{message}"),
                }
            }
            Self::Http(status) => ReflectError::Refused {
                server,
                status: format!("HTTP {status}"),
            },
            Self::Broken(source) => ReflectError::Http2 { server, source },
            Self::Unreadable(what) => ReflectError::Unreadable {
                server,
                problem: format!("it sent {what}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_whatever_the_pieces() {
        let sent = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01x";
        let mut read = BytesMut::new();
        let mut taken = Vec::new();
        for byte in sent {
            read.extend_from_slice(&[*byte]);
            taken.extend(take_message(&mut read).unwrap());
        }
        assert_eq!(taken, ["abc", "", "x"]);
        assert!(read.is_empty());
    }

    #[test]
    fn messages_that_are_compressed_or_too_large_are_refused_at_their_prefix() {
        for prefix in [b"\x01\0\0\0\x01", b"\0\x00\x40\0\x01"] {
            let mut read = BytesMut::from(&prefix[..]);
            assert!(matches!(take_message(&mut read), Err(Ended::Unreadable(_))));
        }
    }
}
