//! WebSockets between two ends of a real library: what the observer tells is what they got.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;

use proptest::prelude::*;
use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, End, Limits, Observer};
use remora_store::call::{Call, Leg, MessageKind, Protocol, Side};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What one side does.
#[derive(Debug, Clone)]
enum Saying {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    /// A text in two frames with a Ping between them.
    Fragments(String, String),
}

/// A message as somebody got it: from whom, what, and with which payload.
type Got = (Side, MessageKind, Vec<u8>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_observer_tells_the_messages_that_both_ends_got(
        sayings in prop::collection::vec((any::<bool>(), saying()), 1..20),
        closes in any::<bool>(),
        reads in prop::collection::vec(1usize..3000, 1..20),
    ) {
        let (got, call) = run(sayings, closes, reads);
        let stream = call.stream.as_ref().unwrap();
        let told: Vec<Got> = stream
            .messages
            .iter()
            .map(|message| (message.from, message.kind, message.payload.to_vec()))
            .collect();
        let data = |side| {
            let of_side = got.iter().filter(|(from, ..)| *from == side);
            of_side.filter(|(_, kind, _)| matches!(kind, MessageKind::Text | MessageKind::Binary)).count()
        };
        prop_assert_eq!(stream.client_messages, data(Side::Client) as u64);
        prop_assert_eq!(stream.server_messages, data(Side::Server) as u64);
        prop_assert_eq!(told, got);
        prop_assert_eq!(call.protocol, Protocol::WebSocket);
        prop_assert_eq!((call.request.omitted, call.response.omitted), (None, None));
        prop_assert_eq!(call.error.is_none(), closes);
    }
}

fn saying() -> impl Strategy<Value = Saying> {
    prop_oneof![
        "[ -~]{0,300}".prop_map(Saying::Text),
        prop::collection::vec(any::<u8>(), 0..2000).prop_map(Saying::Binary),
        prop::collection::vec(any::<u8>(), 0..125).prop_map(Saying::Ping),
        ("[a-z]{0,20}", "[a-z]{0,20}").prop_map(|(a, b)| Saying::Fragments(a, b)),
    ]
}

/// One end of a connection in memory.
#[derive(Clone, Default)]
struct Pipe {
    arrived: Rc<RefCell<VecDeque<u8>>>,
    sent: Rc<RefCell<Vec<u8>>>,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.arrived.borrow_mut().read(room)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends, and the observer between them.
struct Session {
    client: WebSocket<Pipe>,
    server: WebSocket<Pipe>,
    observer: Observer,
    reads: Vec<usize>,
    now: u64,
    got: Vec<Got>,
}

impl Session {
    fn new(reads: Vec<usize>) -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Outbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 80).into(),
            accepted_ns: 0,
        };
        let limits = Limits {
            body_bytes: 1 << 20,
            head_bytes: 64 * 1024,
        };
        let mut observer = Observer::new(facts, limits, Budget::new(32 << 20));
        let mut out = Vec::new();
        observer.bytes(Side::Client, REQUEST, 1, &mut out);
        observer.bytes(Side::Server, RESPONSE, 2, &mut out);
        assert!(out.is_empty(), "the call lasts as long as the connection");
        Self {
            client: WebSocket::from_raw_socket(Pipe::default(), Role::Client, None),
            server: WebSocket::from_raw_socket(Pipe::default(), Role::Server, None),
            observer,
            reads,
            now: 2,
            got: Vec::new(),
        }
    }

    fn end(&mut self, side: Side) -> &mut WebSocket<Pipe> {
        match side {
            Side::Client => &mut self.client,
            _ => &mut self.server,
        }
    }

    fn say(&mut self, side: Side, saying: Saying) {
        let end = self.end(side);
        let frame = |text: String, opcode, last| {
            Message::Frame(Frame::message(text, OpCode::Data(opcode), last))
        };
        match saying {
            Saying::Text(text) => end.send(Message::text(text)).unwrap(),
            Saying::Binary(bytes) => end.send(Message::binary(bytes)).unwrap(),
            Saying::Ping(bytes) => end.send(Message::Ping(bytes.into())).unwrap(),
            Saying::Fragments(first, last) => {
                end.send(frame(first, Data::Text, false)).unwrap();
                end.send(Message::Ping("between".into())).unwrap();
                end.send(frame(last, Data::Continue, true)).unwrap();
            }
        }
        self.settle();
    }

    /// Lets both ends read and answer until neither has anything more to say.
    fn settle(&mut self) {
        while self.carry(Side::Client) | self.carry(Side::Server) {}
    }

    /// Carries what `side` sent to the other end; says whether that was anything.
    fn carry(&mut self, side: Side) -> bool {
        let sent = std::mem::take(&mut *self.end(side).get_ref().sent.borrow_mut());
        let mut rest = sent.as_slice();
        while !rest.is_empty() {
            self.now += 1;
            let count = self.reads[self.now as usize % self.reads.len()].min(rest.len());
            let (piece, behind) = rest.split_at(count);
            rest = behind;
            let mut out = Vec::new();
            self.observer.bytes(side, piece, self.now, &mut out);
        }
        let other = match side {
            Side::Client => Side::Server,
            _ => Side::Client,
        };
        self.end(other).get_ref().arrived.borrow_mut().extend(&sent);
        while let Ok(message) = self.end(other).read() {
            let (kind, payload) = kind_and_payload(message);
            self.got.push((side, kind, payload));
        }
        // Answers to Ping and Close wait for the next write.
        let _ = self.end(other).flush();
        !sent.is_empty()
    }
}

fn kind_and_payload(message: Message) -> (MessageKind, Vec<u8>) {
    let kind = match &message {
        Message::Text(_) => MessageKind::Text,
        Message::Binary(_) => MessageKind::Binary,
        Message::Ping(_) => MessageKind::Ping,
        Message::Pong(_) => MessageKind::Pong,
        Message::Close(_) => MessageKind::Close,
        Message::Frame(_) => unreachable!("nobody reads single frames"),
    };
    let payload = match message {
        Message::Close(Some(close)) => {
            let code = u16::from(close.code).to_be_bytes();
            [&code, close.reason.as_bytes()].concat()
        }
        message => message.into_data().to_vec(),
    };
    (kind, payload)
}

fn run(sayings: Vec<(bool, Saying)>, closes: bool, reads: Vec<usize>) -> (Vec<Got>, Call) {
    let mut session = Session::new(reads);
    for (by_client, saying) in sayings {
        let side = if by_client {
            Side::Client
        } else {
            Side::Server
        };
        session.say(side, saying);
    }
    if closes {
        let close = CloseFrame {
            code: 1001.into(),
            reason: "away".into(),
        };
        session.client.close(Some(close)).unwrap();
        session.settle();
    }
    let mut out = Vec::new();
    session
        .observer
        .end(Side::Server, End::Closed, 1_000_000, &mut out);
    assert!(out.is_empty(), "one side may still speak");
    session
        .observer
        .end(Side::Client, End::Closed, 1_000_001, &mut out);
    assert_eq!(out.len(), 1);
    (session.got, out.remove(0).call)
}
