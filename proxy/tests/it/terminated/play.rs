//! Exchanges as they are played through the sidecar, and what came out otherwise than it was sent.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use remora_store::call::Side;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::corpus::{Action, Exchange};
use crate::rig::{Rig, within};

/// How often the other end is given a [`SLICE`] for bytes that this engine may hold back until it has been
/// answered, which has no other end than that somebody goes on.
const PATIENCE: usize = 6;

/// How long at once. The sidecar is asked for a sign of life behind each: time in which it did not run is none
/// that it had.
const SLICE: Duration = Duration::from_millis(50);

/// One end of a connection through the sidecar.
struct End {
    side: Side,
    stream: Option<TcpStream>,
    arrived: Vec<u8>,
    ended: Option<&'static str>,
}

impl End {
    fn new(side: Side, stream: TcpStream) -> Self {
        Self {
            side,
            stream: Some(stream),
            arrived: Vec::new(),
            ended: None,
        }
    }

    /// Reads until so many bytes have arrived in all, or it ends, or patience does.
    async fn await_bytes(&mut self, count: usize, rig: &Rig) {
        while self.arrived.len() < count && self.ended.is_none() && self.hears_more(rig).await {}
    }

    /// Reads until it ends, or patience does.
    async fn await_end(&mut self, rig: &Rig) {
        while self.ended.is_none() && self.hears_more(rig).await {}
    }

    /// Whether it could read something before patience ended.
    async fn hears_more(&mut self, rig: &Rig) -> bool {
        for _ in 0..PATIENCE {
            if timeout(SLICE, self.read()).await.is_ok() {
                return true;
            }
            rig.flush().await;
        }
        false
    }

    async fn read(&mut self) {
        let Some(stream) = &mut self.stream else {
            self.ended = Some("-");
            return;
        };
        let mut room = vec![0; 65536];
        match stream.read(&mut room).await {
            Ok(0) => self.ended = Some("fin"),
            Ok(count) => self.arrived.extend(&room[..count]),
            Err(err) if err.kind() == io::ErrorKind::ConnectionReset => self.ended = Some("rst"),
            Err(err) => panic!("the {} cannot read: {err}", self.side),
        }
    }

    async fn read_to_end(&mut self) {
        while self.ended.is_none() {
            within(self.read()).await;
        }
    }
}

/// What one end sent, and what arrived of it.
pub(super) struct Passage {
    sent: Vec<u8>,
    arrived: Vec<u8>,
    sent_end: &'static str,
    arrived_end: &'static str,
}

/// How bytes are cut into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    OneByte,
}

/// Plays an exchange; each step begins when what was sent before has arrived, or will not.
pub(super) async fn play(rig: &Rig, exchange: &Exchange, cut: Cut) -> [Passage; 2] {
    let (client, server) = rig.connect().await;
    let mut ends = [
        End::new(Side::Client, client),
        End::new(Side::Server, server),
    ];
    let mut sent = [Vec::new(), Vec::new()];
    let mut sent_end = ["-", "-"];
    for step in &exchange.steps {
        let (own, other) = if step.side == Side::Client {
            (0, 1)
        } else {
            (1, 0)
        };
        let expected = sent[other].len();
        ends[own].await_bytes(expected, rig).await;
        let Some(stream) = &mut ends[own].stream else {
            continue;
        };
        match &step.action {
            Action::Send(bytes) => {
                sent[own].extend(bytes);
                let size = if cut == Cut::OneByte { 1 } else { bytes.len() };
                for piece in bytes.chunks(size) {
                    // The peer may have gone.
                    let _ = stream.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            }
            Action::Fin => {
                sent_end[own] = "fin";
                let _ = stream.shutdown().await;
                ends[other].await_end(rig).await;
            }
            Action::Rst => {
                sent_end[own] = "rst";
                let expected = sent[own].len();
                ends[other].await_bytes(expected, rig).await;
                stream_of(&mut ends[own]).set_zero_linger().unwrap();
                ends[own].stream = None;
            }
        }
    }
    let [client, server] = &mut ends;
    tokio::join!(client.read_to_end(), server.read_to_end());
    let [up, down] = sent;
    let [client, server] = ends;
    [
        Passage {
            sent: up,
            arrived: server.arrived,
            sent_end: sent_end[0],
            arrived_end: server.ended.unwrap(),
        },
        Passage {
            sent: down,
            arrived: client.arrived,
            sent_end: sent_end[1],
            arrived_end: client.ended.unwrap(),
        },
    ]
}

fn stream_of(end: &mut End) -> &mut TcpStream {
    end.stream.as_mut().unwrap()
}

/// Where two streams differ, with a little of what comes before.
pub(super) fn difference(passage: &Passage) -> String {
    let mut text = String::new();
    let (sent, arrived) = (&passage.sent[..], &passage.arrived[..]);
    if sent != arrived {
        text += &match (unchunk(sent), unchunk(arrived)) {
            (Some(one), Some(other)) if one == other => {
                "    the same content in other chunks\n".into()
            }
            (Some((one, rest)), Some((other, other_rest))) if one == other => {
                first_difference(rest, other_rest)
            }
            _ => first_difference(sent, arrived),
        };
    }
    let (sent, arrived) = (passage.sent_end, passage.arrived_end);
    if sent != arrived && sent != "-" {
        let _ = writeln!(text, "    ends with {sent}, arrives as {arrived}");
    }
    text
}

fn first_difference(sent: &[u8], arrived: &[u8]) -> String {
    let pairs = sent.iter().zip(arrived);
    let same = pairs.take_while(|(one, other)| one == other).count();
    let show = |bytes: &[u8]| {
        let from = same.saturating_sub(12).min(bytes.len());
        let shown = &bytes[from..bytes.len().min(same + 60)];
        let dots = if from > 0 { "…" } else { "" };
        format!("{dots}{}", shown.escape_ascii())
    };
    format!(
        "    sent    {}\n    arrived {}\n",
        show(sent),
        show(arrived)
    )
}

/// Head and content of a message in chunks, as far as it goes, and what follows: trailers, further
/// messages, or what is no chunk.
fn unchunk(stream: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let head = memchr::memmem::find(stream, b"\r\n\r\n")? + 4;
    let mut content = stream[..head].to_vec();
    memchr::memmem::find(&content, b"chunked")?;
    let mut rest = &stream[head..];
    while let Ok(httparse::Status::Complete((skipped, size))) = httparse::parse_chunk_size(rest) {
        let data = &rest[skipped..];
        let size = usize::try_from(size).ok()?;
        content.extend(&data[..size.min(data.len())]);
        rest = data.get(size..).unwrap_or_default();
        if size == 0 {
            break;
        }
        let Some(next) = rest.strip_prefix(b"\r\n") else {
            break;
        };
        rest = next;
    }
    Some((content, rest))
}
